//! Whole histories held still: the same seed asks the same genomes in every version and on every
//! machine. Recorded from this crate; change them only together with a note in the changelog.

use naschain_core::Genome;
use naschain_nsga::{Mode, Objective, Outcome, Search, SearchConfig};

/// Set bits in each half, so that no rounding is involved.
fn evaluate(genome: &Genome) -> Vec<f64> {
    let ones = |from: usize| (from..from + 8).filter(|&bit| genome.get(bit)).count() as f64;
    vec![ones(0) + 8.0 - ones(8), (8.0 - ones(0)) * (1.0 + ones(8))]
}

fn history(mode: Mode) -> Vec<String> {
    let objectives = vec![Objective::minimize("a"), Objective::minimize("b")];
    let config = SearchConfig {
        population: 16,
        generations: 2,
        seed: 7,
        mode,
        ..SearchConfig::new(16, objectives)
    };
    let mut search = Search::new(config).unwrap();
    while let Some(candidate) = search.ask() {
        let values = evaluate(&candidate.genome);
        search
            .tell(candidate.id, Outcome::Objectives(values))
            .unwrap();
    }
    let genomes = search.evaluated().map(|one| one.genome.to_string());
    genomes.skip(12).collect()
}

#[test]
fn nsga2_history() {
    let expected = [
        "1100000101001011",
        "1100111000011000",
        "1111001011100000",
        "0001001100101111",
        "0101110000011111",
        "1111001011111000",
        "1111010111100010",
        "0101000010100111",
        "0000001101010010",
        "0100010000010000",
        "1100110000011000",
        "1000111101111011",
        "1111000111001110",
        "0101111000011011",
        "1110110100110010",
        "0111011000011111",
        "0111110100010000",
        "0100000001010011",
        "0101000011001100",
        "1111000111111011",
    ];
    assert_eq!(history(Mode::Nsga2), expected);
}

#[test]
fn surrogate_history() {
    let expected = [
        "1101110000100000",
        "1000010010101100",
        "1001001001100000",
        "1111011000000000",
        "1101011100010110",
        "0100000000101010",
        "1100011100111101",
        "1101011101000000",
        "0000000000000000",
        "1000000000010110",
        "1000000001000000",
        "1000000001011110",
        "0000000000011000",
        "1111111111101110",
        "0000000100011110",
        "0000000000001000",
        "1111111111111110",
        "0000000000000110",
        "1110111111111110",
        "0000000000001110",
    ];
    assert_eq!(history(Mode::Surrogate), expected);
}

/// The default mode is worth its computation on a problem that it knows nothing of: with the same
/// hundred evaluations it gets further than plain NSGA-II.
#[test]
fn the_surrogate_saves_evaluations() {
    let volume = |mode: Mode, seed: u64| {
        let objectives = vec![
            Objective::minimize("distance"),
            Objective::minimize("weight"),
        ];
        let config = SearchConfig {
            seed,
            mode,
            evaluations: Some(100),
            ..SearchConfig::new(40, objectives)
        };
        let mut search = Search::new(config).unwrap();
        while let Some(candidate) = search.ask() {
            let set = |bit: &usize| candidate.genome.get(*bit);
            let weight: usize = (0..40).filter(set).map(|bit| 1 + bit % 5).sum();
            let gain: usize = (0..40).filter(set).map(|bit| 1 + bit * 7 % 11).sum();
            let values = vec![1000.0 / (10 + gain) as f64, weight as f64];
            search
                .tell(candidate.id, Outcome::Objectives(values))
                .unwrap();
        }
        let front: Vec<f64> = search
            .front()
            .iter()
            .flat_map(|one| one.objectives().unwrap().to_vec())
            .collect();
        naschain_nsga::hypervolume(&front, &[100.0, 120.0]).unwrap()
    };
    for seed in 1..=3 {
        let (with, without) = (volume(Mode::Surrogate, seed), volume(Mode::Nsga2, seed));
        assert!(
            with > 1.05 * without,
            "seed {seed}: {with} with a model, {without} without"
        );
    }
}
