//! What a coalition of 10, 20 and 30 of 100 miners earns whose members submit the same wrong result
//! without training: at the speed of a training, at the speed of the fastest miner, or at once.

use naschain_consensus::{Rule, Rules};

use crate::figures::{Figure, earned, figure, options, run, under};
use crate::world::{Behaviour, CheaterSpeed, Faults, Options};

struct Variant {
    name: &'static str,
    rule: Rule,
    cheater_speed: CheaterSpeed,
    owners: bool,
    change: Change,
}

type Change = fn(&mut Rules);

impl Variant {
    const fn new(name: &'static str, rule: Rule, cheater_speed: CheaterSpeed) -> Self {
        Variant {
            name,
            rule,
            cheater_speed,
            owners: false,
            change: |_| {},
        }
    }
}

fn variants() -> Vec<Variant> {
    use CheaterSpeed::{Instant, OwnSpeed, TopSpeed};
    let mut variants = Vec::new();
    for (cheater_speed, names) in [
        (
            OwnSpeed,
            [
                "exact_own_speed",
                "tolerance_own_speed",
                "chained_own_speed",
            ],
        ),
        (
            TopSpeed,
            [
                "exact_top_speed",
                "tolerance_top_speed",
                "chained_top_speed",
            ],
        ),
        (
            Instant,
            ["exact_at_once", "tolerance_at_once", "chained_at_once"],
        ),
    ] {
        for (rule, name) in [Rule::Exact, Rule::Tolerance, Rule::Chained]
            .into_iter()
            .zip(names)
        {
            variants.push(Variant::new(name, rule, cheater_speed));
        }
    }
    let changed: [(&'static str, CheaterSpeed, Change); 4] = [
        ("exact_at_once_unlimited", Instant, |rules| {
            rules.max_self_selected = 64;
            rules.max_speed_percent = u32::MAX;
        }),
        ("exact_at_once_none_self_selected", Instant, |rules| {
            rules.max_self_selected = 0
        }),
        ("exact_at_once_any_self_selected", Instant, |rules| {
            rules.max_self_selected = 64
        }),
        ("exact_at_once_5_seats", Instant, |rules| rules.seats = 5),
    ];
    for (name, cheater_speed, change) in changed {
        variants.push(Variant {
            change,
            ..Variant::new(name, Rule::Exact, cheater_speed)
        });
    }
    variants.push(Variant {
        owners: true,
        ..Variant::new("exact_at_once_one_owner", Rule::Exact, Instant)
    });
    variants
}

pub(crate) fn collusion(seed: u64, jobs: u64, faults: Faults) -> Vec<Figure> {
    let mut found = Vec::new();
    for share in [10usize, 20, 30] {
        let groups = [
            (Behaviour::Honest, 100 - share),
            (Behaviour::Colluder, share),
        ];
        for variant in variants() {
            let mut options: Options = under(variant.rule, options(seed, jobs, faults, &groups));
            options.cheater_speed = variant.cheater_speed;
            options.owners = variant.owners;
            (variant.change)(&mut options.rules);
            let world = run(options);
            let (points, answers) = earned(&world, Behaviour::Colluder);
            found.push(figure(
                format!("colluders_{share}_won_{}", variant.name),
                world.checker.wrong as f64 / jobs as f64,
                "share of jobs closed on their result",
            ));
            found.push(figure(
                format!("colluders_{share}_reward_{}", variant.name),
                points as f64 / answers.max(1) as f64,
                "points for each job answered",
            ));
        }
    }
    found
}
