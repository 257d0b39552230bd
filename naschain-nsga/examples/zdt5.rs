//! ZDT5 (Zitzler, Deb and Thiele 2000), a deceptive problem of 80 bits: prints the share of the true
//! front's hypervolume that the default mode and plain NSGA-II find after some numbers of evaluations.
//!
//! cargo run --release -p naschain-nsga --example zdt5 -- [SEEDS, 31 by default] [--normalised]
//!
//! By default the reference point is worse than all points. With --normalised it is measured as in
//! pymoo: the true front's ranges are scaled to 1 and the reference point is (1.1, 1.1), so that most
//! bad points contribute nothing.

use std::error::Error;

use naschain_core::Genome;
use naschain_nsga::{Ask, Mode, Objective, Outcome, Search, SearchConfig, hypervolume};

/// The reference point of the hypervolume, and when it is measured.
struct Measure {
    evaluations: &'static [usize],
    populations: &'static [usize],
    reference: [f64; 2],
}

const WHOLE: Measure = Measure {
    evaluations: &[50, 100, 200, 400, 1000, 2000],
    populations: &[20, 100],
    reference: [32.0, 62.0],
};

/// The true front extends from (1, 10) to (31, 10/31).
const NORMALISED: Measure = Measure {
    evaluations: &[1000, 2000, 3000, 5000],
    populations: &[100],
    reference: [1.0 + 1.1 * 30.0, LEAST + 1.1 * (10.0 - LEAST)],
};

/// The smallest second objective of the true front.
const LEAST: f64 = 10.0 / 31.0;

/// The first objective is 1 plus the ones of the first 30 bits. The second one sums ten groups of five
/// bits, divided by the first: a group is best with five ones and otherwise better with fewer.
fn evaluate(genome: &Genome) -> [f64; 2] {
    let group = |from: usize| match genome.count_ones(from..from + 5) {
        5 => 1.0,
        ones => 2.0 + ones as f64,
    };
    let first = 1.0 + genome.count_ones(0..30) as f64;
    let groups: f64 = (30..80).step_by(5).map(group).sum();
    [first, groups / first]
}

/// The shares of the true front's hypervolume that a search has found after each of
/// `measure.evaluations`.
fn shares(
    measure: &Measure,
    mode: Mode,
    population: usize,
    seed: u64,
) -> Result<Vec<f64>, naschain_nsga::Error> {
    let evaluations = measure.evaluations;
    let objectives = vec![Objective::minimize("f1"), Objective::minimize("f2")];
    let mut config = SearchConfig::new(80, objectives);
    config.mode = mode;
    config.population = population;
    config.generations = evaluations[evaluations.len() - 1] / population;
    config.seed = seed;
    let mut search = Search::new(config)?;
    let mut found = Vec::new();
    while let Ask::Candidate(candidate) = search.ask() {
        let row = evaluate(&candidate.genome);
        found.push(row);
        search.tell(candidate.id, Outcome::objectives(row))?;
    }
    let volume = |rows: &[[f64; 2]]| hypervolume(rows.as_flattened(), &measure.reference);
    let best: Vec<[f64; 2]> = (1..=31)
        .map(f64::from)
        .map(|first| [first, 10.0 / first])
        .collect();
    let all = volume(&best)?;
    let share = |count: &usize| Ok(volume(&found[..*count])? / all);
    evaluations.iter().map(share).collect()
}

const USAGE: &str = "usage: zdt5 [SEEDS, 31 by default] [--normalised]";

fn main() -> Result<(), Box<dyn Error>> {
    let (mut seeds, mut measure) = (31, WHOLE);
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--normalised" => measure = NORMALISED,
            option if option.starts_with('-') => {
                return Err(format!("unknown option {option}; {USAGE}").into());
            }
            count => {
                let number = count.parse().ok().filter(|count| *count > 0);
                seeds = number.ok_or(format!(
                    "SEEDS is {count:?}; it must be a whole number of at least 1; {USAGE}"
                ))?;
            }
        }
    }
    let evaluations = measure.evaluations;
    println!("population  mode       after {evaluations:?} evaluations, median of {seeds} seeds");
    for &population in measure.populations {
        for mode in [Mode::Surrogate, Mode::Nsga2] {
            let runs = (1..=seeds).map(|seed| shares(&measure, mode, population, seed));
            let runs: Vec<Vec<f64>> = runs.collect::<Result<_, _>>()?;
            let median = |at: usize| {
                let mut column: Vec<f64> = runs.iter().map(|run| run[at]).collect();
                column.sort_by(f64::total_cmp);
                format!("{:.4}", column[column.len() / 2])
            };
            let medians: Vec<String> = (0..evaluations.len()).map(median).collect();
            println!(
                "{population:10}  {:9}  {}",
                format!("{mode:?}"),
                medians.join("  ")
            );
        }
    }
    Ok(())
}
