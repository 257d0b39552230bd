//! Configurations, outcomes and a driver shared by the tests of searches.

use naschain_core::{Genome, Purpose, Stream};
use naschain_nsga::{Ask, Candidate, Mode, Objective, Outcome, Search, SearchConfig, Space};

pub(crate) fn config(genome_len: usize, seed: u64) -> SearchConfig {
    // The seed's parity selects the mode, so that tests over seeds cover both.
    let mode = if seed.is_multiple_of(2) {
        Mode::Nsga2
    } else {
        Mode::Surrogate
    };
    let objectives = vec![Objective::maximize("ones"), Objective::minimize("value")];
    let mut config = SearchConfig::new(genome_len, objectives);
    config.population = 7;
    config.generations = 6;
    config.seed = seed;
    config.mode = mode;
    config
}

/// A function of the genome alone that returns every kind of outcome.
pub(crate) fn outcome(genome: &Genome) -> Outcome {
    let bits: Vec<bool> = genome.bits().collect();
    let ones = bits.iter().filter(|bit| **bit).count() as f64;
    let value = bits
        .iter()
        .fold(0, |value, &bit| (value * 2 + u32::from(bit)) % 9973);
    match value % 11 {
        0 => Outcome::Failed("out of memory".into()),
        1 => Outcome::Infeasible(ones + 1.0),
        2 => Outcome::objectives([ones, f64::NAN]),
        3 => Outcome::objectives([ones, f64::INFINITY]),
        _ => Outcome::objectives([ones, (value % 101) as f64]),
    }
}

/// Runs to the end with five candidates in flight. `order` seeds the choice of the one that is told
/// next; `step` may replace the search before each tell.
pub(crate) fn run<S: Space<Genome = Genome>>(
    mut search: Search<S>,
    order: u64,
    mut step: impl FnMut(Search<S>) -> Search<S>,
) -> Search<S> {
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
        search
            .tell(candidate.id, outcome(&candidate.genome))
            .unwrap();
    }
    assert_eq!(search.ask(), Ask::Done);
    search
}
