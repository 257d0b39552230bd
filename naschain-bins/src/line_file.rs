//! Text files of one entry per line, with comments.

use std::path::Path;

use anyhow::{Context, Result, bail};

/// Reads and parses a file; errors name it. `what` says what it contains, such as "allow-list".
pub(crate) fn read_file<T>(
    path: &Path,
    what: &str,
    parse: impl Fn(&str) -> Result<T>,
) -> Result<T> {
    let shown = path.display();
    let text = std::fs::read_to_string(path);
    let text = text.with_context(|| format!("cannot read the {what} {shown}"))?;
    parse(&text).with_context(|| format!("{what} {shown}"))
}

/// The lines of a text and their numbers, trimmed, without empty lines and comment lines.
///
/// Only a line that begins with `#` is a comment: an entry may contain the character, as a
/// password does.
pub(crate) fn entries(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let numbered = text.lines().enumerate();
    numbered
        .map(|(index, line)| (index + 1, line.trim()))
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

/// The two words of each line and its number; `#` begins a comment anywhere in a line. `names`
/// are the names of the words in the error for a line with more or fewer.
pub(crate) fn pairs<'a>(
    text: &'a str,
    names: [&'a str; 2],
) -> impl Iterator<Item = Result<(usize, &'a str, &'a str)>> {
    entries(text).map(move |(number, line)| {
        let entry = line.split('#').next().unwrap_or_default();
        match entry.split_whitespace().collect::<Vec<_>>()[..] {
            [first, second] => Ok((number, first, second)),
            ref words => {
                let [first, second] = names;
                bail!(
                    "line {number} has {} words; it must have two: {first} and {second}",
                    words.len()
                )
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_empty_lines_are_skipped() {
        let text = "# head\n\n  7:a#b \nada lab # note\n";
        let lines: Vec<_> = entries(text).collect();
        assert_eq!(lines, [(3, "7:a#b"), (4, "ada lab # note")]);
        let read: Vec<_> = pairs("\nada\tlab # note\n#\n", ["miner", "owner"])
            .collect::<Result<_>>()
            .unwrap();
        assert_eq!(read, [(2, "ada", "lab")]);
        let error = pairs("ada", ["miner", "owner"])
            .next()
            .unwrap()
            .unwrap_err();
        let expected = "line 1 has 1 words; it must have two: miner and owner";
        assert_eq!(error.to_string(), expected);
    }
}
