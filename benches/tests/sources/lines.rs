//! The lines of a source file that are not tests.

/// The lines of code without items for tests, which a line `#[cfg(test)]` begins.
pub(crate) fn lines_without_tests(code: &str) -> Vec<&str> {
    let indent_of = |line: &str| line.len() - line.trim_start().len();
    let mut kept = Vec::new();
    let mut lines = code.lines();
    while let Some(line) = lines.next() {
        if line.trim() == "#[cfg(test)]" {
            // rustfmt ends an item where its indentation returns.
            let indent = indent_of(line);
            lines.find(|line| indent_of(line) == indent && line.ends_with(['}', ';']));
        } else {
            kept.push(line);
        }
    }
    kept
}
