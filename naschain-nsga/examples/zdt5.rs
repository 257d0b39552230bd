//! ZDT5 (Zitzler, Deb and Thiele 2000), 80 bits and deceptive: how much of the best front's
//! hypervolume the default search and plain NSGA-II have found after how many evaluations.
//!
//! cargo run --release -p naschain-nsga --example zdt5 -- [SEEDS, 31 by default]

use std::error::Error;

use naschain_core::Genome;
use naschain_nsga::{Mode, Objective, Outcome, Search, SearchConfig, hypervolume};

const EVALUATIONS: [usize; 6] = [50, 100, 200, 400, 1000, 2000];

/// The ones of the first 30 bits, plus 1; and ten groups of five bits, each best if all are 1, and
/// else the better the fewer are, divided by the first objective.
fn evaluate(genome: &Genome) -> [f64; 2] {
    let group = |from: usize| match genome.count_ones(from..from + 5) {
        5 => 1.0,
        ones => 2.0 + ones as f64,
    };
    let first = 1.0 + genome.count_ones(0..30) as f64;
    let groups: f64 = (30..80).step_by(5).map(group).sum();
    [first, groups / first]
}

/// From a point that is worse than all.
fn volume(rows: &[[f64; 2]]) -> Result<f64, naschain_nsga::Error> {
    hypervolume(rows.as_flattened(), &[32.0, 62.0])
}

fn shares(mode: Mode, population: usize, seed: u64) -> Result<Vec<f64>, naschain_nsga::Error> {
    let config = SearchConfig {
        mode,
        population,
        generations: 2000 / population,
        seed,
        ..SearchConfig::new(
            80,
            vec![Objective::minimize("f1"), Objective::minimize("f2")],
        )
    };
    let mut search = Search::new(config)?;
    let mut found = Vec::new();
    while let Some(candidate) = search.ask() {
        let row = evaluate(&candidate.genome);
        found.push(row);
        search.tell(candidate.id, Outcome::objectives(row))?;
    }
    let best: Vec<[f64; 2]> = (1..=31)
        .map(f64::from)
        .map(|first| [first, 10.0 / first])
        .collect();
    let all = volume(&best)?;
    let share = |count: usize| Ok(volume(&found[..count])? / all);
    EVALUATIONS.into_iter().map(share).collect()
}

fn main() -> Result<(), Box<dyn Error>> {
    let seeds: u64 = std::env::args()
        .nth(1)
        .map_or(Ok(31), |text| text.parse())?;
    println!("population  mode       after {EVALUATIONS:?} evaluations, median of {seeds} seeds");
    for population in [20, 100] {
        for mode in [Mode::Surrogate, Mode::Nsga2] {
            let runs = (1..=seeds).map(|seed| shares(mode, population, seed));
            let runs: Vec<Vec<f64>> = runs.collect::<Result<_, _>>()?;
            let median = |at: usize| {
                let mut column: Vec<f64> = runs.iter().map(|run| run[at]).collect();
                column.sort_by(f64::total_cmp);
                format!("{:.4}", column[column.len() / 2])
            };
            let medians: Vec<String> = (0..EVALUATIONS.len()).map(median).collect();
            println!(
                "{population:10}  {:9}  {}",
                format!("{mode:?}"),
                medians.join("  ")
            );
        }
    }
    Ok(())
}
