//! A saved search holds its numbers to the last bit, whoever reads it.

use naschain_core::{Purpose, Stream};
use naschain_nsga::{Finish, Objective, Outcome, Pace, RealVector, Reals, Search, SearchConfig};
use serde_json::Value;

fn search(pace: Pace) -> Search<Reals> {
    let objectives = vec![Objective::minimize("a"), Objective::maximize("b")];
    let config = SearchConfig {
        population: 10,
        generations: 5,
        crossover_probability: 0.1 + 0.2,
        mutation_probability: Some(1.0 / 3.0),
        reference: Some(vec![2.0 / 3.0, -1.0 / 7.0]),
        pace,
        ..SearchConfig::new(3, objectives)
    };
    Search::in_space(config, Reals).unwrap()
}

fn outcome(genome: &RealVector) -> Outcome {
    let [a, b, c] = genome.values() else {
        unreachable!("three variables")
    };
    if *c > 0.9 {
        return Outcome::Infeasible(c - 0.9);
    }
    Outcome::objectives([a * a, a - b * c])
}

/// Runs to the end with three candidates in flight, and lets `save` replace the search before each tell.
fn run(pace: Pace, save: impl Fn(Search<Reals>) -> Search<Reals>) -> Vec<RealVector> {
    let mut search = search(pace);
    let mut stream = Stream::new(1, Purpose::Simulation, 0, 0);
    let mut flying = Vec::new();
    while !search.is_finished() {
        while flying.len() < 3
            && let Some(candidate) = search.ask()
        {
            flying.push(candidate);
        }
        let candidate = flying.swap_remove(stream.index(flying.len()));
        search = save(search);
        let outcome = outcome(&candidate.genome);
        search.tell(candidate.id, outcome).unwrap();
    }
    let genomes = search.evaluated().map(|one| one.genome.clone());
    genomes.collect()
}

/// What is not a whole number in a JSON value.
fn fractions(value: &Value) -> Vec<&serde_json::Number> {
    match value {
        Value::Number(number) if number.as_i64().is_none() && number.as_u64().is_none() => {
            vec![number]
        }
        Value::Array(values) => values.iter().flat_map(fractions).collect(),
        Value::Object(fields) => fields.values().flat_map(fractions).collect(),
        _ => Vec::new(),
    }
}

/// Readers of JSON differ in the last bit of a number, so there is none in it but whole ones.
#[test]
fn no_number_is_left_to_a_reader_of_json() {
    let mut search = search(Pace::Generational);
    for _ in 0..25 {
        let candidate = search.ask().unwrap();
        search
            .tell(candidate.id, outcome(&candidate.genome))
            .unwrap();
    }
    let saved = serde_json::to_value(&search).unwrap();
    for part in [
        "/config/reference",
        "/reference",
        "/statistics/1/hypervolume",
    ] {
        assert!(!saved.pointer(part).unwrap().is_null(), "{part}");
    }
    let all: Vec<_> = search.evaluated().map(|one| &one.outcome).collect();
    assert!(all.iter().any(|one| matches!(one, Outcome::Infeasible(_))));
    assert_eq!(fractions(&saved), Vec::<&serde_json::Number>::new());
}

#[test]
fn a_search_goes_on_the_same_after_each_format() {
    for pace in [Pace::Generational, Pace::SteadyState] {
        let whole = run(pace, |search| search);
        let by_json = run(pace, |search| {
            let text = serde_json::to_string(&search).unwrap();
            serde_json::from_str(&text).unwrap()
        });
        // A format that does not say what comes next.
        let by_postcard = run(pace, |search| {
            let bytes = postcard::to_allocvec(&search).unwrap();
            postcard::from_bytes(&bytes).unwrap()
        });
        assert_eq!(whole.len(), 50);
        assert!(whole == by_json && whole == by_postcard, "{pace:?}");
    }
}

/// The hypervolume of a value of -infinity is infinite, which JSON has no number for.
#[test]
fn an_infinite_hypervolume_is_saved() {
    let finish = |saves: bool| {
        let config = SearchConfig {
            population: 4,
            generations: 6,
            stalled_generations: Some(2),
            reference: Some(vec![2.0]),
            ..SearchConfig::new(3, vec![Objective::minimize("a")])
        };
        let mut search = Search::in_space(config, Reals).unwrap();
        while let Some(candidate) = search.ask() {
            if saves {
                let text = serde_json::to_string(&search).unwrap();
                search = serde_json::from_str(&text).unwrap();
            }
            let told = Outcome::objectives([f64::NEG_INFINITY]);
            search.tell(candidate.id, told).unwrap();
        }
        let volume = search.statistics()[0].hypervolume;
        assert_eq!(volume, Some(f64::INFINITY));
        (search.evaluated().count(), search.finish())
    };
    assert_eq!(finish(false), (12, Some(Finish::Stalled)));
    assert_eq!(finish(true), finish(false));
}

#[test]
fn a_search_stopped_before_its_first_candidate_is_saved() {
    let mut stopped = search(Pace::Generational);
    stopped.stop();
    let text = serde_json::to_string(&stopped).unwrap();
    let mut restored: Search<Reals> = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (restored.ask(), restored.finish()),
        (None, Some(Finish::Stopped))
    );
}
