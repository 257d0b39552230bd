//! Searches the table of NAS-Bench-Macro (Su et al., CVPR 2021; Apache-2.0) with a few seeds and checks
//! the share of its hypervolume that the default mode finds. The example nas_bench_macro runs 31 seeds
//! on the original CSV.
//!
//! fixtures/nas_bench_macro.txt was made from the authors' cifar10.csv. For each of the 6,561
//! architectures, in the order of their names from 00000000 to 22222222, it contains the sum of the
//! three accuracies in hundredths of a percent, as three digits in base 36; 81 architectures per line.
//! Parameters and FLOPs are sums over the layers, computed from the tables below.

use naschain_core::Genome;
use naschain_nsga::{Ask, Objective, Outcome, Search, SearchConfig, Space, hypervolume};

const LAYERS: usize = 8;
const ARCHITECTURES: usize = 6561;

/// Parameters and FLOPs of the architecture without blocks.
const EMPTY: [u32; 2] = [387_882, 7_713_280];

/// Parameters that a small and a large block add in each layer.
const PARAMS: [[u32; 2]; LAYERS] = [
    [8_416, 21_952],
    [27_200, 60_416],
    [31_168, 76_672],
    [103_552, 219_136],
    [103_552, 219_136],
    [119_680, 284_416],
    [403_712, 831_488],
    [403_712, 831_488],
];

/// FLOPs that a small and a large block add in each layer.
const FLOPS: [[u32; 2]; LAYERS] = [
    [4_415_488, 10_141_696],
    [6_733_824, 15_040_512],
    [4_304_896, 9_527_296],
    [6_512_640, 13_811_712],
    [6_512_640, 13_811_712],
    [4_249_600, 9_220_096],
    [6_402_048, 13_197_312],
    [6_402_048, 13_197_312],
];

/// Eight layers of two bits each: 01 is a small block, 10 a large block, 00 and 11 no block.
struct MacroTable {
    /// Error in percent, parameters and FLOPs, in the order of the architectures' names.
    rows: Vec<[f64; 3]>,
}

impl Space for MacroTable {
    type Genome = Genome;

    fn canonical(&self, genome: &Genome) -> Genome {
        let bit = |index: usize| genome.get(index) && !genome.get(index ^ 1);
        Genome::from_bits((0..genome.len()).map(bit))
    }

    fn known_objectives(&self, genome: &Genome) -> Vec<Option<f64>> {
        let [_, params, flops] = self.row(genome);
        vec![None, Some(params), Some(flops)]
    }
}

impl MacroTable {
    fn new() -> Self {
        let text = include_str!("../fixtures/nas_bench_macro.txt");
        let digits: String = text.lines().collect();
        let error = |architecture: usize| {
            let sum = &digits[3 * architecture..3 * architecture + 3];
            100.0 - f64::from(u32::from_str_radix(sum, 36).unwrap()) / 300.0
        };
        let rows: Vec<[f64; 3]> = (0..ARCHITECTURES)
            .map(|architecture| {
                let total = |empty: u32, shares: &[[u32; 2]; LAYERS]| {
                    let blocks = (0..LAYERS).map(|layer| {
                        let place = (LAYERS - 1 - layer) as u32;
                        let digit = architecture / 3usize.pow(place) % 3;
                        digit.checked_sub(1).map_or(0, |size| shares[layer][size])
                    });
                    f64::from(empty + blocks.sum::<u32>())
                };
                let costs = [total(EMPTY[0], &PARAMS), total(EMPTY[1], &FLOPS)];
                [error(architecture), costs[0], costs[1]]
            })
            .collect();
        MacroTable { rows }
    }

    fn row(&self, genome: &Genome) -> [f64; 3] {
        let digit = |layer: usize| match (genome.get(2 * layer), genome.get(2 * layer + 1)) {
            (false, true) => 1,
            (true, false) => 2,
            _ => 0,
        };
        self.rows[(0..LAYERS).fold(0, |name, layer| 3 * name + digit(layer))]
    }

    /// The hypervolume of some rows, with each objective scaled to the table's range and the table's
    /// worst point as the reference point.
    fn volume(&self, found: &[[f64; 3]]) -> f64 {
        let [low, high] = [f64::min, f64::max].map(|end| {
            let cells = |row: &[f64; 3], other: &[f64; 3]| {
                [0, 1, 2].map(|objective| end(row[objective], other[objective]))
            };
            self.rows
                .iter()
                .fold(self.rows[0], |all, row| cells(&all, row))
        });
        let scale = |row: &[f64; 3]| [0, 1, 2].map(|at| (row[at] - low[at]) / (high[at] - low[at]));
        let points: Vec<f64> = found.iter().flat_map(scale).collect();
        hypervolume(&points, &[1.0; 3]).unwrap()
    }

    /// All rows that the default mode evaluates in 400 evaluations.
    fn search(self, seed: u64) -> (Self, Vec<[f64; 3]>) {
        let objectives = ["error", "params", "flops"].map(Objective::minimize);
        let mut config = SearchConfig::new(2 * LAYERS, objectives.to_vec());
        config.seed = seed;
        let mut search = Search::in_space(config, self).unwrap();
        let mut found = Vec::new();
        while let Ask::Candidate(candidate) = search.ask() {
            let row = search.space().row(&candidate.genome);
            found.push(row);
            search.tell(candidate.id, Outcome::objectives(row)).unwrap();
        }
        (search.into_space(), found)
    }
}

#[test]
fn the_fixture_matches_the_published_table() {
    let table = MacroTable::new();
    // The first and the last row of the CSV, and the maximum and the sum of all accuracies.
    let accuracy = |row: &[f64; 3]| ((100.0 - row[0]) * 300.0).round();
    let (first, last) = (table.rows[0], table.rows[ARCHITECTURES - 1]);
    assert_eq!([accuracy(&first), first[1], first[2]], FIRST);
    assert_eq!([accuracy(&last), last[1], last[2]], LAST);
    let accuracies = table.rows.iter().map(accuracy);
    assert_eq!(accuracies.clone().fold(0.0, f64::max), BEST);
    assert_eq!(accuracies.sum::<f64>(), SUM);
}

/// Sum of the three accuracies in hundredths of a percent, parameters and FLOPs.
const FIRST: [f64; 3] = [13_609.0, 387_882.0, 7_713_280.0];
const LAST: [f64; 3] = [27_886.0, 2_932_586.0, 105_660_928.0];
const BEST: f64 = 27_938.0;
const SUM: f64 = 177_632_377.0;

#[test]
fn few_evaluations_find_most_of_the_hypervolume() {
    let mut table = MacroTable::new();
    let all = table.volume(&table.rows);
    let mut shares: [Vec<f64>; 4] = Default::default();
    for seed in 1..=5 {
        let found;
        (table, found) = table.search(seed);
        for (shares, count) in shares.iter_mut().zip([50, 100, 200, 400]) {
            shares.push(table.volume(&found[..count]) / all);
        }
    }
    let medians = shares.map(|mut shares| {
        shares.sort_by(f64::total_cmp);
        shares[2]
    });
    let expected = [0.985, 0.997, 0.999, 0.9995];
    assert!(
        medians
            .iter()
            .zip(expected)
            .all(|(share, least)| *share >= least),
        "{medians:?}"
    );
}
