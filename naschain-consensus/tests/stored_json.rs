//! Journals keep events and actions as JSON. Each line of `testdata/stored.jsonl` was written by
//! the version of the board that introduced it; it must be read, and be written again with the same bytes.

use naschain_consensus::{Action, Event, Rejected, Rules};
use serde::Serialize;
use serde::de::DeserializeOwned;

fn rewritten<T: DeserializeOwned + Serialize>(line: &str) -> String {
    let value: T = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    serde_json::to_string(&value).unwrap()
}

#[test]
fn stored_json_keeps_its_bytes() {
    let mut counts = [0; 4];
    for line in include_str!("testdata/stored.jsonl").lines() {
        let (kind, written) = if line.starts_with(r#"{"event":"#) {
            (0, rewritten::<Event>(line))
        } else if line.starts_with(r#"{"action":"#) {
            (1, rewritten::<Action>(line))
        } else if line.starts_with(r#"{"rejected":"#) {
            (2, rewritten::<Rejected>(line))
        } else {
            (3, rewritten::<Rules>(line))
        };
        assert_eq!(written, line);
        counts[kind] += 1;
    }
    assert_eq!(counts, [16, 53, 14, 4]);
}
