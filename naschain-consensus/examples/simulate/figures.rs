//! Figures, and the worlds to measure them in.

use naschain_consensus::{Rule, Rules};

use crate::world::{Behaviour, CheaterSpeed, Faults, Options, World};

/// A measured number and its meaning.
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) meaning: &'static str,
}

pub(crate) fn figure(name: impl Into<String>, value: f64, meaning: &'static str) -> Figure {
    Figure {
        name: name.into(),
        value,
        meaning,
    }
}

/// Miners whose speeds differ 10-fold; the slowest one trains for ten minutes.
pub(crate) fn options(
    seed: u64,
    jobs: u64,
    faults: Faults,
    groups: &[(Behaviour, usize)],
) -> Options {
    let of = |&(behaviour, count): &(Behaviour, usize)| std::iter::repeat_n(behaviour, count);
    let mut rules = Rules::default();
    rules.agreement.rule = Rule::Exact;
    rules.epochs = 20;
    rules.reputation = None;
    Options {
        seed,
        rules,
        behaviours: groups.iter().flat_map(of).collect(),
        jobs,
        open_jobs: 200,
        in_waves: false,
        opened_before_join: false,
        strangers_join_ms: 0,
        speed_ratio: 10.0,
        slowest_ms: 600_000,
        faults,
        failing_job_every: 0,
        crashing_job_every: 0,
        deterministic: true,
        poll_ms: 5_000,
        late_tick_ms: 0,
        cheater_speed: CheaterSpeed::OwnSpeed,
        owners: false,
        keep: false,
    }
}

/// The options under a rule. Only the exact rule needs deterministic training.
pub(crate) fn under(rule: Rule, mut options: Options) -> Options {
    options.rules.agreement.rule = rule;
    options.deterministic = rule == Rule::Exact;
    options
}

pub(crate) fn run(options: Options) -> World {
    let mut world = World::new(options);
    assert!(world.run(u64::MAX), "a job never ends");
    world
}

/// The points and the number of answers of all miners of one behaviour.
pub(crate) fn earned(world: &World, behaviour: Behaviour) -> (u64, u64) {
    let of = world
        .miners
        .iter()
        .filter(|miner| miner.behaviour == behaviour);
    let sums = of.map(|miner| {
        let tally = world.checker.scores.tally(&miner.name);
        (tally.points, miner.answers)
    });
    sums.fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1))
}
