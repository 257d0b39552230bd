//! What coalitions and single liars win where a referee decides between answers that differ, what a
//! job costs then, and how long it takes.

use naschain_consensus::{Error, Referee, Reputation, Rules};

use crate::figures::{Figure, earned, figure, options, run};
use crate::world::{Behaviour, CheaterSpeed, Faults, LIARS, Options, World};

/// Steps of a training.
const STEPS: u64 = 500;

/// The seats of a job and who decides.
const NETWORKS: [(&str, usize, bool); 3] = [
    ("3_majority", 3, false),
    ("3_refereed", 3, true),
    ("2_refereed", 2, true),
];

/// The apparent speed of a coalition that does not train, and the maximum number of self-selected
/// miners of a job.
const SPEEDS: [(&str, CheaterSpeed, usize); 4] = [
    ("drawn", CheaterSpeed::OwnSpeed, 0),
    ("own_speed", CheaterSpeed::OwnSpeed, 1),
    ("top_speed", CheaterSpeed::TopSpeed, 1),
    ("at_once", CheaterSpeed::Instant, 1),
];

/// Rules to change, by name and value.
pub(crate) type Changes = [(String, String)];

fn change(rules: &mut Rules, changes: &Changes) -> Result<(), Error> {
    changes
        .iter()
        .try_for_each(|(name, value)| rules.set(name, value))?;
    rules.validate()
}

fn records() -> Reputation {
    // The slowest machine trains 1,700 FLOPs a second.
    let mut reputation = Reputation::default();
    reputation.min_flops_per_second = 500;
    reputation.draw_wait_ms = 2_000;
    reputation
}

fn network(mut options: Options, seats: usize, is_refereed: bool) -> Options {
    options.rules.seats = seats;
    options.rules.referee = is_refereed.then(|| Referee::new(STEPS));
    options
}

fn trainings_per_job(world: &World) -> f64 {
    let answers: u64 = world.miners.iter().map(|miner| miner.answers).sum();
    answers as f64 / world.options.jobs as f64
}

/// # Errors
/// If a rule to change does not exist or has an invalid value.
pub(crate) fn refereed(
    seed: u64,
    jobs: u64,
    faults: Faults,
    changes: &Changes,
) -> Result<Vec<Figure>, Error> {
    let mut found = Vec::new();
    for (network_name, seats, is_refereed) in NETWORKS {
        let honest = options(seed, jobs, faults, &[(Behaviour::Honest, 100)]);
        let mut honest = network(honest, seats, is_refereed);
        change(&mut honest.rules, changes)?;
        let world = run(honest);
        found.push(figure(
            format!("{network_name}_makespan_over_bound"),
            world.now as f64 / world.makespan_bound_ms(),
            "100 honest miners",
        ));
        found.push(figure(
            format!("{network_name}_trainings"),
            trainings_per_job(&world),
            "for each job of 100 honest miners",
        ));
        for share in [10usize, 20, 30, 50] {
            let of = |behaviour| {
                let groups = [(Behaviour::Honest, 100 - share), (behaviour, share)];
                network(options(seed, jobs, faults, &groups), seats, is_refereed)
            };
            for (speed, cheater_speed, max_self_selected) in SPEEDS {
                for (coalition, behaviour, reputation) in [
                    ("liars", Behaviour::Colluder, None),
                    ("liars_records", Behaviour::Colluder, Some(records())),
                    ("schemers", Behaviour::Schemer, None),
                ] {
                    let mut options = of(behaviour);
                    options.cheater_speed = cheater_speed;
                    options.rules.max_self_selected = max_self_selected;
                    options.rules.reputation = reputation;
                    change(&mut options.rules, changes)?;
                    let world = run(options);
                    let name = format!("{network_name}_{share}_{coalition}_{speed}");
                    let won = world.checker.wrong.max(world.captured) as f64 / jobs as f64;
                    found.push(figure(name, won, "share of jobs that the coalition wins"));
                }
            }
        }
    }
    found.extend(liars(seed, jobs, faults, changes)?);
    Ok(found)
}

/// What each kind of liar earns among 80 honest miners, two of each kind.
fn liars(seed: u64, jobs: u64, faults: Faults, changes: &Changes) -> Result<Vec<Figure>, Error> {
    let mut groups = LIARS.map(|liar| (liar, 2)).to_vec();
    groups.push((Behaviour::Honest, 80));
    let mut found = Vec::new();
    for (name, seats, is_refereed) in NETWORKS.into_iter().filter(|(.., refereed)| *refereed) {
        let mut options = network(options(seed, jobs, faults, &groups), seats, is_refereed);
        change(&mut options.rules, changes)?;
        let world = run(options);
        for behaviour in [Behaviour::Honest].into_iter().chain(LIARS) {
            let (points, answers) = earned(&world, behaviour);
            let miner = format!("{behaviour:?}").to_lowercase();
            found.push(figure(
                format!("{name}_reward_{miner}"),
                points as f64 / answers.max(1) as f64,
                "points for each job answered",
            ));
        }
        let checker = &world.checker;
        for (figure_name, count, of, meaning) in [
            (
                "wrong",
                checker.wrong,
                jobs,
                "share of jobs closed with a wrong result",
            ),
            ("disputes", checker.disputes, jobs, "for each job"),
            (
                "questions",
                checker.asked,
                checker.disputes,
                "for each dispute",
            ),
            (
                "rulings",
                checker.called,
                checker.disputes,
                "for each dispute",
            ),
        ] {
            let share = count as f64 / of.max(1) as f64;
            found.push(figure(format!("{name}_{figure_name}"), share, meaning));
        }
        found.push(figure(
            format!("{name}_trainings_with_liars"),
            trainings_per_job(&world),
            "for each job",
        ));
    }
    Ok(found)
}
