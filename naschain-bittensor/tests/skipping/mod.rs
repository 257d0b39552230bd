//! Says that a test was skipped.

use std::io::Write;

/// Writes to stderr directly, because the test harness hides what passing tests print.
pub(crate) fn skipped(reason: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    let line = format!("SKIPPED {test}: {reason}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}
