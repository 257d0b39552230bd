//! What ends a search, and what its statistics say.

mod searches;

use naschain_nsga::{Finish, Pace, Search, SearchConfig};
use searches::{config, outcome, run};

#[test]
fn limits_end_a_search() {
    let finish = |change: fn(&mut SearchConfig)| {
        let mut config = config(60, 2);
        config.generations = 400;
        change(&mut config);
        let search = run(Search::new(config).unwrap(), 0, |search| search);
        (
            search.finish().unwrap(),
            search.evaluated().count(),
            search.statistics().len(),
        )
    };
    assert_eq!(
        finish(|config| config.evaluations = Some(24)),
        (Finish::Evaluations, 24, 3)
    );
    assert_eq!(
        finish(|config| config.evaluations = Some(3)),
        (Finish::Evaluations, 3, 0)
    );
    for pace in [Pace::Generational, Pace::SteadyState] {
        let stalled = match pace {
            Pace::Generational => finish(|config| config.stalled_generations = Some(20)),
            Pace::SteadyState => finish(|config| {
                config.pace = Pace::SteadyState;
                config.stalled_generations = Some(20);
            }),
        };
        assert_eq!(stalled.0, Finish::Stalled);
        assert!(stalled.2 > 20 && stalled.2 < 400, "{stalled:?}");
    }
}

#[test]
fn a_stopped_search_waits_for_what_is_pending_and_ends() {
    for pace in [Pace::Generational, Pace::SteadyState] {
        let mut search = Search::new(SearchConfig {
            pace,
            ..config(30, 2)
        })
        .unwrap();
        let candidates = [search.ask().unwrap(), search.ask().unwrap()];
        search.stop();
        assert_eq!((search.ask(), search.finish()), (None, None));
        for candidate in candidates {
            search
                .tell(candidate.id, outcome(&candidate.genome))
                .unwrap();
        }
        assert_eq!(
            (search.ask(), search.finish()),
            (None, Some(Finish::Stopped))
        );
        assert_eq!(search.evaluated().count(), 2);
    }
}

#[test]
fn statistics_count_what_happened() {
    for pace in [Pace::Generational, Pace::SteadyState] {
        let config = SearchConfig {
            reference: Some(vec![0.0, 100.0]),
            pace,
            ..config(30, 2)
        };
        let search = run(Search::new(config).unwrap(), 1, |search| search);
        let entries = search.statistics();
        assert_eq!(entries.len(), 6);
        for (index, entry) in entries.iter().enumerate() {
            assert_eq!(entry.generation, index + 1);
            assert!(entry.evaluations >= 7 * (index + 1));
            assert!(index == 0 || entry.hypervolume >= entries[index - 1].hypervolume);
        }
        let last = entries.last().unwrap();
        let all: Vec<_> = search.evaluated().collect();
        let unsuccessful = all.iter().filter(|one| one.objectives().is_none()).count();
        let front: Vec<f64> = search
            .front()
            .iter()
            .flat_map(|one| {
                one.objectives()
                    .map(|values| [-values[0], values[1]])
                    .unwrap()
            })
            .collect();
        assert_eq!((last.evaluations, last.unsuccessful), (42, unsuccessful));
        let mut points: Vec<&[f64]> = front.chunks(2).collect();
        points.dedup();
        assert_eq!(last.front_len, points.len());
        let volume = naschain_nsga::hypervolume(&front, &[0.0, 100.0]).unwrap();
        assert_eq!(last.hypervolume, Some(volume));
    }
}

/// With more in flight than two generations hold.
#[test]
fn each_generation_has_one_entry() {
    for seed in [1, 2] {
        let config = SearchConfig {
            pace: Pace::SteadyState,
            ..config(30, seed)
        };
        let mut search = Search::new(config).unwrap();
        let mut flying = std::collections::VecDeque::new();
        while !search.is_finished() {
            while flying.len() < 20
                && let Some(candidate) = search.ask()
            {
                flying.push_back(candidate);
            }
            // All that are in flight at once.
            for candidate in flying.drain(..) {
                let told = outcome(&candidate.genome);
                search.tell(candidate.id, told).unwrap();
            }
        }
        let entries = search.statistics().iter();
        let entries: Vec<_> = entries
            .map(|one| (one.generation, one.evaluations))
            .collect();
        let expected = [(1, 7), (2, 14), (3, 21), (4, 28), (5, 35), (6, 42)];
        assert_eq!(entries, expected);
    }
}

#[test]
fn steady_state_waits_for_nothing() {
    for seed in [1, 2] {
        let pace = Pace::SteadyState;
        let mut search = Search::new(SearchConfig {
            pace,
            ..config(30, seed)
        })
        .unwrap();
        let first = search.ask().unwrap();
        // One slow candidate holds up nobody.
        while let Some(candidate) = search.ask() {
            search
                .tell(candidate.id, outcome(&candidate.genome))
                .unwrap();
        }
        assert_eq!((search.evaluated().count(), search.finish()), (41, None));
        search.tell(first.id, outcome(&first.genome)).unwrap();
        assert_eq!(search.finish(), Some(Finish::Generations));
    }
}
