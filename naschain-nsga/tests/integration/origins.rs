//! Which candidates of the default mode are made without the model.

use naschain_core::Genome;
use naschain_nsga::{Ask, Mode, Outcome, Search, Space, Surrogate};

use crate::surrogate::{config, found};

/// After 400 candidates, every fourth is an earlier one with a short block of bits flipped.
#[test]
fn a_long_search_uses_block_mutation() {
    let mut search = Search::new(config(40, 2, 440, 1)).unwrap();
    while let Ask::Candidate(candidate) = search.ask() {
        let ones = |from: usize| candidate.genome.count_ones(from..from + 20) as f64;
        let values = [ones(0), (20.0 - ones(0)) * (1.0 + ones(20))];
        search
            .tell(candidate.id, Outcome::objectives(values))
            .unwrap();
    }
    let genomes: Vec<_> = search.evaluated().map(|one| &one.genome).collect();
    assert_eq!(genomes.len(), 440);
    for index in (403..440).step_by(4) {
        let is_block_mutation = genomes[..index].iter().any(|earlier| {
            let differs = |&bit: &usize| genomes[index].get(bit) != earlier.get(bit);
            let flipped: Vec<usize> = (0..40).filter(differs).collect();
            let (count, ends) = (flipped.len(), (flipped.first(), flipped.last()));
            (2..=8).contains(&count)
                && matches!(ends, (Some(first), Some(last)) if last - first + 1 == count)
        });
        assert!(is_block_mutation, "candidate {index}");
    }
}

/// The objective to minimise is the number of ones, and it is known.
struct Ones;

impl Space for Ones {
    type Genome = Genome;

    fn known_objectives(&self, genome: &Genome) -> Vec<Option<f64>> {
        vec![Some(genome.count_ones(0..60) as f64)]
    }
}

/// The model selects the best of many offspring; after 100 candidates one in four is any offspring of the
/// ridge's search.
#[test]
fn after_100_candidates_one_in_four_is_plain_offspring() {
    for seed in 1..=3 {
        let mut config = config(60, 1, 200, seed);
        config.surrogate = Surrogate::Ridge;
        let evaluate = |genome: &Genome| vec![genome.count_ones(0..60) as f64];
        let ones = found(Ones, config, Mode::Surrogate, evaluate);
        let mean = |from: usize, rest: usize| {
            let some = (from..from + 100).filter(|index| index % 4 == rest);
            some.map(|index| ones[index]).sum::<f64>() / 25.0
        };
        let (plain, picked) = (mean(100, 3), mean(100, 2));
        // Nevertheless the plain ones descend from good parents: a random genome has 30 ones.
        assert!(
            picked + 0.5 < plain && plain < 10.0,
            "seed {seed}: {plain} {picked}"
        );
    }
}

/// Until 400 candidates, every fourth differs in one gene from a member of the front.
#[test]
fn after_100_candidates_one_in_four_is_a_neighbour_of_the_front() {
    let evaluate = |genome: &Genome| {
        let changes = (1..60).filter(|&bit| genome.get(bit) != genome.get(bit - 1));
        [
            genome.count_ones(0..60) as f64,
            60.0 - changes.count() as f64,
        ]
    };
    let mut search = Search::new(config(60, 2, 160, 1)).unwrap();
    while let Ask::Candidate(candidate) = search.ask() {
        let values = evaluate(&candidate.genome);
        search
            .tell(candidate.id, Outcome::objectives(values))
            .unwrap();
    }
    let genomes: Vec<_> = search.evaluated().map(|one| &one.genome).collect();
    for index in (103..160).step_by(4) {
        // The outcomes before the wave of four.
        let known = &genomes[..index / 4 * 4];
        let is_on_front = |one: &Genome| {
            let [ones, rest] = evaluate(one);
            let dominates = |other: &&Genome| {
                let [a, b] = evaluate(other);
                a <= ones && b <= rest && (a < ones || b < rest)
            };
            !known.iter().any(dominates)
        };
        let is_neighbour = |other: &Genome| {
            let differs = |bit: &usize| genomes[index].get(*bit) != other.get(*bit);
            (0..60).filter(differs).count() == 1
        };
        let mut parents = known.iter().filter(|one| is_neighbour(one));
        assert!(parents.any(|one| is_on_front(one)), "candidate {index}");
    }
}

/// The known objective is the opposite of the evaluated one.
struct Lying;

impl Space for Lying {
    type Genome = Genome;

    fn known_objectives(&self, genome: &Genome) -> Vec<Option<f64>> {
        vec![Some(-(genome.count_ones(0..60) as f64))]
    }
}

/// Of each four candidates the first always comes from the model; the second no longer does once the
/// model's candidates do not survive.
#[test]
fn after_400_candidates_a_wrong_model_selects_fewer() {
    for seed in 1..=3 {
        let evaluate = |genome: &Genome| vec![genome.count_ones(0..60) as f64];
        let ones = found(Lying, config(60, 1, 640, seed), Mode::Surrogate, evaluate);
        let mean = |rest: usize| {
            let some = (440..640).filter(|index| index % 4 == rest);
            some.map(|index| ones[index]).sum::<f64>() / 50.0
        };
        let (model, free) = (mean(0), mean(1));
        assert!(free + 5.0 < model, "seed {seed}: {free} {model}");
    }
}
