//! The makespan of schedules: 100 honest miners whose speeds differ 10-fold.

use naschain_consensus::Rules;

use crate::figures::{Figure, figure, options, run};
use crate::world::{Behaviour, Faults, World};

pub(crate) fn makespan(seed: u64, jobs: u64, faults: Faults) -> Vec<Figure> {
    let options = options(seed, jobs, faults, &[(Behaviour::Honest, 100)]);
    let mut found = Vec::new();
    let mut over_bound = |name: &str, meaning, open_jobs: u64, change: fn(&mut Rules)| -> World {
        let mut options = options.clone();
        options.open_jobs = open_jobs;
        change(&mut options.rules);
        let world = run(options);
        let ratio = world.now as f64 / world.makespan_bound_ms();
        found.push(figure(format!("makespan_over_bound{name}"), ratio, meaning));
        world
    };
    let without: fn(&mut Rules) = |rules| {
        rules.work_stealing = false;
        rules.watchdog = None;
    };
    let world = over_bound(
        "",
        "the default rules, 200 jobs open at a time",
        200,
        |_| {},
    );
    over_bound("_1000_open", "the same with 1000 jobs open", 1000, |_| {});
    over_bound(
        "_50_open",
        "the same with 50 jobs open: 150 seats for 100 miners",
        50,
        |_| {},
    );
    over_bound(
        "_stealing_only",
        "work stealing without speculative execution",
        200,
        |rules| rules.watchdog = None,
    );
    over_bound(
        "_no_watchdog",
        "neither work stealing nor speculative execution",
        200,
        without,
    );
    over_bound(
        "_no_watchdog_50_open",
        "the same with 50 jobs open",
        50,
        without,
    );
    over_bound("_none_self_selected", "max_self_selected 0", 200, |rules| {
        rules.max_self_selected = 0
    });
    over_bound("_two_self_selected", "max_self_selected 2", 200, |rules| {
        rules.max_self_selected = 2
    });
    over_bound("_all_self_selected", "max_self_selected 3", 200, |rules| {
        rules.max_self_selected = 3
    });
    found.push(figure(
        "speculative_per_seat",
        world.checker.speculative as f64 / (3 * jobs) as f64,
        "speculative leases for each seat",
    ));
    found.extend(fairness(&world));
    found
}

/// How evenly honest work is rewarded.
fn fairness(world: &World) -> [Figure; 2] {
    let rates = world.miners.iter().map(|miner| {
        let tally = world.checker.scores.tally(&miner.name);
        tally.points as f64 / miner.answers.max(1) as f64
    });
    let rates: Vec<f64> = rates.collect();
    let mean = rates.iter().sum::<f64>() / rates.len() as f64;
    let off = rates.iter().map(|rate| (rate / mean - 1.0).abs());
    [
        figure("reward_per_answer", mean, "points, over all honest miners"),
        figure(
            "reward_per_answer_worst_deviation",
            off.fold(0.0, f64::max),
            "from the mean, over all honest miners",
        ),
    ]
}
