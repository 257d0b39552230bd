//! Spaces of named variables of several kinds, and several constraints.

use naschain_core::{Purpose, Stream};
use naschain_nsga::{
    Bits, Design, Error, Evaluated, Finish, Genes, Mode, Mutations, Objective, Outcome, Search,
    SearchConfig, Value, Variable, Variables, hypervolume,
};
use proptest::prelude::*;

fn mixed() -> Variables {
    Variables::new([
        Variable::real("x", -5.0, 5.0),
        Variable::log_real("rate", 1e-5, 1.0),
        Variable::integer("count", -3, 12),
        Variable::log_integer("width", 1, 1000),
        Variable::category("kind", ["a", "b", "c"]),
        Variable::permutation("order", 6),
    ])
    .unwrap()
}

proptest! {
    #[test]
    fn variation_stays_in_the_domain(seed: u64) {
        let variables = mixed();
        let mut stream = Stream::new(seed, Purpose::User, 0, 0);
        let mut mutations = Mutations::new(variables.len(), 0.5);
        let mut parents = [(); 2].map(|()| Design::random(&variables, 6, &mut stream));
        for _ in 0..20 {
            let [one, other] = &mut parents;
            one.cross(other, &variables, &mut stream);
            one.mutate(&variables, &mut mutations, &mut stream);
            for design in &parents {
                design.check(&variables, 6).unwrap();
                let text = serde_json::to_string(design).unwrap();
                prop_assert_eq!(&serde_json::from_str::<Design>(&text).unwrap(), design);
                prop_assert_eq!(design.features(&variables).len(), 8 + 3 + 6 + 36);
            }
        }
    }
}

#[test]
fn random_values_follow_their_scales() {
    let variables = mixed();
    let mut stream = Stream::new(1, Purpose::User, 0, 0);
    let designs: Vec<Design> = (0..4000)
        .map(|_| Design::random(&variables, 6, &mut stream))
        .collect();
    let share = |holds: &dyn Fn(&Design) -> bool| {
        designs.iter().filter(|design| holds(design)).count() as f64 / 4000.0
    };
    let shares = [
        (0.5, share(&|one| variables.real(one, "x").unwrap() < 0.0)),
        // 2 of 5 decades.
        (
            0.4,
            share(&|one| variables.real(one, "rate").unwrap() < 1e-3),
        ),
        (
            1.0 / 16.0,
            share(&|one| variables.integer(one, "count").unwrap() == 12),
        ),
        // From 0.5 to 31.5 of 0.5 to 1000.5.
        (
            0.545,
            share(&|one| variables.integer(one, "width").unwrap() <= 31),
        ),
        (
            1.0 / 3.0,
            share(&|one| variables.category(one, "kind").unwrap() == "b"),
        ),
        (
            1.0 / 6.0,
            share(&|one| variables.permutation(one, "order").unwrap()[0] == 5),
        ),
    ];
    for (expected, found) in shares {
        assert!((found - expected).abs() < 0.03, "{shares:?}");
    }
}

/// A mutation of a gene changes it.
#[test]
fn every_kind_mutates() {
    let variables = mixed();
    let mut stream = Stream::new(2, Purpose::User, 0, 0);
    for _ in 0..200 {
        let parent = Design::random(&variables, 6, &mut stream);
        let mut child = parent.clone();
        let mut all = Mutations::new(6, 1.0);
        child.mutate(&variables, &mut all, &mut stream);
        for (before, after) in parent.values().iter().zip(child.values()) {
            assert_ne!(before, after);
        }
    }
}

/// One objective whose optimum is known, from variables of all kinds.
fn loss(variables: &Variables, design: &Design) -> f64 {
    let order = variables.permutation(design, "order").unwrap();
    let inversions = order.windows(2).filter(|pair| pair[0] > pair[1]).count();
    let rate = variables.real(design, "rate").unwrap() / 0.01;
    let steps = variables.integer(design, "count").unwrap() - 7;
    let width = variables.integer(design, "width").unwrap() as f64 / 32.0;
    let kind = f64::from(u8::from(variables.category(design, "kind").unwrap() != "b"));
    let x = variables.real(design, "x").unwrap() - 2.0;
    x * x
        + rate.max(1.0 / rate)
        + width.max(1.0 / width)
        + (steps * steps) as f64
        + 5.0 * kind
        + inversions as f64
}

fn found(mode: Mode, seed: u64, evaluations: usize) -> Search<Variables> {
    let variables = mixed();
    let mut config = SearchConfig::new(variables.len(), vec![Objective::minimize("loss")]);
    (config.mode, config.seed) = (mode, seed);
    config.generations = evaluations.div_ceil(config.population);
    let mut search = Search::in_space(config, variables.clone()).unwrap();
    search
        .run(1, |candidate| {
            Outcome::objectives([loss(&variables, &candidate.genome)])
        })
        .unwrap();
    search
}

fn best(all: &[&Evaluated<Design>]) -> f64 {
    let values = all.iter().map(|one| one.objectives().unwrap()[0]);
    values.fold(f64::INFINITY, f64::min)
}

#[test]
fn mixed_variables_are_optimised() {
    let median = |mode: Mode, evaluations: usize| {
        let mut all: Vec<f64> = (1..=3)
            .map(|seed| best(&found(mode, seed, evaluations).front()))
            .collect();
        all.sort_by(f64::total_cmp);
        all[1]
    };
    // The optimum is 2. Most random designs are beyond 100.
    let (plain, model) = (median(Mode::Nsga2, 120), median(Mode::Surrogate, 120));
    assert!(median(Mode::Nsga2, 4000) < 2.1);
    assert!(model <= plain, "{model} {plain}");
}

#[test]
fn a_saved_search_of_variables_continues() {
    let search = found(Mode::Surrogate, 3, 40);
    let text = serde_json::to_string(&search).unwrap();
    let mut restored: Search<Variables> = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_string(&restored).unwrap(), text);
    restored.extend(3).unwrap();
    let variables = mixed();
    restored
        .run(2, |candidate| {
            Outcome::objectives([loss(&variables, &candidate.genome)])
        })
        .unwrap();
    let whole = found(Mode::Surrogate, 3, 60);
    assert_eq!(
        serde_json::to_string(&restored).unwrap(),
        serde_json::to_string(&whole).unwrap()
    );
    // A value that its variable does not admit.
    let damaged = text.replacen("\"integer\":", "\"integer\":99", 1);
    assert!(serde_json::from_str::<Search<Variables>>(&damaged).is_err());
}

#[test]
fn a_small_space_is_enumerated() {
    let variables = Variables::new([
        Variable::category("kind", ["a", "b", "c"]),
        Variable::integer("count", 1, 2),
        Variable::permutation("order", 3),
    ])
    .unwrap();
    let mut all: Vec<Design> = (0..)
        .map_while(|index| Design::nth(&variables, 3, index))
        .collect();
    assert!(all.is_sorted());
    all.dedup();
    assert_eq!(all.len(), 3 * 2 * 6);
    let mut config = SearchConfig::new(3, vec![Objective::minimize("none")]);
    config.generations = 10;
    let mut search = Search::in_space(config, variables).unwrap();
    search.run(1, |_| Outcome::objectives([0.0])).unwrap();
    assert_eq!(
        (search.evaluated().count(), search.finish()),
        (36, Some(Finish::Exhausted))
    );
}

#[test]
fn invalid_variables_are_named() {
    let cases = [
        (vec![Variable::real("x", 1.0, 0.0)], "bounds 1.0 and 0.0"),
        (
            vec![Variable::real("x", 0.0, f64::NAN)],
            "bounds 0.0 and NaN",
        ),
        (vec![Variable::log_real("x", 0.0, 1.0)], "above 0"),
        (vec![Variable::integer("x", 0, i64::MAX)], "within"),
        (
            vec![Variable::category("x", ["a", "a"])],
            "different labels",
        ),
        (vec![Variable::category("x", [""; 0])], "different labels"),
        (vec![Variable::permutation("x", 0)], "0 items"),
        (
            vec![Variable::real("x", 0.0, 1.0), Variable::permutation("x", 3)],
            "two variables have this name",
        ),
    ];
    for (variables, expected) in cases {
        let error = Variables::new(variables).unwrap_err().to_string();
        assert!(
            error.contains("\"x\"") && error.contains(expected),
            "{error}"
        );
    }
    let variables = mixed();
    let config = SearchConfig::new(5, vec![Objective::minimize("loss")]);
    let error = Search::in_space(config, variables.clone()).unwrap_err();
    let (found, expected) = (6, 5);
    assert_eq!(error, Error::GenomeLength { found, expected });
    let values = vec![Value::Real(f64::NAN)];
    let one = Variables::new([Variable::real("x", 0.0, 1.0)]).unwrap();
    assert!(Design::new(&one, values).is_err());
    let design = Design::new(&one, vec![Value::Real(0.5)]).unwrap();
    assert_eq!(one.real(&design, "x"), Ok(0.5));
    let errors = [
        one.real(&design, "y").unwrap_err(),
        one.integer(&design, "x").unwrap_err(),
    ];
    assert!(errors[0].to_string().contains("one of x"), "{}", errors[0]);
    assert!(
        errors[1].to_string().contains("an integer"),
        "{}",
        errors[1]
    );
}

/// 60 bits, as many ones as possible with few changes; two constraints of different scales limit the
/// ones of the first and of the second half.
fn limited(genome: &naschain_core::Genome) -> ([f64; 2], [f64; 2]) {
    let halves = [0..30, 30..60].map(|half| genome.count_ones(half) as f64);
    let changes = (1..60).filter(|&bit| genome.get(bit) != genome.get(bit - 1));
    let constraints = [1e6 * (halves[0] - 12.0), 1e-6 * (halves[1] - 20.0)];
    (
        [-halves[0] - halves[1], changes.count() as f64],
        constraints,
    )
}

/// If only the total is told, the constraint of the smaller scale disappears in it.
#[test]
fn constraints_are_learned_each_by_itself() {
    let objectives = ["ones", "changes"].map(Objective::minimize).to_vec();
    let search = |each: bool, seed: u64| {
        let mut config = SearchConfig::new(60, objectives.clone());
        (config.seed, config.generations) = (seed, 6);
        let mut search = Search::in_space(config, Bits).unwrap();
        search
            .run(1, |candidate| {
                let (objectives, constraints) = limited(&candidate.genome);
                let total: f64 = constraints.iter().map(|one| one.max(0.0)).sum();
                if each {
                    Outcome::constrained(objectives, constraints)
                } else if total > 0.0 {
                    Outcome::Infeasible(total)
                } else {
                    Outcome::objectives(objectives)
                }
            })
            .unwrap();
        search
    };
    let (mut feasible, mut volumes) = ([0; 2], [0.0; 2]);
    for seed in 1..=3 {
        for (at, each) in [true, false].into_iter().enumerate() {
            let search = search(each, seed);
            feasible[at] += search
                .evaluated()
                .filter_map(|one| one.objectives())
                .count();
            let front = search.front();
            assert!(front.iter().all(|one| {
                let constraints = limited(&one.genome).1;
                constraints.iter().all(|value| *value <= 0.0)
            }));
            let points = front.iter().flat_map(|one| one.objectives().unwrap());
            let points: Vec<f64> = points.copied().collect();
            volumes[at] += hypervolume(&points, &[0.0, 60.0]).unwrap();
        }
    }
    println!("feasible {feasible:?} of 360, hypervolumes {volumes:?}");
    assert!(feasible[0] > feasible[1] && volumes[0] > volumes[1]);
}

#[test]
fn constraints_are_checked() {
    let mut search = Search::new(SearchConfig::new(9, vec![Objective::minimize("a")])).unwrap();
    let ids: Vec<_> = (0..4)
        .map(|_| search.ask().candidate().unwrap().id)
        .collect();
    let tell = |search: &mut Search, at: usize, constraints: &[f64]| {
        let outcome = Outcome::constrained([1.0], constraints.iter().copied());
        search.tell(ids[at], outcome)
    };
    assert_eq!(tell(&mut search, 0, &[-1.0, 0.0]), Ok(()));
    let error = Error::ConstraintCount {
        id: ids[1],
        found: 1,
        expected: 2,
    };
    assert_eq!(tell(&mut search, 1, &[1.0]), Err(error));
    assert_eq!(tell(&mut search, 1, &[f64::NAN, 0.0]), Ok(()));
    assert_eq!(tell(&mut search, 2, &[0.0, 3.0]), Ok(()));
    let all: Vec<_> = search.evaluated().collect();
    assert_eq!(all[0].objectives(), Some(&[1.0][..]));
    assert_eq!(
        all[1].outcome,
        Outcome::Failed("constraint 0 is NaN".to_owned())
    );
    assert_eq!(all[2].objectives(), None);
    let text = serde_json::to_string(&search).unwrap();
    let restored: Search = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_string(&restored).unwrap(), text);
}
