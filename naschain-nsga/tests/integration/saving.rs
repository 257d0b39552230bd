//! A search survives saving and loading to the last bit.

use naschain_core::{Purpose, Stream};
use naschain_nsga::{
    Ask, Finish, Objective, Outcome, Pace, RealVector, Reals, Search, SearchConfig,
};
use serde_json::Value;

fn search(pace: Pace) -> Search<Reals> {
    let objectives = vec![Objective::minimize("a"), Objective::maximize("b")];
    let mut config = SearchConfig::new(3, objectives);
    config.population = 10;
    config.generations = 5;
    config.crossover_probability = 0.1 + 0.2;
    config.mutation_probability = Some(1.0 / 3.0);
    config.reference = Some(vec![2.0 / 3.0, -1.0 / 7.0]);
    config.pace = pace;
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

/// Runs to the end with three candidates in flight; `save` may replace the search before each tell.
fn run(pace: Pace, save: impl Fn(Search<Reals>) -> Search<Reals>) -> Vec<RealVector> {
    let mut search = search(pace);
    let mut stream = Stream::new(1, Purpose::Simulation, 0, 0);
    let mut in_flight = Vec::new();
    while !search.is_finished() {
        while in_flight.len() < 3
            && let Ask::Candidate(candidate) = search.ask()
        {
            in_flight.push(candidate);
        }
        let candidate = in_flight.swap_remove(stream.index(in_flight.len()));
        search = save(search);
        let outcome = outcome(&candidate.genome);
        search.tell(candidate.id, outcome).unwrap();
    }
    let genomes = search.evaluated().map(|one| one.genome.clone());
    genomes.collect()
}

/// The numbers of a JSON value that are not whole.
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

/// Readers of JSON may round differently, so all floats but those of the configuration, which people
/// write, are strings.
#[test]
fn derived_floats_are_strings_in_json() {
    let mut search = search(Pace::Generational);
    for _ in 0..25 {
        let candidate = search.ask().candidate().unwrap();
        search
            .tell(candidate.id, outcome(&candidate.genome))
            .unwrap();
    }
    let mut saved = serde_json::to_value(&search).unwrap();
    for part in ["/reference", "/statistics/1/hypervolume"] {
        assert!(!saved.pointer(part).unwrap().is_null(), "{part}");
    }
    let all: Vec<_> = search.evaluated().map(|one| &one.outcome).collect();
    assert!(all.iter().any(|one| matches!(one, Outcome::Infeasible(_))));
    saved["config"].take();
    assert_eq!(fractions(&saved), Vec::<&serde_json::Number>::new());
}

/// Earlier versions wrote the configuration's floats as strings, too.
#[test]
fn a_save_with_strings_in_its_configuration_can_be_loaded() {
    let search = search(Pace::Generational);
    let mut saved = serde_json::to_value(&search).unwrap();
    let config = &mut saved["config"];
    for field in ["crossover_probability", "mutation_probability"] {
        config[field] = config[field].to_string().into();
    }
    let reference = config["reference"].as_array().unwrap().iter();
    config["reference"] = reference.map(Value::to_string).collect();
    let restored: Search<Reals> = serde_json::from_value(saved).unwrap();
    assert_eq!(restored.config(), search.config());
}

#[test]
fn a_search_continues_the_same_after_each_format() {
    for pace in [Pace::Generational, Pace::SteadyState] {
        let whole = run(pace, |search| search);
        let by_json = run(pace, |search| {
            let text = serde_json::to_string(&search).unwrap();
            serde_json::from_str(&text).unwrap()
        });
        // A format that is not self-describing.
        let by_postcard = run(pace, |search| {
            let bytes = postcard::to_allocvec(&search).unwrap();
            postcard::from_bytes(&bytes).unwrap()
        });
        assert_eq!(whole.len(), 50);
        assert!(whole == by_json && whole == by_postcard, "{pace:?}");
    }
}

/// An objective of -infinity has an infinite hypervolume, for which JSON has no number.
#[test]
fn an_infinite_hypervolume_survives_saving() {
    let finish = |saves: bool| {
        let mut config = SearchConfig::new(3, vec![Objective::minimize("a")]);
        config.population = 4;
        config.generations = 6;
        config.stalled_generations = Some(2);
        config.reference = Some(vec![2.0]);
        let mut search = Search::in_space(config, Reals).unwrap();
        while let Ask::Candidate(candidate) = search.ask() {
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
fn a_search_stopped_before_its_first_candidate_survives_saving() {
    let mut stopped = search(Pace::Generational);
    stopped.stop();
    let text = serde_json::to_string(&stopped).unwrap();
    let mut restored: Search<Reals> = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (restored.ask(), restored.finish()),
        (Ask::Done, Some(Finish::Stopped))
    );
}
