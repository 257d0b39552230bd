//! Simulates a board with slow, lying, crashing and dead miners behind a faulty network. After
//! every step the checker asserts the board's invariants. A failure names its seed; to run one
//! seed: `SIMULATION_SEED=7 cargo test -p naschain-consensus --test simulation`.

#[path = "simulation/checker.rs"]
#[allow(
    dead_code,
    reason = "shared with the example, which reads other figures"
)]
mod checker;
#[path = "simulation/refereed.rs"]
mod refereed;
#[path = "simulation/strangers.rs"]
mod strangers;
#[path = "simulation/world.rs"]
#[allow(
    dead_code,
    reason = "shared with the example, which reads other figures"
)]
mod world;

use naschain_consensus::{JobBoard, Referee, Rule, Rules, Trust};
use world::{Behaviour, CheaterSpeed, Faults, Options, World};

fn seeds(count: u64) -> Vec<u64> {
    match std::env::var("SIMULATION_SEED") {
        Ok(seed) => vec![seed.parse().expect("SIMULATION_SEED is a number")],
        Err(_) => (0..count).collect(),
    }
}

fn crowd(groups: &[(Behaviour, usize)]) -> Vec<Behaviour> {
    let of = |&(behaviour, count): &(Behaviour, usize)| std::iter::repeat_n(behaviour, count);
    groups.iter().flat_map(of).collect()
}

fn options(seed: u64, behaviours: Vec<Behaviour>) -> Options {
    let mut rules = Rules::default();
    rules.agreement.rule = Rule::Exact;
    rules.job_limit_ms = 3_600_000;
    rules.reputation = None;
    Options {
        seed,
        rules,
        behaviours,
        jobs: 200,
        open_jobs: 30,
        in_waves: false,
        opened_before_join: false,
        strangers_join_ms: 0,
        speed_ratio: 10.0,
        slowest_ms: 300_000,
        faults: Faults::default(),
        failing_job_every: 0,
        crashing_job_every: 0,
        deterministic: true,
        poll_ms: 15_000,
        late_tick_ms: 0,
        cheater_speed: CheaterSpeed::Instant,
        owners: false,
        keep: true,
    }
}

fn run(options: Options) -> World {
    let seed = options.seed;
    println!("seed {seed}");
    let mut world = World::new(options);
    assert!(
        world.run(2_000_000),
        "{} jobs never end",
        world.board.open_jobs()
    );
    world
}

const FAULTS: Faults = Faults {
    loss: 0.1,
    duplication: 0.1,
    reordering: 0.1,
    max_delay_ms: 20_000,
};

#[test]
fn honest_miners_end_every_job_with_agreement() {
    for seed in seeds(5) {
        let world = run(options(seed, crowd(&[(Behaviour::Honest, 10)])));
        assert_eq!(world.checker.closed, 200);
        assert_eq!(world.checker.new_rounds + world.checker.expired, 0);
        let points: u64 = world
            .checker
            .scores
            .tallies()
            .map(|(_, tally)| tally.points)
            .sum();
        assert_eq!(points, 600);
        assert!(world.now as f64 >= world.makespan_bound_ms());
    }
}

#[test]
fn hostile_miners_and_a_faulty_network_lose_no_job() {
    let groups = [
        (Behaviour::Honest, 12),
        (Behaviour::Liar, 2),
        (Behaviour::Guesser, 2),
        (Behaviour::Copier, 1),
        (Behaviour::Colluder, 3),
        (Behaviour::Malformed, 1),
        (Behaviour::Staller, 1),
        (Behaviour::Crasher, 2),
        (Behaviour::Farmer, 1),
        (Behaviour::Mortal, 4),
    ];
    for seed in seeds(12) {
        for rule in [Rule::Tolerance, Rule::Exact, Rule::Chained] {
            let mut options = options(seed, crowd(&groups));
            options.rules.agreement.rule = rule;
            options.faults = FAULTS;
            options.failing_job_every = 20;
            options.crashing_job_every = 25;
            options.deterministic = rule == Rule::Exact;
            options.owners = seed % 2 == 0;
            options.opened_before_join = seed % 3 == 1;
            options.rules.trust = (seed % 4 == 0).then(Trust::default);
            options.rules.epochs = (seed % 5) as u32 * 5;
            options.late_tick_ms = seed % 2 * 7_000;
            options.rules.max_retries = if seed % 4 == 3 { 0 } else { 5 };
            let world = run(options);
            assert_eq!(world.checker.opened, 200);
            assert!(world.checker.expired > 0 && world.checker.failed > 0);
            assert!(world.checker.speculative + world.checker.reassigned > 0);
            assert!(world.checker.given_up > 0);
        }
    }
}

#[test]
fn liars_and_guessers_earn_nothing_under_the_exact_rule() {
    for seed in seeds(5) {
        let groups = [
            (Behaviour::Honest, 12),
            (Behaviour::Liar, 3),
            (Behaviour::Guesser, 3),
        ];
        let world = run(options(seed, crowd(&groups)));
        for (miner, tally) in world.checker.scores.tallies() {
            if !miner.as_str().starts_with("Honest") {
                assert_eq!(tally.points, 0, "{miner}");
            }
        }
    }
}

/// Miners whose speeds differ 10-fold, with more open jobs than they can train at once.
fn steady(seed: u64, behaviours: Vec<Behaviour>) -> Options {
    let mut options = options(seed, behaviours);
    options.jobs = 1_500;
    options.open_jobs = 200;
    options.poll_ms = 5_000;
    options.keep = false;
    options
}

#[test]
fn work_stealing_keeps_fast_miners_at_work() {
    for seed in seeds(2) {
        let mut options = steady(seed, crowd(&[(Behaviour::Honest, 100)]));
        options.jobs = 4_000;
        let over_bound = |options: Options| {
            let world = run(options);
            world.now as f64 / world.makespan_bound_ms()
        };
        let with = over_bound(options.clone());
        options.rules.work_stealing = false;
        options.rules.watchdog = None;
        options.jobs = 1_000;
        let without = over_bound(options);
        assert!((1.0..1.15).contains(&with), "{with}");
        assert!(without > 3.0, "{without}");
    }
}

#[test]
fn a_coalition_that_answers_at_once_does_not_win_all_jobs() {
    for seed in seeds(2) {
        let groups = [(Behaviour::Honest, 90), (Behaviour::Colluder, 10)];
        let mut options = steady(seed, crowd(&groups));
        let won = |options: Options| {
            let jobs = options.jobs as f64;
            run(options).checker.wrong as f64 / jobs
        };
        let limited = won(options.clone());
        options.opened_before_join = true;
        let limited_from_the_start = won(options.clone());
        options.rules.max_speed_percent = u32::MAX;
        options.rules.max_self_selected = 64;
        let unlimited = won(options);
        assert!(limited < 0.13, "{limited}");
        assert!(limited_from_the_start < 0.13, "{limited_from_the_start}");
        assert!(unlimited > 0.9, "{unlimited}");
    }
}

#[test]
fn replaying_the_journal_restores_the_board() {
    for seed in seeds(3) {
        let groups = [
            (Behaviour::Honest, 6),
            (Behaviour::Liar, 2),
            (Behaviour::Mortal, 2),
        ];
        let mut options = options(seed, crowd(&groups));
        options.faults = FAULTS;
        options.rules.referee = (seed > 0).then(|| Referee::new(50));
        let world = run(options.clone());
        let mut board = JobBoard::new(options.rules, seed).unwrap();
        let mut actions = Vec::new();
        for (now, event) in &world.journal {
            // Through JSON, as in a journal.
            let text = serde_json::to_string(event).unwrap();
            let event = serde_json::from_str(&text).unwrap();
            actions.extend(board.handle(*now, event).unwrap());
        }
        assert_eq!(actions, world.actions);
        assert_eq!(format!("{board:?}"), format!("{:?}", world.board));
        let text = serde_json::to_string(&actions).unwrap();
        assert_eq!(
            serde_json::from_str::<Vec<naschain_consensus::Action>>(&text).unwrap(),
            actions
        );
    }
}

#[test]
fn the_same_seed_gives_the_same_world() {
    let behaviours = crowd(&[(Behaviour::Honest, 5), (Behaviour::Crasher, 2)]);
    let [one, other, third] = [1, 1, 2].map(|seed| run(options(seed, behaviours.clone())).actions);
    assert_eq!(one, other);
    assert_ne!(one, third);
}

#[test]
fn miners_that_only_join_delay_no_job() {
    for seed in seeds(6) {
        let (honest, lurkers) = [(9, 1), (8, 4), (4, 6)][seed as usize % 3];
        let groups = [(Behaviour::Honest, honest), (Behaviour::Lurker, lurkers)];
        let mut options = options(seed, crowd(&groups));
        options.opened_before_join = seed >= 3;
        options.jobs = 100;
        let world = run(options);
        assert_eq!(world.checker.closed, 100);
    }
}

/// With no spare miners, a lost seat must not wait for a miner that does not exist.
#[test]
fn three_or_four_miners_end_every_job_while_some_come_and_go() {
    for seed in seeds(200) {
        let groups = [
            (Behaviour::Honest, 3),
            (Behaviour::Mortal, 1 + (seed % 6) as usize),
            (Behaviour::Liar, (seed / 6 % 2) as usize),
        ];
        let mut options = options(seed, crowd(&groups));
        options.open_jobs = 1 + seed % 3;
        options.faults = FAULTS;
        options.rules.max_self_selected = 1 + (seed % 3) as usize;
        run(options);
    }
}

#[test]
fn two_miners_wait_for_a_third() {
    let mut world = World::new(options(0, crowd(&[(Behaviour::Honest, 2)])));
    assert!(!world.run(5_000), "two miners cannot fill three seats");
    assert_eq!(world.checker.closed + world.checker.failed, 0);
    assert_eq!(world.board.open_jobs(), 30);
}
