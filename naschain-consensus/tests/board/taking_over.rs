//! Early completion: who takes over what others were dealt and have not started.

use naschain_consensus::{Event, Grant, LeaseId, Millis, NoWork, Row, Rules};

use crate::desk::{Desk, id, row};

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// A board whose pace is known, with one more job, and the miner that has no seat in it.
fn left_out(rules: Rules) -> (Desk, &'static str) {
    let mut desk = Desk::new(rules, &NAMES);
    desk.warms_up(&NAMES, 0);
    let dealt = desk.opens(1_000);
    let idle = NAMES
        .into_iter()
        .find(|name| !dealt.contains(&Some(id(name))));
    (desk, idle.unwrap())
}

#[test]
fn an_idle_miner_takes_over_what_another_has_not_started() {
    let (mut desk, idle) = left_out(Rules::default());
    let Some((1_000, _, Grant::TakenOver { from })) = desk.asks(idle) else {
        panic!("nothing is taken over")
    };
    assert_eq!(desk.asks(from.as_str()), None, "its seat is gone");
    let (mut desk, idle) = left_out(Rules {
        take_over: false,
        ..Rules::default()
    });
    assert_eq!(desk.waits(idle), NoWork::NotForThisMiner);
}

#[test]
fn nobody_takes_over_before_the_pace_of_most_is_known() {
    let mut desk = Desk::new(Rules::default(), &NAMES);
    let dealt = desk.opens(1);
    let idle = NAMES
        .into_iter()
        .find(|name| !dealt.contains(&Some(id(name))));
    assert_eq!(desk.waits(idle.unwrap()), NoWork::PaceUnknown);
}

#[test]
fn take_overs_of_a_job_are_capped() {
    for (most, second) in [(1, None), (2, Some(1_000))] {
        let (mut desk, idle) = left_out(Rules {
            max_taken_over: most,
            ..Rules::default()
        });
        desk.takes(Event::Join { miner: id("x") });
        assert!(matches!(
            desk.asks(idle),
            Some((1_000, _, Grant::TakenOver { .. }))
        ));
        assert_eq!(desk.asks("x").map(|(job, ..)| job), second);
    }
}

#[test]
fn the_seat_with_the_longest_wait_is_taken_over() {
    let mut desk = Desk::new(Rules::default(), &NAMES);
    desk.warms_up(&NAMES, 0);
    // `a` becomes ten times as slow as the others.
    for job in 500..530 {
        let dealt = desk.opens(job);
        let names: Vec<String> = dealt.iter().flatten().map(|m| m.to_string()).collect();
        for name in names {
            let (_, lease, _) = desk.asks(&name).unwrap();
            desk.now += if name == "a" { 10_000 } else { 1_000 };
            desk.answers(&name, lease, row(9_000));
        }
    }
    let mut taken = 0;
    for job in 600..620 {
        let dealt = desk.opens(job);
        desk.now += 10_000;
        let idle = NAMES
            .into_iter()
            .find(|name| !dealt.contains(&Some(id(name))))
            .unwrap();
        if idle != "a" {
            let (_, lease, grant) = desk.asks(idle).unwrap();
            assert_eq!(grant, Grant::TakenOver { from: id("a") });
            desk.answers(idle, lease, row(9_000));
            taken += 1;
        }
        for name in NAMES {
            if let Some((_, lease, _)) = desk.asks(name) {
                desk.answers(name, lease, row(9_000));
            }
        }
    }
    assert!(taken > 5, "{taken}");
}

#[test]
fn who_answers_sooner_than_is_believed_takes_over_no_more() {
    let (mut desk, idle) = left_out(Rules::default());
    for job in 1_001..1_004 {
        desk.opens(job);
    }
    // What it was dealt itself it always gets.
    while let Some((_, lease, Grant::Dealt)) = desk.asks(idle) {
        desk.answers(idle, lease, row(9_000));
    }
    desk.now += 10_000;
    let (_, lease, grant) = desk.asks(idle).unwrap();
    assert!(matches!(
        grant,
        Grant::TakenOver { .. } | Grant::Again { .. }
    ));
    desk.now += 1;
    desk.answers(idle, lease, row(9_000));
    let NoWork::TooFast { until } = desk.waits(idle) else {
        panic!("not refused")
    };
    // The average trains for a second, and twice as fast is believed; what it answered at once
    // before has shortened the average a little.
    let wait_ms = until.since(Millis(desk.now));
    assert!((440..500).contains(&wait_ms), "{wait_ms}");
    desk.now += wait_ms;
    assert!(desk.asks(idle).is_some());
}

#[test]
fn open_seats_go_to_nobody_twice_before_half_have_answered_and_then_by_pace() {
    let mut desk = Desk::new(Rules::default(), &[]);
    for job in 0..20 {
        desk.opens(job);
    }
    for miner in NAMES {
        desk.takes(Event::Join { miner: id(miner) });
    }
    let leases = NAMES.map(|miner| desk.asks(miner).unwrap().1);
    desk.answers("a", leases[0], row(9_000));
    assert_eq!(desk.waits("a"), NoWork::PaceUnknown);
    desk.now += 1_000;
    desk.answers("b", leases[1], row(9_000));
    // Two of four have answered, in half a second on average: twice that fast is believed.
    assert!(matches!(desk.asks("a"), Some((_, lease, Grant::Open)) if lease.0 == 5));
    desk.answers("a", LeaseId(5), row(9_000));
    let until = Millis(1_250);
    assert_eq!(desk.waits("a"), NoWork::TooFast { until });
    desk.now = 1_250;
    assert!(desk.asks("a").is_some());
}

#[test]
fn trainings_that_all_fail_do_not_stop_the_board() {
    let mut desk = Desk::new(Rules::default(), &[]);
    for job in 0..20 {
        desk.opens(job);
    }
    for miner in ["a", "b", "c"] {
        desk.takes(Event::Join { miner: id(miner) });
    }
    for _ in 0..100 {
        for miner in ["a", "b", "c"] {
            if let Some((_, lease, _)) = desk.asks(miner) {
                desk.answers(miner, lease, Row::Failed("NaN".into()));
            }
        }
    }
    assert_eq!(desk.board.open_jobs(), 0);
}

#[test]
fn with_room_for_several_jobs_several_are_believed() {
    let mut desk = Desk::new(Rules::default(), &NAMES);
    desk.warms_up(&NAMES, 0);
    desk.takes(Event::Register {
        miner: id("big"),
        owner: None,
        capacity: 3,
    });
    for job in 1_000..1_012 {
        desk.opens(job);
    }
    let mut held = Vec::new();
    while held.len() < 3 {
        let (_, lease, grant) = desk.asks("big").unwrap();
        assert!(!matches!(grant, Grant::Again { .. }));
        held.push(lease);
    }
    // Three jobs answered at once are as many too many as one.
    for lease in held {
        desk.answers("big", lease, row(9_000));
    }
    let mut given = 0;
    while let Some((_, lease, grant)) = desk.asks("big") {
        assert_eq!(grant, Grant::Dealt);
        desk.answers("big", lease, row(9_000));
        given += 1;
    }
    assert!(given < 12, "only what it was dealt");
}

#[test]
fn a_miner_that_leaves_what_it_took_over_cannot_take_that_job_over_again() {
    let (mut desk, idle) = left_out(Rules::default());
    desk.asks(idle).unwrap();
    desk.takes(Event::Leave { miner: id(idle) });
    desk.takes(Event::Join { miner: id(idle) });
    desk.now += 10_000;
    assert_eq!(desk.asks(idle), None);
    // Another one may.
    desk.takes(Event::Join { miner: id("x") });
    let taken = desk.asks("x").map(|(job, ..)| job);
    assert_eq!(taken, Some(1_000));
}
