//! What forgetful, failing and squatting hotkeys cost honest miners, under the rules of new runs.

use naschain_consensus::Reputation;

use crate::figures::{Figure, figure, options, run};
use crate::world::{Behaviour, Faults, Options};

const SQUATTERS: [Behaviour; 2] = [Behaviour::Staller, Behaviour::Boaster];

/// 5 honest miners among 400 hotkeys that lose their jobs; 12 squatters among 20 and among 5.
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
    for honest in [20, 5] {
        let honest_only = (Behaviour::Honest, honest);
        let undisturbed = duration_ms(of(&[honest_only]));
        for squatter in SQUATTERS {
            let disturbed = duration_ms(of(&[honest_only, (squatter, 12)]));
            found.push(figure(
                format!("throughput_{honest}_honest_12_{}", name(squatter)),
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

fn duration_ms(options: Options) -> f64 {
    run(options).now as f64
}
