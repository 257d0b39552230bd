//! Boards with a referee: an honest miner among the seats of a job that answers what it is asked is
//! never outvoted, which the simulated world asserts for every job that closes.

use naschain_consensus::Referee;

use super::world::{Behaviour, CheaterSpeed, LIARS, Options};
use super::{FAULTS, crowd, options, run, seeds};

/// Options with a referee, for trainings of this many steps.
fn refereed(seed: u64, behaviours: Vec<Behaviour>, steps: u64) -> Options {
    let mut options = options(seed, behaviours);
    let mut referee = Referee::new(steps);
    referee.answer_ms = 120_000;
    referee.spot_check_every = 10;
    options.rules.referee = Some(referee);
    options.rules.seats = 2 + (seed % 2) as usize;
    options
}

#[test]
fn no_kind_of_liar_wins_a_dispute() {
    for seed in seeds(4) {
        for (at, liar) in LIARS.into_iter().enumerate() {
            let steps = [1, 2, 63, 200][(seed as usize + at) % 4];
            let groups = [(Behaviour::Honest, 9), (liar, 3)];
            let mut options = refereed(seed, crowd(&groups), steps);
            options.jobs = 60;
            options.cheater_speed = CheaterSpeed::OwnSpeed;
            let world = run(options);
            assert!(
                world.checker.disputes > 0 || liar == Behaviour::Saboteur,
                "{liar:?}"
            );
            assert_eq!(world.checker.failed, 0, "{liar:?}");
            // Only jobs without an honest miner.
            assert!(
                world.checker.wrong < 12,
                "{liar:?}: {}",
                world.checker.wrong
            );
        }
    }
}

#[test]
fn a_faulty_network_loses_no_dispute() {
    let mut added = 0;
    for seed in seeds(12) {
        let mut groups = LIARS.map(|liar| (liar, 1)).to_vec();
        groups.extend([
            (Behaviour::Honest, 12),
            (Behaviour::Colluder, 3),
            (Behaviour::Malformed, 1),
            (Behaviour::Staller, 1),
            (Behaviour::Crasher, 2),
            (Behaviour::Mortal, 3),
        ]);
        let mut options = refereed(seed, crowd(&groups), 100);
        options.faults = FAULTS;
        options.failing_job_every = 20;
        options.crashing_job_every = 25;
        options.owners = seed % 2 == 0;
        options.opened_before_join = seed % 3 == 1;
        options.late_tick_ms = seed % 2 * 7_000;
        options.rules.max_retries = if seed % 4 == 3 { 0 } else { 5 };
        if seed % 3 == 0 {
            options.rules.reputation = Some(naschain_consensus::Reputation::default());
        }
        let checker = run(options).checker;
        assert_eq!(checker.opened, 200);
        let counts = [checker.disputes, checker.called, checker.unanswered];
        assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
        added += checker.added;
    }
    assert!(added > 0);
}

#[test]
fn few_miners_end_every_disputed_job_while_some_come_and_go() {
    for seed in seeds(100) {
        let groups = [
            (Behaviour::Honest, 3),
            (Behaviour::Mortal, 1 + (seed % 5) as usize),
            (LIARS[(seed / 2 % 10) as usize], 1 + (seed % 2) as usize),
        ];
        let mut options = refereed(seed, crowd(&groups), 30);
        options.jobs = 60;
        options.open_jobs = 1 + seed % 3;
        options.faults = FAULTS;
        options.rules.max_self_selected = 1 + (seed % 3) as usize;
        run(options);
    }
}
