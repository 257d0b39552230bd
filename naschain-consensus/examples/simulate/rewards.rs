//! What each behaviour earns for a job that it answers, under each agreement rule.

use naschain_consensus::{Rule, Trust};

use crate::figures::{Figure, earned, figure, options, run, under};
use crate::world::{Behaviour, Faults};

const OTHERS: [Behaviour; 4] = [
    Behaviour::Liar,
    Behaviour::Guesser,
    Behaviour::Copier,
    Behaviour::Farmer,
];

/// 80 honest miners and 5 of each other behaviour; colluders have a part of their own.
pub(crate) fn rewards(seed: u64, jobs: u64, faults: Faults) -> Vec<Figure> {
    let mut found = Vec::new();
    for (name, rule, trust) in [
        ("exact", Rule::Exact, None),
        ("exact_trust", Rule::Exact, Some(Trust::default())),
        ("tolerance", Rule::Tolerance, None),
        ("chained", Rule::Chained, None),
    ] {
        let mut groups = vec![(Behaviour::Honest, 80)];
        groups.extend(OTHERS.map(|behaviour| (behaviour, 5)));
        let mut options = under(rule, options(seed, jobs, faults, &groups));
        options.rules.trust = trust;
        let world = run(options);
        for behaviour in std::iter::once(Behaviour::Honest).chain(OTHERS) {
            let (points, answers) = earned(&world, behaviour);
            found.push(figure(
                format!("{}_reward_{name}", format!("{behaviour:?}").to_lowercase()),
                points as f64 / answers.max(1) as f64,
                "points for each job answered",
            ));
        }
        found.push(figure(
            format!("wrong_jobs_{name}"),
            world.checker.wrong as f64 / jobs as f64,
            "share of jobs closed on a wrong result",
        ));
        if trust.is_some() {
            found.push(figure(
                format!("single_seat_jobs_{name}"),
                world.checker.single as f64 / jobs as f64,
                "share of jobs assigned to one trusted miner",
            ));
        }
    }
    found
}
