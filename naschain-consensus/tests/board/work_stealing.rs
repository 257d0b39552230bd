//! Early completion: who takes over what others were dealt and have not started.

use naschain_consensus::{Event, Grant, LeaseId, Millis, NoWork, Row, Rules};

use crate::harness::{Harness, id, row, with};

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// A board whose pace is known, with one more job, and the miner that has no seat in it.
fn left_out(rules: Rules) -> (Harness, &'static str) {
    let mut harness = Harness::new(rules, &NAMES);
    harness.warm_up(&NAMES, 0);
    let dealt = harness.open(1_000);
    let idle = NAMES
        .into_iter()
        .find(|name| !dealt.contains(&Some(id(name))));
    (harness, idle.unwrap())
}

#[test]
fn an_idle_miner_takes_over_what_another_has_not_started() {
    let (mut harness, idle) = left_out(Rules::default());
    let Some((1_000, _, Grant::Stolen { from })) = harness.request(idle) else {
        panic!("nothing is taken over")
    };
    assert_eq!(harness.request(from.as_str()), None, "its seat is gone");
    let (mut harness, idle) = left_out(with(Rules::default(), |rules| rules.work_stealing = false));
    assert_eq!(harness.idle_reason(idle), NoWork::NotEligible);
}

#[test]
fn nobody_takes_over_before_the_pace_of_most_is_known() {
    let mut harness = Harness::new(Rules::default(), &NAMES);
    let dealt = harness.open(1);
    let idle = NAMES
        .into_iter()
        .find(|name| !dealt.contains(&Some(id(name))));
    assert_eq!(harness.idle_reason(idle.unwrap()), NoWork::PaceUnknown);
}

#[test]
fn take_overs_of_a_job_are_capped() {
    for (most, second) in [(1, None), (2, Some(1_000))] {
        let (mut harness, idle) = left_out(with(Rules::default(), |rules| {
            rules.max_self_selected = most
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
fn the_seat_with_the_longest_wait_is_taken_over() {
    let mut harness = Harness::new(Rules::default(), &NAMES);
    harness.warm_up(&NAMES, 0);
    // `a` becomes ten times as slow as the others.
    for job in 500..530 {
        let dealt = harness.open(job);
        let names: Vec<String> = dealt.iter().flatten().map(|m| m.to_string()).collect();
        for name in names {
            let (_, lease, _) = harness.request(&name).unwrap();
            harness.now += if name == "a" { 10_000 } else { 1_000 };
            harness.submit(&name, lease, row(9_000));
        }
    }
    let mut taken = 0;
    for job in 600..620 {
        let dealt = harness.open(job);
        harness.now += 10_000;
        let idle = NAMES
            .into_iter()
            .find(|name| !dealt.contains(&Some(id(name))))
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
fn who_answers_sooner_than_is_believed_takes_over_no_more() {
    let (mut harness, idle) = left_out(Rules::default());
    for job in 1_001..1_004 {
        harness.open(job);
    }
    // What it was dealt itself it always gets.
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
    // The average trains for a second, and twice as fast is believed; what it answered at once
    // before has shortened the average a little.
    let wait_ms = until.since(Millis(harness.now));
    assert!((440..500).contains(&wait_ms), "{wait_ms}");
    harness.now += wait_ms;
    assert!(harness.request(idle).is_some());
}

#[test]
fn open_seats_go_to_nobody_twice_before_half_have_answered_and_then_by_pace() {
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
    // Two of four have answered, in half a second on average: twice that fast is believed.
    assert!(matches!(harness.request("a"), Some((_, lease, Grant::Open)) if lease.0 == 5));
    harness.submit("a", LeaseId(5), row(9_000));
    let until = Millis(1_250);
    assert_eq!(harness.idle_reason("a"), NoWork::TooFast { until });
    harness.now = 1_250;
    assert!(harness.request("a").is_some());
}

#[test]
fn trainings_that_all_fail_do_not_stop_the_board() {
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
fn with_room_for_several_jobs_several_are_believed() {
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
    // Three jobs answered at once are as many too many as one.
    for lease in held {
        harness.submit("big", lease, row(9_000));
    }
    let mut given = 0;
    while let Some((_, lease, grant)) = harness.request("big") {
        assert_eq!(grant, Grant::Assigned);
        harness.submit("big", lease, row(9_000));
        given += 1;
    }
    assert!(given < 12, "only what it was dealt");
}

#[test]
fn a_miner_that_leaves_what_it_took_over_cannot_take_that_job_over_again() {
    let (mut harness, idle) = left_out(Rules::default());
    harness.request(idle).unwrap();
    harness.handle(Event::Leave { miner: id(idle) });
    harness.handle(Event::Join { miner: id(idle) });
    harness.now += 10_000;
    assert_eq!(harness.request(idle), None);
    // Another one may.
    harness.handle(Event::Join { miner: id("x") });
    let taken = harness.request("x").map(|(job, ..)| job);
    assert_eq!(taken, Some(1_000));
}
