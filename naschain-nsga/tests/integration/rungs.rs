//! Searches with rungs: which candidates go on, what they depend on, and how good the result is.

use std::collections::BTreeMap;

use naschain_core::{Genome, Purpose, Stream};
use naschain_nsga::{
    Ask, Candidate, CandidateId, Error, Finish, Mode, Objective, Outcome, Pace, Search,
    SearchConfig,
};
use proptest::prelude::*;

use crate::searches;

#[allow(dead_code)] // its `main` is not used here
#[path = "../../examples/rungs.rs"]
mod example;

const RUNGS: [u32; 3] = [1, 3, 9];

fn config(mode: Mode, pace: Pace, seed: u64) -> SearchConfig {
    let objectives = vec![Objective::minimize("a"), Objective::minimize("b")];
    let mut config = SearchConfig::new(16, objectives);
    (config.population, config.generations) = (10, 5);
    (config.mode, config.pace, config.seed) = (mode, pace, seed);
    config.rungs = RUNGS.to_vec();
    config
}

fn all_kinds() -> impl Iterator<Item = (Mode, Pace)> {
    let paces = [Pace::Generational, Pace::SteadyState];
    let modes = [Mode::Nsga2, Mode::Surrogate].into_iter();
    modes.flat_map(move |mode| paces.map(|pace| (mode, pace)))
}

/// Two opposed objectives, of which the first falls with the budget. Some candidates fail.
fn outcome(candidate: &Candidate) -> Outcome {
    let ones = |from: usize| candidate.genome.count_ones(from..from + 8) as f64;
    let budget = f64::from(candidate.budget.unwrap());
    let value = 8.0 - ones(0) + 20.0 / budget + ones(8) * 0.1;
    match candidate.genome.count_ones(0..16) {
        3 => Outcome::Failed("out of memory".to_owned()),
        5 => Outcome::Infeasible(1.0 / budget),
        _ => Outcome::objectives([value, 8.0 - ones(8) + ones(0)]),
    }
}

/// Runs to the end with five candidates in flight; `order` seeds which of them is told next.
fn run(mut search: Search, order: u64, mut step: impl FnMut(Search) -> Search) -> Search {
    let mut stream = Stream::new(order, Purpose::Simulation, 0, 0);
    let mut in_flight: Vec<Candidate> = Vec::new();
    while !search.is_finished() {
        while in_flight.len() < 5
            && let Ask::Candidate(candidate) = search.ask()
        {
            in_flight.push(candidate);
        }
        let candidate = in_flight.swap_remove(stream.index(in_flight.len()));
        search = step(search);
        search.tell(candidate.id, outcome(&candidate)).unwrap();
    }
    assert_eq!(search.ask(), Ask::Done);
    search
}

fn saved(search: &Search) -> String {
    serde_json::to_string(search).unwrap()
}

/// The budgets of all candidates, by id.
fn budgets(search: &Search) -> BTreeMap<u64, u32> {
    let told = search.evaluated().map(|one| one.id);
    told.map(|id| (id.0, search.budget(id).unwrap())).collect()
}

#[test]
fn each_rung_passes_on_its_share() {
    for (mode, pace) in all_kinds() {
        let search = run(Search::new(config(mode, pace, 1)).unwrap(), 1, |search| {
            search
        });
        assert_eq!(search.finish(), Some(Finish::Generations));
        let budgets = budgets(&search);
        let counts = RUNGS.map(|rung| budgets.values().filter(|one| **one == rung).count());
        assert_eq!(counts, [50, 16, 5], "{mode:?} {pace:?}");
        assert_eq!(counts.to_vec(), search.config().candidates_by_rung());
        assert!(!search.front().is_empty());
        for one in search.front() {
            assert_eq!(search.budget(one.id), Some(9));
        }
        // The front is that of all results with the full budget.
        let full = search.evaluated().filter(|one| budgets[&one.id.0] == 9);
        let rows: Vec<&[f64]> = full.filter_map(|one| one.objectives()).collect();
        let dominates = |a: &[f64], b: &[f64]| a != b && a.iter().zip(b).all(|(x, y)| x <= y);
        let is_best = |row: &&&[f64]| !rows.iter().any(|other| dominates(other, row));
        assert_eq!(rows.iter().filter(is_best).count(), search.front().len());
        let generations: Vec<usize> = search
            .statistics()
            .iter()
            .map(|one| one.generation)
            .collect();
        assert_eq!(generations, [1, 2, 3, 4, 5]);
        let last = search.statistics().last().unwrap();
        assert_eq!((last.evaluations, last.front_len > 0), (71, true));
    }
}

#[test]
fn a_candidate_continues_an_earlier_one_with_the_next_budget() {
    for (mode, pace) in all_kinds() {
        let mut search = Search::new(config(mode, pace, 2)).unwrap();
        let mut asked: Vec<Candidate> = Vec::new();
        while let Ask::Candidate(candidate) = search.ask() {
            let budget = candidate.budget.unwrap();
            match candidate.continues {
                None => {
                    assert_eq!(budget, 1);
                    let is_new = |one: &Candidate| one.genome != candidate.genome;
                    assert!(asked.iter().all(is_new));
                }
                Some(id) => {
                    let before = &asked[id.0 as usize];
                    assert_eq!((before.id, &before.genome), (id, &candidate.genome));
                    assert_eq!(before.budget.unwrap() * 3, budget);
                    assert!(!matches!(outcome(before), Outcome::Failed(_)));
                    let again = |one: &Candidate| one.continues == Some(id);
                    assert!(!asked.iter().any(again));
                    assert_eq!(search.canonical(candidate.id), search.canonical(id));
                }
            }
            assert!(search.pending().eq([candidate.clone()]));
            search.tell(candidate.id, outcome(&candidate)).unwrap();
            asked.push(candidate);
        }
        assert_eq!(asked.len(), 71);
    }
}

/// At the end of each wave of plain NSGA-II, whoever is dominated by a candidate with the same budget
/// goes on only if that one does.
#[test]
fn nobody_goes_on_before_a_candidate_that_dominates_it() {
    let mut search = Search::new(config(Mode::Nsga2, Pace::Generational, 3)).unwrap();
    let (mut told, mut went_on): (Vec<Candidate>, Vec<CandidateId>) = Default::default();
    let values = |one: &Candidate| match outcome(one) {
        Outcome::Objectives(values) => Some(values.to_vec()),
        _ => None,
    };
    let dominates = |a: &Candidate, b: &Candidate| match (values(a), values(b)) {
        (Some(a), Some(b)) => a != b && a.iter().zip(&b).all(|(x, y)| x <= y),
        (a, b) => a.is_some() && b.is_none(),
    };
    let mut better = 0;
    loop {
        let mut wave = Vec::new();
        while let Ask::Candidate(candidate) = search.ask() {
            wave.push(candidate);
        }
        if wave.is_empty() {
            break;
        }
        let promoted: Vec<CandidateId> = wave.iter().filter_map(|one| one.continues).collect();
        went_on.extend(&promoted);
        for id in promoted {
            let this = told.iter().find(|one| one.id == id).unwrap();
            let rivals = told.iter().filter(|one| one.budget == this.budget);
            for other in rivals.filter(|one| !went_on.contains(&one.id)) {
                assert!(!dominates(other, this), "{other:?} {this:?}");
                better += u32::from(dominates(this, other));
            }
        }
        for candidate in wave {
            search.tell(candidate.id, outcome(&candidate)).unwrap();
            told.push(candidate);
        }
    }
    assert!(better > 20, "{better}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn the_order_of_outcomes_does_not_matter(seed: u64, orders: [u64; 2], surrogate: bool) {
        let mode = if surrogate { Mode::Surrogate } else { Mode::Nsga2 };
        let run = |order| {
            let search = Search::new(config(mode, Pace::Generational, seed)).unwrap();
            let search = run(search, order, |search| search);
            let front: Vec<_> = search.front().into_iter().cloned().collect();
            let all: Vec<_> = search.evaluated().cloned().collect();
            (front, all, search.statistics().to_vec(), budgets(&search))
        };
        prop_assert_eq!(run(orders[0]), run(orders[1]));
    }

    #[test]
    fn saving_changes_nothing(seed: u64, steady: bool, by_name: bool) {
        let pace = if steady { Pace::SteadyState } else { Pace::Generational };
        let search = || Search::new(config(Mode::Surrogate, pace, seed)).unwrap();
        let whole = run(search(), seed, |search| search);
        let restored = run(search(), seed, |search| {
            if by_name {
                return serde_json::from_str(&saved(&search)).unwrap();
            }
            postcard::from_bytes(&postcard::to_allocvec(&search).unwrap()).unwrap()
        });
        prop_assert_eq!(saved(&whole), saved(&restored));
        let ids = |search: &Search| search.front().iter().map(|one| one.id).collect::<Vec<_>>();
        prop_assert_eq!(ids(&whole), ids(&restored));
    }
}

#[test]
fn threads_change_nothing() {
    let run = |threads| {
        let mut search = Search::new(config(Mode::Nsga2, Pace::Generational, 4)).unwrap();
        search.run(threads, outcome).unwrap();
        search.front().into_iter().cloned().collect::<Vec<_>>()
    };
    assert_eq!(run(1), run(3));
}

/// Candidates that were never asked, and what they continue, are forgotten.
#[test]
fn a_stopped_search_asks_for_nothing_more() {
    for (mode, pace) in all_kinds() {
        let mut search = Search::new(config(mode, pace, 5)).unwrap();
        let mut in_flight = Vec::new();
        for _ in 0..40 {
            match search.ask() {
                Ask::Candidate(candidate) => in_flight.push(candidate),
                _ => {
                    for candidate in in_flight.drain(..) {
                        search.tell(candidate.id, outcome(&candidate)).unwrap();
                    }
                }
            }
        }
        search.stop();
        let mut search: Search = serde_json::from_str(&saved(&search)).unwrap();
        assert_eq!(search.ask(), Ask::Done);
        for candidate in in_flight {
            search.tell(candidate.id, outcome(&candidate)).unwrap();
        }
        assert_eq!(search.finish(), Some(Finish::Stopped));
        assert_eq!(search.ask(), Ask::Done);
    }
}

/// A small space is searched completely, and then its best candidates go on.
#[test]
fn an_exhausted_search_still_promotes() {
    for (mode, pace) in all_kinds() {
        let mut config = config(mode, pace, 6);
        config.genome_len = 4;
        let mut search = Search::new(config).unwrap();
        while let Some(candidate) = search.ask().candidate() {
            let bits: Genome = candidate.genome.clone();
            let ones = bits.count_ones(0..4) as f64;
            let values = [
                ones,
                4.0 - ones + 1.0 / f64::from(candidate.budget.unwrap()),
            ];
            search
                .tell(candidate.id, Outcome::objectives(values))
                .unwrap();
        }
        assert_eq!(search.finish(), Some(Finish::Exhausted));
        let counts = budgets(&search);
        let counts = RUNGS.map(|rung| counts.values().filter(|one| **one == rung).count());
        assert_eq!(counts, [16, 5, 1], "{mode:?} {pace:?}");
    }
}

#[test]
fn budgets_must_ascend() {
    for rungs in [vec![3], vec![0, 1], vec![3, 3], vec![9, 3, 1]] {
        let mut config = config(Mode::Nsga2, Pace::Generational, 7);
        config.rungs = rungs;
        let error = Search::new(config.clone()).unwrap_err();
        let expected = format!("rungs is {:?}", config.rungs);
        assert!(error.to_string().starts_with(&expected), "{error}");
    }
    let search = Search::new(config(Mode::Nsga2, Pace::Generational, 7)).unwrap();
    let error = run(search, 1, |search| search).extend(9).unwrap_err();
    assert!(matches!(error, Error::Extension { .. }), "{error}");
}

#[test]
fn a_search_without_rungs_is_stored_as_before() {
    let search = Search::new(searches::config(16, 1)).unwrap();
    let text = saved(&search);
    assert!(
        !text.contains("rungs") && !text.contains("promotions"),
        "{text}"
    );
    assert_eq!(search.budget(CandidateId(0)), None);
}

#[test]
fn damaged_promotions_are_refused() {
    let search = Search::new(config(Mode::Nsga2, Pace::Generational, 8)).unwrap();
    let whole: serde_json::Value =
        serde_json::from_str(&saved(&run(search, 1, |one| one))).unwrap();
    let first = whole["promotions"][0].clone();
    let damages: [(&str, serde_json::Value); 5] = [
        ("/promotions/0/continues", first["candidate"].clone()),
        ("/promotions/0/continues", 1000.into()),
        ("/promotions/0/candidate", 1000.into()),
        ("/promotions/1/continues", first["continues"].clone()),
        ("/config/rungs", serde_json::json!([])),
    ];
    for (place, value) in damages {
        let mut damaged = whole.clone();
        *damaged.pointer_mut(place).unwrap() = value;
        let error = serde_json::from_value::<Search>(damaged).unwrap_err();
        assert!(
            error.to_string().contains("continues candidate"),
            "{place}: {error}"
        );
    }
}

/// Real learning curves, as docs/search.md reports them for more seeds. The curves of the first data
/// order were used to choose constants; these are others.
#[test]
fn a_quarter_of_the_epochs_finds_nearly_the_whole_front_of_trained_networks() {
    let file = include_bytes!("../../data/digits-curves.bin");
    for mode in [Mode::Surrogate, Mode::Nsga2] {
        let mut arguments = example::Arguments::default();
        (arguments.seeds, arguments.order, arguments.mode) = (5, 2, mode);
        let table = example::CurveTable::parse(file, arguments.order).unwrap();
        let mut runs = example::compare(table, &arguments).unwrap();
        runs.sort_by(|a, b| a[0].total_cmp(&b[0]));
        assert!(runs.iter().all(|run| run[1] < 1.0 / 3.0), "{runs:?}");
        assert!(runs[0][0] >= 0.9 && runs[2][0] >= 0.95, "{mode:?} {runs:?}");
    }
}
