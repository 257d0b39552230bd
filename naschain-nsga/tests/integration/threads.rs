//! `Search::run` gives the result of a loop of ask and tell, with any number of threads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::searches::{config, outcome};
use naschain_nsga::{Error, Outcome, Pace, Search};

fn saved(search: &Search) -> String {
    serde_json::to_string(search).unwrap()
}

#[test]
fn the_number_of_threads_does_not_matter() {
    for seed in [1, 2] {
        let reference =
            crate::searches::run(Search::new(config(40, seed)).unwrap(), 0, |search| search);
        for threads in [1, 2, 7, 16] {
            let mut search = Search::new(config(40, seed)).unwrap();
            search
                .run(threads, |candidate| outcome(&candidate.genome))
                .unwrap();
            assert_eq!(saved(&search), saved(&reference), "{threads} threads");
        }
    }
}

#[test]
fn candidates_that_were_asked_before_are_evaluated() {
    for pace in [Pace::Generational, Pace::SteadyState] {
        let mut config = config(40, 2);
        config.pace = pace;
        let mut search = Search::new(config).unwrap();
        for _ in 0..3 {
            search.ask().candidate().unwrap();
        }
        let evaluated = AtomicUsize::new(0);
        search
            .run(2, |candidate| {
                evaluated.fetch_add(1, Ordering::Relaxed);
                outcome(&candidate.genome)
            })
            .unwrap();
        assert!(search.is_finished());
        assert_eq!(
            (evaluated.into_inner(), search.evaluated().count()),
            (42, 42)
        );
        // A finished search has nothing left to evaluate.
        search
            .run(2, |_| unreachable!("no candidate is left"))
            .unwrap();
    }
}

#[test]
fn an_invalid_outcome_ends_the_run() {
    for threads in [1, 3] {
        let mut search = Search::new(config(40, 1)).unwrap();
        let result = search.run(threads, |candidate| match candidate.id.0 {
            4 => Outcome::objectives([1.0]),
            _ => outcome(&candidate.genome),
        });
        assert!(
            matches!(
                result,
                Err(Error::ObjectiveCount {
                    found: 1,
                    expected: 2,
                    ..
                })
            ),
            "{result:?}"
        );
        // It can be told properly and continues.
        let rest = search.run(threads, |candidate| outcome(&candidate.genome));
        assert_eq!((rest, search.is_finished()), (Ok(()), true));
    }
    let none = Search::new(config(40, 1))
        .unwrap()
        .run(0, |_| unreachable!("no thread"));
    assert!(matches!(
        none,
        Err(Error::Config {
            field: "threads",
            ..
        })
    ));
}

#[test]
fn a_panic_ends_the_run() {
    let mut search = Search::new(config(40, 1)).unwrap();
    let run = catch_unwind(AssertUnwindSafe(|| {
        search.run(3, |candidate| {
            assert!(candidate.id.0 != 4, "on purpose");
            outcome(&candidate.genome)
        })
    }));
    assert!(run.is_err());
    search
        .run(3, |candidate| outcome(&candidate.genome))
        .unwrap();
    assert!(search.is_finished());
}
