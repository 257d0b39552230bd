//! Whole histories held still: the same seed asks the same genomes in every version and on every
//! machine. Recorded from this crate, as what `history` returned, when tournaments and crossovers
//! came to draw two places with one number; change them only together with a note in the changelog.

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
            .tell(candidate.id, Outcome::objectives(values))
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
        "0111010100010100",
        "0111001000100000",
        "1100111111011000",
        "1111100111101010",
        "0100110100100111",
        "1000111101111011",
        "0101110100110011",
        "1110110000000010",
        "0111110011100000",
        "1111001000011111",
        "1111000111101100",
        "0100000000011010",
        "0000000000111110",
        "0111010100110000",
        "0100000000101101",
        "1111000110101111",
    ];
    assert_eq!(history(Mode::Nsga2), expected);
}

#[test]
fn surrogate_history() {
    let expected = [
        "1101110000100000",
        "1001001001110100",
        "1010000000100110",
        "1110001000100011",
        "0000011010101110",
        "1101011110100110",
        "0101011111101110",
        "0000010010111100",
        "1100010010111100",
        "1100010110100100",
        "1100010011111101",
        "1101010100010010",
        "0000010000100000",
        "0000000000101000",
        "1110111111111011",
        "1111111110111010",
        "1111111111111110",
        "1110111011111111",
        "1110011011111111",
        "1110111111111111",
    ];
    assert_eq!(history(Mode::Surrogate), expected);
}
