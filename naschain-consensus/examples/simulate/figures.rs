//! What schedules cost and what conduct earns.

use naschain_consensus::{Agreement, Rule, Rules, Trust};

use crate::world::{Conduct, Faults, Options, World};

/// One number and what it means.
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

fn options(seed: u64, jobs: u64, faults: Faults, groups: &[(Conduct, usize)]) -> Options {
    let of = |&(conduct, count): &(Conduct, usize)| std::iter::repeat_n(conduct, count);
    Options {
        seed,
        rules: Rules {
            agreement: Agreement {
                rule: Rule::Exact,
                ..Agreement::default()
            },
            epochs: 20,
            ..Rules::default()
        },
        conducts: groups.iter().flat_map(of).collect(),
        jobs,
        open_jobs: 200,
        speed_ratio: 10.0,
        slowest_ms: 600_000,
        faults,
        failing_job_every: 0,
        deterministic: true,
        poll_ms: 5_000,
        patient: true,
        owners: false,
        known_job_every: 0,
        keep: false,
    }
}

fn run(options: Options) -> World {
    let mut world = World::new(options);
    assert!(world.run(u64::MAX), "a job never ends");
    world
}

/// 100 honest miners whose speeds differ 10-fold, with and without the watchdog.
pub(crate) fn makespan(seed: u64, jobs: u64, faults: Faults) -> Vec<Figure> {
    let options = options(seed, jobs, faults, &[(Conduct::Honest, 100)]);
    let over_bound = |take_over: bool, watchdog: bool, open_jobs: u64| {
        let mut options = options.clone();
        options.rules.take_over = take_over;
        options.open_jobs = open_jobs;
        if !watchdog {
            options.rules.watchdog = None;
        }
        let world = run(options);
        let ratio = world.now as f64 / world.makespan_bound_ms();
        (
            ratio,
            world.checker.copied as f64 / (3 * jobs) as f64,
            world,
        )
    };
    let (full, copied, world) = over_bound(true, true, 200);
    let (taken, _, _) = over_bound(true, false, 200);
    let (none, _, _) = over_bound(false, false, 200);
    let (tight, _, _) = over_bound(true, true, 50);
    let (tight_none, _, _) = over_bound(false, false, 50);
    let mut capped = options.clone();
    capped.rules.max_taken_over = 1;
    let capped = run(capped);
    let capped = capped.now as f64 / capped.makespan_bound_ms();
    // Rewards against honest work, in the same world.
    let rates = world.miners.iter().map(|miner| {
        let tally = world.checker.scores.tally(&miner.name);
        tally.points as f64 / miner.answers.max(1) as f64
    });
    let rates: Vec<f64> = rates.collect();
    let mean = rates.iter().sum::<f64>() / rates.len() as f64;
    let off = rates.iter().map(|rate| (rate / mean - 1.0).abs());
    vec![
        figure(
            "makespan_over_bound",
            full,
            "with the watchdog, 200 jobs open at a time",
        ),
        figure(
            "makespan_over_bound_take_over_only",
            taken,
            "idle miners take over, nothing is copied",
        ),
        figure(
            "makespan_over_bound_one_taken_over",
            capped,
            "with the watchdog, one seat of a batch is taken over at most",
        ),
        figure(
            "makespan_over_bound_no_watchdog",
            none,
            "everybody does what it was dealt",
        ),
        figure(
            "makespan_over_bound_tight",
            tight,
            "with the watchdog, 50 jobs open at a time: seats for half as many miners again",
        ),
        figure(
            "makespan_over_bound_tight_no_watchdog",
            tight_none,
            "everybody does what it was dealt",
        ),
        figure(
            "copies_per_seat",
            copied,
            "leases granted as copies, for each seat",
        ),
        figure(
            "reward_per_answer_worst_deviation",
            off.fold(0.0, f64::max),
            "from the mean, over all honest miners",
        ),
    ]
}

/// What each conduct earns for an answer under each rule: 70 honest miners and 5 of each other.
pub(crate) fn rewards(seed: u64, jobs: u64, faults: Faults) -> Vec<Figure> {
    const OTHERS: [Conduct; 5] = [
        Conduct::Liar,
        Conduct::Guesser,
        Conduct::Copier,
        Conduct::Farmer,
        Conduct::Colluder,
    ];
    let mut found = Vec::new();
    for (name, rule, trust) in [
        ("exact", Rule::Exact, None),
        ("exact_trust", Rule::Exact, Some(Trust::default())),
        ("tolerance", Rule::Tolerance, None),
        ("chained", Rule::Chained, None),
    ] {
        let mut groups = vec![(Conduct::Honest, 70)];
        groups.extend(OTHERS.map(|conduct| (conduct, 5)));
        let mut options = options(seed, jobs, faults, &groups);
        options.rules.agreement.rule = rule;
        options.rules.trust = trust;
        // Where digests are not compared, honest miners need not train alike.
        options.deterministic = rule == Rule::Exact;
        let world = run(options);
        for conduct in std::iter::once(Conduct::Honest).chain(OTHERS) {
            let of = world.miners.iter().filter(|miner| miner.conduct == conduct);
            let sums = of.map(|miner| {
                let tally = world.checker.scores.tally(&miner.name);
                (tally.points, miner.answers)
            });
            let (points, answers) = sums.fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
            found.push(figure(
                format!("{}_reward_{name}", format!("{conduct:?}").to_lowercase()),
                points as f64 / answers.max(1) as f64,
                "points for an answer",
            ));
        }
        let wrong = world.checker.wrong as f64 / jobs as f64;
        found.push(figure(
            format!("wrong_batches_{name}"),
            wrong,
            "share of jobs closed on a wrong result",
        ));
        let single = world.checker.single as f64 / jobs as f64;
        found.push(figure(
            format!("single_seat_batches_{name}"),
            single,
            "share of jobs dealt to one trusted miner",
        ));
    }
    found
}

/// What a coalition of 10, 20 and 30 of 100 miners earns that all say the same wrong thing.
pub(crate) fn collusion(seed: u64, jobs: u64, faults: Faults) -> Vec<Figure> {
    let mut found = Vec::new();
    for share in [10usize, 20, 30] {
        let groups = [(Conduct::Honest, 100 - share), (Conduct::Colluder, share)];
        for (name, patient, owners, seats, most) in [
            ("patient", true, false, 3, 64),
            ("hasty", false, false, 3, 64),
            ("hasty_one_taken_over", false, false, 3, 1),
            ("hasty_none_taken_over", false, false, 3, 0),
            ("patient_5_seats", true, false, 5, 64),
            ("one_owner", true, true, 3, 64),
            ("hasty_one_owner", false, true, 3, 64),
        ] {
            let mut options = options(seed, jobs, faults, &groups);
            options.patient = patient;
            options.owners = owners;
            options.rules.seats = seats;
            options.rules.max_taken_over = most;
            // All alike, so that the coalition's share of the seats is its share of the miners.
            options.speed_ratio = 1.0;
            let world = run(options);
            let ring = world
                .miners
                .iter()
                .filter(|miner| miner.conduct == Conduct::Colluder);
            let points = ring.map(|miner| world.checker.scores.tally(&miner.name).points);
            let points = points.sum::<u64>() as f64 / jobs as f64;
            let won = world.checker.wrong as f64 / jobs as f64;
            found.push(figure(
                format!("colluders_{share}_won_{name}"),
                won,
                "share of jobs closed on their result",
            ));
            found.push(figure(
                format!("colluders_{share}_points_{name}"),
                points,
                "their points for each job of the network",
            ));
        }
    }
    found
}
