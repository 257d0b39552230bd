//! A finished search that is extended equals one that was longer from the beginning.

use crate::searches::{config, outcome, run};
use naschain_core::Genome;
use naschain_nsga::{
    Bits, Error, Finish, Mode, Objective, Outcome, Pace, Reals, Search, SearchConfig, Space,
};
use proptest::prelude::*;

fn saved(search: &Search) -> String {
    serde_json::to_string(search).unwrap()
}

fn ids<S: Space>(search: &Search<S>) -> [Vec<u64>; 2] {
    [search.population(), search.front()].map(|all| all.iter().map(|one| one.id.0).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn an_extended_search_equals_a_longer_one(
        seed: u64,
        len in 6usize..90,
        order: u64,
        first in 1usize..5,
        reload: bool,
    ) {
        let mut config = config(len, seed);
        config.generations = 6;
        let whole = run(Search::new(config.clone()).unwrap(), order, |search| search);
        prop_assume!(whole.finish() == Some(Finish::Generations));
        config.generations = first;
        let mut search = Search::new(config).unwrap();
        for generations in [first + 1, 6] {
            search = run(search, order.wrapping_add(1), |search| search);
            prop_assert_eq!(search.finish(), Some(Finish::Generations));
            if reload {
                let before = ids(&search);
                search = serde_json::from_str(&saved(&search)).unwrap();
                prop_assert_eq!(ids(&search), before);
            }
            if generations > search.config().generations {
                search.extend(generations).unwrap();
            }
        }
        search = run(search, order, |search| search);
        prop_assert_eq!(saved(&search), saved(&whole));
        prop_assert_eq!(ids(&search), ids(&whole));
    }
}

/// More initial candidates than usual, and an extension before the end.
#[test]
fn warm_starts_and_running_searches_can_be_extended() {
    let genomes: Vec<Genome> = (0..7)
        .map(|at| format!("{:040b}", 1u64 << at).parse().unwrap())
        .collect();
    for seed in [1, 2] {
        let mut config = config(40, seed);
        config.generations = 5;
        let whole = Search::starting_from(config.clone(), Bits, genomes.clone()).unwrap();
        let whole = run(whole, 0, |search| search);
        config.generations = 2;
        let mut search = Search::starting_from(config, Bits, genomes.clone()).unwrap();
        let first = search.ask().candidate().unwrap();
        search.extend(3).unwrap();
        search.tell(first.id, outcome(&first.genome)).unwrap();
        search = run(search, 0, |search| search);
        search.extend(5).unwrap();
        search = run(search, 0, |search| search);
        assert_eq!(saved(&search), saved(&whole));
    }
}

#[test]
fn real_variables_can_be_extended() {
    for mode in [Mode::Surrogate, Mode::Nsga2] {
        let finished = |generations: &[usize]| {
            let objectives = ["a", "b"].map(Objective::minimize).to_vec();
            let mut config = SearchConfig::new(3, objectives);
            config.mode = mode;
            config.generations = generations[0];
            let mut search = Search::in_space(config, Reals).unwrap();
            for &more in generations {
                if more > search.config().generations {
                    search.extend(more).unwrap();
                }
                search
                    .run(1, |candidate| {
                        let x = candidate.genome.values();
                        Outcome::objectives([x[0], 1.0 - x[0] + x[1] * x[2]])
                    })
                    .unwrap();
            }
            serde_json::to_string(&search).unwrap()
        };
        assert_eq!(finished(&[2, 4]), finished(&[4]), "{mode:?}");
    }
}

#[test]
fn searches_that_cannot_be_extended_give_a_reason() {
    let reason = |change: fn(&mut SearchConfig), stop: bool, generations| {
        let mut config = config(60, 2);
        change(&mut config);
        let mut search = Search::new(config).unwrap();
        if stop {
            search.stop();
        }
        search = run(search, 0, |search| search);
        let before = saved(&search);
        let error = search.extend(generations).unwrap_err();
        assert_eq!(saved(&search), before);
        let Error::Extension { reason, .. } = error else {
            panic!("{error}");
        };
        reason
    };
    type Case = (fn(&mut SearchConfig), bool, usize, &'static str);
    let cases: [Case; 6] = [
        (|_| {}, false, 6, "has 6 generations"),
        (
            |config| config.pace = Pace::SteadyState,
            false,
            9,
            "steady-state",
        ),
        (
            |config| config.evaluations = Some(50),
            false,
            9,
            "limited to 50",
        ),
        (|config| config.genome_len = 4, false, 9, "no new genome"),
        (|_| {}, true, 9, "stopped"),
        (
            |config| {
                config.stalled_generations = Some(1);
                config.generations = 100;
            },
            false,
            200,
            "stalled",
        ),
    ];
    for (change, stop, generations, expected) in cases {
        let found = reason(change, stop, generations);
        assert!(found.contains(expected), "{found}");
    }
}
