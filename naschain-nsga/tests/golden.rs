//! Whole histories held still: the same seed asks the same genomes in every version and on every
//! machine. Recorded from this crate, as what `history` returned, when the matings of a batch came to
//! share one stream of numbers; change them only together with a note in the changelog.

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
        "1111000111100000",
        "1011001001111010",
        "0011000011011111",
        "0101001100100010",
        "1010111000011000",
        "1011100111101111",
        "1111011101011010",
        "1110110100110011",
        "0101111000011010",
        "0111010100011111",
        "1111110000010000",
        "0101010011010010",
        "0000000000001101",
        "1111100111111110",
        "1101011000010010",
    ];
    assert_eq!(history(Mode::Nsga2), expected);
}

#[test]
fn surrogate_history() {
    let expected = [
        "0101010010101110",
        "1101110000100000",
        "1010000000100110",
        "1111011100100001",
        "1110011100010100",
        "1001001001111101",
        "1100001000001010",
        "1110011100000000",
        "1101010100100100",
        "0000010100111001",
        "1101011001110101",
        "1000010101111101",
        "1011110000011100",
        "1001001001111000",
        "1111010100011000",
        "1111000001111000",
        "1111011111111110",
        "0000000100001100",
        "1111111101111010",
        "0100010000000000",
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
