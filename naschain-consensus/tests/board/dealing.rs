//! Who is dealt what.

use naschain_consensus::{Action, Event, Grant, Millis, NoWork, Rules};

use crate::desk::{Desk, id, row};

#[test]
fn an_owner_gets_one_seat_of_a_job() {
    let mut desk = Desk::new(Rules::default(), &["c", "d"]);
    for miner in ["a1", "a2", "a3"] {
        desk.takes(Event::Register {
            miner: id(miner),
            owner: Some(id("ann")),
            capacity: 1,
        });
    }
    for job in 0..50 {
        let dealt = desk.opens(job);
        let anns = dealt
            .iter()
            .flatten()
            .filter(|miner| miner.as_str().starts_with('a'));
        assert_eq!(anns.count(), 1, "{dealt:?}");
    }
    let mut jobs: Vec<u64> = Vec::new();
    for miner in ["a1", "a2", "a3"] {
        jobs.extend(desk.asks(miner).map(|(job, ..)| job));
    }
    jobs.sort();
    jobs.dedup();
    assert_eq!(jobs.len(), 3);
}

#[test]
fn dealing_is_even_and_follows_from_the_seed() {
    let names: Vec<String> = (0..10).map(|i| format!("m{i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut desk = Desk::new(Rules::default(), &names);
    let mut counts = [0u32; 10];
    let dealt: Vec<_> = (0..3_000).map(|job| desk.opens(job)).collect();
    for miner in dealt.iter().flatten().flatten() {
        counts[names
            .iter()
            .position(|name| *name == miner.as_str())
            .unwrap()] += 1;
    }
    // 900 each on average, with deviation 25.
    assert!(
        counts.iter().all(|count| count.abs_diff(900) < 110),
        "{counts:?}"
    );
    let mut other = Desk::new(Rules::default(), &names);
    let again: Vec<_> = (0..3_000).map(|job| other.opens(job)).collect();
    assert_eq!(dealt, again);
}

#[test]
fn seats_without_miners_wait_for_whoever_comes() {
    let mut desk = Desk::new(Rules::default(), &["a"]);
    assert_eq!(desk.opens(1).iter().flatten().count(), 1);
    assert!(matches!(desk.does("a", row(9000)), Action::Filled { .. }));
    assert!(desk.asks("a").is_none(), "nobody gets two seats of a job");
    for miner in ["b", "c"] {
        desk.takes(Event::Join { miner: id(miner) });
        let (job, lease, grant) = desk.asks(miner).unwrap();
        assert_eq!((job, grant), (1, Grant::Open));
        desk.answers(miner, lease, row(9010));
    }
    assert_eq!(desk.board.open_jobs(), 0);
    assert_eq!(["a", "b", "c"].map(|miner| desk.points(miner)), [1, 1, 1]);
}

#[test]
fn silent_miners_are_dealt_nothing() {
    let mut desk = Desk::new(Rules::default(), &["a", "b", "c"]);
    desk.now = 120_000;
    assert_eq!(desk.takes(Event::Tick).len(), 3);
    assert_eq!(desk.opens(1), [None, None, None]);
    assert!(matches!(desk.asks("b"), Some((1, _, Grant::Open))));
    assert_eq!(
        desk.opens(2).iter().flatten().collect::<Vec<_>>(),
        [&id("b")]
    );
}

#[test]
fn time_never_goes_back_and_an_idle_tick_changes_nothing() {
    let mut desk = Desk::new(Rules::default(), &["a", "b", "c"]);
    desk.now = 1_000;
    desk.opens(1);
    desk.now = 10;
    let before = format!("{:?}", desk.board);
    assert_eq!(desk.takes(Event::Tick), []);
    assert_eq!(before, format!("{:?}", desk.board));
    desk.asks("a").unwrap();
    assert_eq!(desk.board.now(), Millis(1_000));
    let ticks = desk.board.next_deadline().unwrap();
    assert_eq!(ticks, Millis(61_000));
}

#[test]
fn whoever_is_left_out_hears_why() {
    let mut desk = Desk::new(Rules::default(), &["a", "b", "c"]);
    assert_eq!(desk.waits("a"), NoWork::NothingWaits);
    desk.warms_up(&["a", "b", "c"], 0);
    desk.opens(1_000);
    desk.does("a", row(9_000));
    let told = desk.waits("a");
    assert!(
        matches!(told, NoWork::TooFast { .. }),
        "it answered at once: {told:?}"
    );
    desk.now += 1_000;
    assert_eq!(desk.waits("a"), NoWork::NotForThisMiner, "it has a seat");
}

#[test]
fn leaving_gives_seats_back() {
    let mut desk = Desk::new(Rules::default(), &["a", "b", "c"]);
    desk.opens(1);
    let (_, lease, _) = desk.asks("a").unwrap();
    let left = desk.takes(Event::Leave { miner: id("a") });
    assert!(matches!(&left[..], [Action::Revoked { lease: ended, .. }] if *ended == lease));
    desk.takes(Event::Join { miner: id("d") });
    assert!(matches!(desk.asks("d"), Some((1, _, Grant::Open))));
}

#[test]
fn miners_that_come_to_have_one_owner_keep_one_seat_of_a_job() {
    let mut desk = Desk::new(Rules::default(), &["a", "b", "c"]);
    desk.opens(1);
    for miner in ["a", "b"] {
        desk.takes(Event::Register {
            miner: id(miner),
            owner: Some(id("lab")),
            capacity: 1,
        });
    }
    let held = ["a", "b"].map(|miner| desk.asks(miner).is_some());
    assert_eq!(held.iter().filter(|held| **held).count(), 1, "{held:?}");
}
