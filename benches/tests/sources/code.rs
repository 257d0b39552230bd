//! The code of a source file without comments and the contents of strings.

/// The source without comments, and with empty strings and character literals. Lines stay.
pub(crate) fn code_only(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let length = skipped(rest, code.chars().next_back());
        if length == 0 {
            code.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let (text, after) = rest.split_at(length);
        if !text.starts_with('/') {
            code.push_str("\"\"");
        }
        code.extend(text.chars().filter(|letter| *letter == '\n'));
        rest = after;
    }
    code
}

/// The length in bytes of the comment, string or character literal at the start of the text, or 0.
/// `before` is the character before it.
fn skipped(text: &str, before: Option<char>) -> usize {
    if text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    if text.starts_with("/*") {
        return text.find("*/").map_or(text.len(), |end| end + 2);
    }
    if text.starts_with('"') {
        return quoted(text, '"');
    }
    let in_word = before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_');
    if text.starts_with('r') && !in_word {
        let hashes = text[1..].bytes().take_while(|byte| *byte == b'#').count();
        if text[1 + hashes..].starts_with('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            let start = 2 + hashes;
            let found = text[start..].find(&end);
            return found.map_or(text.len(), |at| start + at + end.len());
        }
    }
    if let Some(literal) = text.strip_prefix('\'') {
        // Otherwise it is a lifetime.
        let closes = literal.chars().nth(1) == Some('\'');
        if literal.starts_with('\\') || closes {
            return quoted(text, '\'');
        }
    }
    0
}

/// The length of a literal that ends with `quote`, in which a backslash escapes the next character.
fn quoted(text: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, letter) in text.char_indices().skip(1) {
        if is_escaped {
            is_escaped = false;
        } else if letter == '\\' {
            is_escaped = true;
        } else if letter == quote {
            return at + letter.len_utf8();
        }
    }
    text.len()
}
