//! Golden histories: the same seed asks the same genomes in every version and on every machine.
//!
//! The values were recorded from this crate by `history`, `whole` and `whole_of_reals`. Change them
//! only together with a note in the changelog.

use std::collections::VecDeque;

use naschain_core::Genome;
use naschain_nsga::{
    Ask, Mode, Objective, Outcome, Pace, RealVector, Reals, Search, SearchConfig, Space, Surrogate,
};

/// Computed from the numbers of set bits in each half, without rounding.
fn evaluate(genome: &Genome) -> Vec<f64> {
    let ones = |from: usize| (from..from + 8).filter(|&bit| genome.get(bit)).count() as f64;
    vec![ones(0) + 8.0 - ones(8), (8.0 - ones(0)) * (1.0 + ones(8))]
}

/// How the candidates of a history are chosen.
type Chosen = (Mode, Surrogate);

const NSGA2: Chosen = (Mode::Nsga2, Surrogate::Ridge);
const RIDGE: Chosen = (Mode::Surrogate, Surrogate::Ridge);
const ENSEMBLE: Chosen = (Mode::Surrogate, Surrogate::Ensemble);

fn config((mode, surrogate): Chosen) -> SearchConfig {
    let objectives = vec![Objective::minimize("a"), Objective::minimize("b")];
    let mut config = SearchConfig::new(16, objectives);
    config.population = 16;
    config.generations = 2;
    config.seed = 7;
    (config.mode, config.surrogate) = (mode, surrogate);
    config
}

/// The genomes of two generations, without the first twelve, which are random.
fn history(mode: Chosen) -> Vec<String> {
    let search = finished(Search::new(config(mode)).unwrap(), 1, evaluate);
    let genomes = search.evaluated().map(|one| one.genome.to_string());
    genomes.skip(12).collect()
}

/// Runs to the end with `concurrency` candidates in flight, of which the oldest is told first.
fn finished<S: Space>(
    mut search: Search<S>,
    concurrency: usize,
    evaluate: fn(&S::Genome) -> Vec<f64>,
) -> Search<S> {
    let mut pending = VecDeque::new();
    while !search.is_finished() {
        while pending.len() < concurrency
            && let Ask::Candidate(candidate) = search.ask()
        {
            pending.push_back(candidate);
        }
        let candidate = pending.pop_front().unwrap();
        let outcome = Outcome::objectives(evaluate(&candidate.genome));
        search.tell(candidate.id, outcome).unwrap();
    }
    search
}

/// FNV-1a, 64 bits (Fowler, Noll and Vo), of the genomes' texts with a newline after each.
fn digest(genomes: &[String]) -> u64 {
    let bytes = genomes
        .iter()
        .flat_map(|genome| genome.bytes().chain([b'\n']));
    bytes.fold(0xcbf2_9ce4_8422_2325, |digest, byte| {
        (digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The digest of a whole search of bits, and its last genome.
fn whole(config: SearchConfig, concurrency: usize) -> (u64, String) {
    let search = finished(Search::new(config).unwrap(), concurrency, evaluate);
    let genomes: Vec<String> = search
        .evaluated()
        .map(|one| one.genome.to_string())
        .collect();
    (digest(&genomes), genomes[genomes.len() - 1].clone())
}

/// As `whole`, of a search over four real variables, each written as the hexadecimal digits of its
/// bits.
fn whole_of_reals(mode: Chosen) -> (u64, String) {
    let mut config = config(mode);
    config.genome_len = 4;
    config.generations = 8;
    let search = finished(Search::in_space(config, Reals).unwrap(), 1, |vector| {
        let &[a, b, c, d] = vector.values() else {
            unreachable!("four variables")
        };
        // Sums, products and quotients round the same on every machine.
        let rest = 1.0 + b * b + (c - 0.5) * (c - 0.5) + d;
        vec![a, rest / (0.25 + a)]
    });
    let text = |vector: &RealVector| {
        let numbers = vector
            .values()
            .iter()
            .map(|value| format!("{:016x}", value.to_bits()));
        numbers.collect::<Vec<_>>().join(" ")
    };
    let genomes: Vec<String> = search.evaluated().map(|one| text(&one.genome)).collect();
    (digest(&genomes), genomes[genomes.len() - 1].clone())
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
    assert_eq!(history(NSGA2), expected);
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
    assert_eq!(history(RIDGE), expected);
}

#[test]
fn ensemble_history() {
    let expected = [
        "1101110000100000",
        "1001001001110100",
        "1010000000100110",
        "1110001000100011",
        "1101011110100110",
        "0001010000111100",
        "0000010010111100",
        "1100011010011100",
        "0000000000001000",
        "0010000000000000",
        "0000000000111010",
        "0000000000110000",
        "0000000000101010",
        "0000000000000000",
        "1111111111101110",
        "0000000000100010",
        "1111111111111110",
        "0000000001100000",
        "1111011111111110",
        "0000010010101000",
    ];
    assert_eq!(history(ENSEMBLE), expected);
}

#[test]
fn histories_of_real_variables() {
    for (mode, expected) in [
        (
            NSGA2,
            (
                0x5f16_bdef_91c0_c3ae,
                "3fd2098a8d2fc5d0 3fe8df2d80307684 3fe78e784443012c 3f8fdb29e0f88a56",
            ),
        ),
        (
            RIDGE,
            (
                0xcc21_698e_7949_8d43,
                "3fee743d59b67054 3f710c4eada06be0 3fded14a85b73a46 3f62cad30bafaca0",
            ),
        ),
        (
            ENSEMBLE,
            (
                0x3d86_18b0_46be_e23e,
                "3fe7d706679df62c 3f5a3d70dc8f5f60 3fdf5847cd702198 3f077f6fc0b08000",
            ),
        ),
    ] {
        let (digest, last) = whole_of_reals(mode);
        assert_eq!((digest, last.as_str()), expected, "{mode:?}");
    }
}

/// With five candidates in flight, so that the model has to consider pending ones.
#[test]
fn histories_in_steady_state() {
    for (mode, expected) in [
        (NSGA2, (0xdd4a_b9b0_8b78_e90a, "0000001000000110")),
        (RIDGE, (0xb2ea_b0bc_d92e_e451, "1100111010111111")),
        (ENSEMBLE, (0x3e29_b28d_42ca_ac00, "0010111111111111")),
    ] {
        let mut config = config(mode);
        config.pace = Pace::SteadyState;
        config.generations = 6;
        let (digest, last) = whole(config, 5);
        assert_eq!((digest, last.as_str()), expected, "{mode:?}");
    }
}

/// Plain offspring is added after 100 candidates, block mutation after 400.
#[test]
fn histories_beyond_four_hundred_candidates() {
    for (mode, expected) in [
        (NSGA2, (0x9e85_a581_7e74_3c80, "0111111111111111")),
        (RIDGE, (0xd61a_a0b0_b910_1fc2, "1110011011000011")),
        (ENSEMBLE, (0xcaf4_b793_d272_a004, "0001101101111111")),
    ] {
        let mut config = config(mode);
        config.generations = 28;
        let (digest, last) = whole(config, 1);
        assert_eq!((digest, last.as_str()), expected, "{mode:?}");
    }
}
