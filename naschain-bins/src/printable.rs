//! Text for people: untrusted text escaped for terminals, counts with their nouns, and which of many
//! equal messages are logged.

use std::borrow::Cow;
use std::fmt::Display;
use std::time::Duration;

/// The text on one line, with control characters escaped as in a Rust string: in a terminal they
/// could move the cursor, change its title or hide what was printed before.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    escaped(text, is_control)
}

/// As [`printable`], but keeps line ends: for text of several lines.
pub(crate) fn printable_lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| c != '\n' && is_control(c))
}

/// Control characters, and those that reverse the order of the text after them.
fn is_control(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

/// An argument, such as a path, as it can be pasted into a shell: in quotes if it needs them.
pub(crate) fn pasteable(argument: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./:,+@%=".contains(c);
    if !argument.is_empty() && argument.chars().all(is_plain) {
        return Cow::Borrowed(argument);
    }
    Cow::Owned(format!("'{}'", argument.replace('\'', r"'\''")))
}

/// A count with its noun, such as `1 epoch` or `3 epochs`.
pub(crate) fn counted<N: Display + PartialEq + From<u8>>(count: N, noun: &str) -> String {
    let ending = if count == N::from(1) { "" } else { "s" };
    format!("{count} {noun}{ending}")
}

/// Whether a failure that has come so many times in a row is logged: the first, the second, the fourth
/// and so on, so that what is away for days does not fill the log.
pub(crate) fn is_logged(failures: u32) -> bool {
    failures.is_power_of_two()
}

fn escaped(text: &str, escapes: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&escapes) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if escapes(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// A duration in words, such as `7 min`: estimates are not known to the second.
pub(crate) fn about(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    let (value, unit) = match seconds {
        s if s < 90.0 => (s, "s"),
        s if s < 90.0 * 60.0 => (s / 60.0, "min"),
        s if s < 36.0 * 3600.0 => (s / 3600.0, "h"),
        s => (s / 86_400.0, "days"),
    };
    format!("{value:.0} {unit}")
}

/// As [`about`]; `None` for less than a second, which is not worth telling.
pub(crate) fn about_from_1_s(time: Duration) -> Option<String> {
    (time >= Duration::from_secs(1)).then(|| about(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_printed_controls_a_terminal() {
        assert_eq!(printable("Größe 3 → 4"), "Größe 3 → 4");
        let title = "a\x1b]0;owned\x07\r\n\u{9b}2J\u{202e}b\x7f";
        assert_eq!(
            printable(title),
            r"a\u{1b}]0;owned\u{7}\r\n\u{9b}2J\u{202e}b\u{7f}"
        );
        assert_eq!(printable_lines("a\nb\x1b[2J\n"), "a\nb\\u{1b}[2J\n");
    }

    #[test]
    fn arguments_with_spaces_are_quoted() {
        assert_eq!(pasteable("runs/blumen-größe_1.2"), "runs/blumen-größe_1.2");
        assert_eq!(pasteable("my runs/a"), "'my runs/a'");
        assert_eq!(pasteable("ada's/$x"), r"'ada'\''s/$x'");
        assert_eq!(pasteable(""), "''");
    }

    #[test]
    fn one_is_singular() {
        let texts = [0, 1, 2].map(|count: u32| counted(count, "epoch"));
        assert_eq!(texts, ["0 epochs", "1 epoch", "2 epochs"]);
    }

    #[test]
    fn durations_are_rounded() {
        for (seconds, text) in [
            (0, "0 s"),
            (89, "89 s"),
            (100, "2 min"),
            (3_600, "60 min"),
            (7_200, "2 h"),
            (200_000, "2 days"),
        ] {
            assert_eq!(about(Duration::from_secs(seconds)), text);
        }
        assert_eq!(about_from_1_s(Duration::from_millis(999)), None);
        let second = about_from_1_s(Duration::from_secs(1));
        assert_eq!(second.as_deref(), Some("1 s"));
    }
}
