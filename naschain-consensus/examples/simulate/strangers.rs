//! What forgetful, failing and squatting hotkeys cost honest miners, under the rules of new runs.

use naschain_consensus::Reputation;

use crate::figures::{Figure, figure, options, run};
use crate::world::{Behaviour, Faults};

const SQUATTERS: [Behaviour; 3] = [Behaviour::Staller, Behaviour::Boaster, Behaviour::Pretender];

/// 5 honest miners among 400 hotkeys that lose their jobs; 12 squatters among 20 and among 5, with jobs
/// opened one after the other and in waves of 30.
pub(crate) fn strangers(seed: u64, jobs: u64, faults: Faults) -> Vec<Figure> {
    let of = |groups: &[(Behaviour, usize)]| {
        let mut options = options(seed, jobs, faults, groups);
        options.open_jobs = 30;
        // The slowest machine trains 1,700 FLOPs a second.
        let mut reputation = Reputation::default();
        reputation.min_flops_per_second = 500;
        reputation.draw_wait_ms = 2_000;
        options.rules.reputation = Some(reputation);
        options
    };
    let mut found = Vec::new();
    for hotkeys in [Behaviour::Forgetful, Behaviour::Failer] {
        let world = run(of(&[(Behaviour::Honest, 5), (hotkeys, 400)]));
        found.push(figure(
            format!("accepted_with_400_{}", name(hotkeys)),
            world.checker.closed as f64 / jobs as f64,
            "share of jobs accepted with 5 honest miners",
        ));
    }
    for (honest, in_waves) in [(20, false), (5, false), (20, true), (5, true)] {
        let duration_ms = |groups: &[(Behaviour, usize)]| {
            let mut options = of(groups);
            options.in_waves = in_waves;
            run(options).now as f64
        };
        let honest_only = (Behaviour::Honest, honest);
        let undisturbed = duration_ms(&[honest_only]);
        let waves = if in_waves { "_in_waves" } else { "" };
        for squatter in SQUATTERS {
            let disturbed = duration_ms(&[honest_only, (squatter, 12)]);
            found.push(figure(
                format!("throughput{waves}_{honest}_honest_12_{}", name(squatter)),
                undisturbed / disturbed,
                "share of the undisturbed throughput",
            ));
        }
    }
    found
}

fn name(behaviour: Behaviour) -> String {
    format!("{behaviour:?}").to_lowercase()
}
