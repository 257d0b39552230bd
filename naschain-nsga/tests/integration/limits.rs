//! How a search ends, and its statistics.

use crate::searches::{config, outcome, run};
use naschain_nsga::{Ask, Finish, Pace, Search, SearchConfig};

#[test]
fn limits_end_a_search() {
    let finish = |change: &dyn Fn(&mut SearchConfig)| {
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
        finish(&|config| config.evaluations = Some(24)),
        (Finish::Evaluations, 24, 3)
    );
    assert_eq!(
        finish(&|config| config.evaluations = Some(3)),
        (Finish::Evaluations, 3, 0)
    );
    for pace in [Pace::Generational, Pace::SteadyState] {
        let stalled = finish(&|config| {
            config.pace = pace;
            config.stalled_generations = Some(20);
        });
        assert_eq!(stalled.0, Finish::Stalled);
        assert!(stalled.2 > 20 && stalled.2 < 400, "{stalled:?}");
    }
}

#[test]
fn a_stopped_search_ends_when_the_pending_candidates_are_told() {
    for pace in [Pace::Generational, Pace::SteadyState] {
        let mut config = config(30, 2);
        config.pace = pace;
        let mut search = Search::new(config).unwrap();
        let candidates = [
            search.ask().candidate().unwrap(),
            search.ask().candidate().unwrap(),
        ];
        search.stop();
        assert_eq!((search.ask(), search.finish()), (Ask::Done, None));
        for candidate in candidates {
            search
                .tell(candidate.id, outcome(&candidate.genome))
                .unwrap();
        }
        assert_eq!(
            (search.ask(), search.finish()),
            (Ask::Done, Some(Finish::Stopped))
        );
        assert_eq!(search.evaluated().count(), 2);
    }
}

#[test]
fn statistics_match_the_search() {
    for pace in [Pace::Generational, Pace::SteadyState] {
        let mut config = config(30, 2);
        config.reference = Some(vec![0.0, 100.0]);
        config.pace = pace;
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

/// With more candidates in flight than two generations hold.
#[test]
fn each_generation_has_one_entry() {
    for seed in [1, 2] {
        let mut config = config(30, seed);
        config.pace = Pace::SteadyState;
        let mut search = Search::new(config).unwrap();
        let mut in_flight = std::collections::VecDeque::new();
        while !search.is_finished() {
            while in_flight.len() < 20
                && let Ask::Candidate(candidate) = search.ask()
            {
                in_flight.push_back(candidate);
            }
            // All outcomes arrive at once.
            for candidate in in_flight.drain(..) {
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
fn a_slow_candidate_does_not_block_a_steady_state_search() {
    for seed in [1, 2] {
        let mut config = config(30, seed);
        config.pace = Pace::SteadyState;
        let mut search = Search::new(config).unwrap();
        let first = search.ask().candidate().unwrap();
        while let Ask::Candidate(candidate) = search.ask() {
            search
                .tell(candidate.id, outcome(&candidate.genome))
                .unwrap();
        }
        assert_eq!((search.evaluated().count(), search.finish()), (41, None));
        search.tell(first.id, outcome(&first.genome)).unwrap();
        assert_eq!(search.finish(), Some(Finish::Generations));
    }
}
