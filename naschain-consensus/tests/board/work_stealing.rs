//! Work stealing: idle miners take seats that are assigned to others and not started.

use naschain_consensus::{Event, Grant, LeaseId, Millis, NoWork, Row, Rules};

use crate::harness::{Harness, id, row, with};

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// A board whose pace is known, with one more job, and the miner that has no seat in it.
fn with_idle_miner(rules: Rules) -> (Harness, &'static str) {
    let mut harness = Harness::new(rules, &NAMES);
    harness.warm_up(&NAMES, 0);
    let assigned = harness.open(1_000);
    let idle = NAMES
        .into_iter()
        .find(|name| !assigned.contains(&Some(id(name))));
    (harness, idle.unwrap())
}

#[test]
fn an_idle_miner_steals_a_seat_that_is_not_started() {
    let (mut harness, idle) = with_idle_miner(Rules::default());
    let Some((1_000, _, Grant::Stolen { from })) = harness.request(idle) else {
        panic!("no seat was stolen")
    };
    assert_eq!(harness.request(from.as_str()), None, "its seat is gone");
    let (mut harness, idle) =
        with_idle_miner(with(Rules::default(), |rules| rules.work_stealing = false));
    assert_eq!(harness.idle_reason(idle), NoWork::NotEligible);
}

#[test]
fn there_is_no_stealing_before_the_pace_is_known() {
    let mut harness = Harness::new(Rules::default(), &NAMES);
    let assigned = harness.open(1);
    let idle = NAMES
        .into_iter()
        .find(|name| !assigned.contains(&Some(id(name))));
    assert_eq!(harness.idle_reason(idle.unwrap()), NoWork::PaceUnknown);
}

#[test]
fn stolen_seats_of_a_job_are_limited() {
    for (max, second) in [(1, None), (2, Some(1_000))] {
        let (mut harness, idle) = with_idle_miner(with(Rules::default(), |rules| {
            rules.max_self_selected = max
        }));
        harness.handle(Event::Join { miner: id("x") });
        assert!(matches!(
            harness.request(idle),
            Some((1_000, _, Grant::Stolen { .. }))
        ));
        assert_eq!(harness.request("x").map(|(job, ..)| job), second);
    }
}

#[test]
fn the_seat_with_the_longest_backlog_is_stolen() {
    let mut harness = Harness::new(Rules::default(), &NAMES);
    harness.warm_up(&NAMES, 0);
    // `a` becomes ten times as slow as the others.
    for job in 500..530 {
        let assigned = harness.open(job);
        let names: Vec<String> = assigned.iter().flatten().map(|m| m.to_string()).collect();
        for name in names {
            let (_, lease, _) = harness.request(&name).unwrap();
            harness.now += if name == "a" { 10_000 } else { 1_000 };
            harness.submit(&name, lease, row(9_000));
        }
    }
    let mut taken = 0;
    for job in 600..620 {
        let assigned = harness.open(job);
        harness.now += 10_000;
        let idle = NAMES
            .into_iter()
            .find(|name| !assigned.contains(&Some(id(name))))
            .unwrap();
        if idle != "a" {
            let (_, lease, grant) = harness.request(idle).unwrap();
            assert_eq!(grant, Grant::Stolen { from: id("a") });
            harness.submit(idle, lease, row(9_000));
            taken += 1;
        }
        for name in NAMES {
            if let Some((_, lease, _)) = harness.request(name) {
                harness.submit(name, lease, row(9_000));
            }
        }
    }
    assert!(taken > 5, "{taken}");
}

#[test]
fn an_implausibly_fast_miner_steals_no_more() {
    let (mut harness, idle) = with_idle_miner(Rules::default());
    for job in 1_001..1_004 {
        harness.open(job);
    }
    // It always gets the seats assigned to it.
    while let Some((_, lease, Grant::Assigned)) = harness.request(idle) {
        harness.submit(idle, lease, row(9_000));
    }
    harness.now += 10_000;
    let (_, lease, grant) = harness.request(idle).unwrap();
    assert!(matches!(
        grant,
        Grant::Stolen { .. } | Grant::Reissued { .. }
    ));
    harness.now += 1;
    harness.submit(idle, lease, row(9_000));
    let NoWork::TooFast { until } = harness.idle_reason(idle) else {
        panic!("not refused")
    };
    // The average is a second, so half a second is plausible; its instant answers before have
    // shortened the average a little.
    let wait_ms = until.since(Millis(harness.now));
    assert!((440..500).contains(&wait_ms), "{wait_ms}");
    harness.now += wait_ms;
    assert!(harness.request(idle).is_some());
}

#[test]
fn open_seats_need_plausible_speed_once_the_pace_is_known() {
    let mut harness = Harness::new(Rules::default(), &[]);
    for job in 0..20 {
        harness.open(job);
    }
    for miner in NAMES {
        harness.handle(Event::Join { miner: id(miner) });
    }
    let leases = NAMES.map(|miner| harness.request(miner).unwrap().1);
    harness.submit("a", leases[0], row(9_000));
    assert_eq!(harness.idle_reason("a"), NoWork::PaceUnknown);
    harness.now += 1_000;
    harness.submit("b", leases[1], row(9_000));
    // Two of four have answered, in half a second on average, so a quarter is plausible.
    assert!(matches!(harness.request("a"), Some((_, lease, Grant::Open)) if lease.0 == 5));
    harness.submit("a", LeaseId(5), row(9_000));
    let until = Millis(1_250);
    assert_eq!(harness.idle_reason("a"), NoWork::TooFast { until });
    harness.now = 1_250;
    assert!(harness.request("a").is_some());
}

#[test]
fn failing_trainings_do_not_stop_the_board() {
    let mut harness = Harness::new(Rules::default(), &[]);
    for job in 0..20 {
        harness.open(job);
    }
    for miner in ["a", "b", "c"] {
        harness.handle(Event::Join { miner: id(miner) });
    }
    for _ in 0..100 {
        for miner in ["a", "b", "c"] {
            if let Some((_, lease, _)) = harness.request(miner) {
                harness.submit(miner, lease, Row::Failed("NaN".into()));
            }
        }
    }
    assert_eq!(harness.board.open_jobs(), 0);
}

#[test]
fn the_plausible_speed_grows_with_the_capacity() {
    let mut harness = Harness::new(Rules::default(), &NAMES);
    harness.warm_up(&NAMES, 0);
    harness.handle(Event::Register {
        miner: id("big"),
        owner: None,
        capacity: 3,
    });
    for job in 1_000..1_012 {
        harness.open(job);
    }
    let mut held = Vec::new();
    while held.len() < 3 {
        let (_, lease, grant) = harness.request("big").unwrap();
        assert!(!matches!(grant, Grant::Reissued { .. }));
        held.push(lease);
    }
    // Three jobs answered at once are as implausible as one.
    for lease in held {
        harness.submit("big", lease, row(9_000));
    }
    let mut given = 0;
    while let Some((_, lease, grant)) = harness.request("big") {
        assert_eq!(grant, Grant::Assigned);
        harness.submit("big", lease, row(9_000));
        given += 1;
    }
    assert!(given < 12, "more than was assigned to it");
}

#[test]
fn a_miner_cannot_steal_a_seat_of_a_job_that_it_abandoned() {
    let (mut harness, idle) = with_idle_miner(Rules::default());
    harness.request(idle).unwrap();
    harness.handle(Event::Leave { miner: id(idle) });
    harness.handle(Event::Join { miner: id(idle) });
    harness.now += 10_000;
    assert_eq!(harness.request(idle), None);
    // Another miner may.
    harness.handle(Event::Join { miner: id("x") });
    let taken = harness.request("x").map(|(job, ..)| job);
    assert_eq!(taken, Some(1_000));
}
