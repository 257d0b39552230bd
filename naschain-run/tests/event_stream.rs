//! Public events as server-sent events.

use naschain_consensus::{Millis, MinerId};
use naschain_run::{Cursor, PublicEvent, server_sent_events};

#[test]
fn the_public_events_of_one_event_are_sent_in_bounded_parts() {
    let miner: MinerId = "ada".parse().unwrap();
    let joined = PublicEvent::MinerJoined { miner };
    let all = vec![joined; 100];
    let mut whole = String::new();
    let start = Cursor::default();
    let rest = server_sent_events(7, Millis(1), &all, start, usize::MAX, &mut whole);
    assert_eq!(rest, None);
    let (mut parts, mut cursor) = (Vec::new(), start);
    loop {
        let mut part = String::new();
        let rest = server_sent_events(7, Millis(1), &all, cursor, 1_000, &mut part);
        assert!(part.len() < 1_100, "{} bytes", part.len());
        parts.push(part);
        match rest {
            Some(next) => cursor = next,
            None => break,
        }
    }
    assert!(
        parts.len() > 5 && parts.concat() == whole,
        "{} parts",
        parts.len()
    );
}
