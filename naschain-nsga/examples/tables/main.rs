//! Searches tables of evaluated designs, and prints which share of a table's hypervolume is found after
//! 25, 50, 100, 200 and 400 evaluations.
//!
//! cargo run --release -p naschain-nsga --example tables -- TABLE... [--seeds 31] [--mode ensemble|ridge|nsga2]
//!     [--pending 1] [--failures 0] [--noise 0] [--objectives N] [--threads 2]
//!
//! The layout of a table is described in `table.rs`. `--pending` is the number of evaluations in flight;
//! more than one is the steady-state pace. `--failures` is the share of evaluations, in percent, that
//! fail. `--noise` is the standard deviation of the noise of all objectives that have to be evaluated, in
//! percent of the objective's interquartile range; what counts then are the true values of the designs
//! that seem to be the best. `--objectives` is the number of objectives, the table's first ones, by default
//! all. With one, the evaluations until its best design is evaluated are printed.

mod column;
mod table;
mod trials;

use std::collections::VecDeque;
use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use naschain_nsga::{Ask, Mode, Objective, Outcome, Pace, Search, SearchConfig, Surrogate};
use table::Table;
use trials::{Trial, Trials, chosen};

const EVALUATIONS: [usize; 5] = [25, 50, 100, 200, 400];

/// What a search evaluates, in its order.
type Found = Vec<Trial>;

struct Options {
    tables: Vec<String>,
    seeds: u64,
    mode: (Mode, Surrogate),
    pending: usize,
    failures: u64,
    /// In percent of the interquartile range.
    noise: u64,
    objectives: usize,
    threads: usize,
}

const USAGE: &str = "usage: tables TABLE... [--seeds 31] [--mode ensemble|ridge|nsga2] [--pending 1] [--failures 0] [--noise 0] [--objectives N] [--threads 2]";

fn options() -> Result<Options, Box<dyn Error>> {
    let mut options = Options {
        tables: Vec::new(),
        seeds: 31,
        mode: (Mode::Surrogate, Surrogate::Ensemble),
        pending: 1,
        failures: 0,
        noise: 0,
        objectives: usize::MAX,
        threads: 2,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = |least: u64| {
            let text = arguments.next().unwrap_or_default();
            let number = text.parse().ok().filter(|number: &u64| *number >= least);
            number.ok_or_else(|| {
                format!("{argument} is {text:?}; it must be a whole number of at least {least}")
            })
        };
        match argument.as_str() {
            "--seeds" => options.seeds = number(1)?,
            "--pending" => options.pending = number(1)? as usize,
            "--failures" => options.failures = number(0)?,
            "--noise" => options.noise = number(0)?,
            "--threads" => options.threads = number(1)? as usize,
            "--objectives" => options.objectives = number(1)? as usize,
            "--mode" => {
                options.mode = match arguments.next().unwrap_or_default().as_str() {
                    "ensemble" => (Mode::Surrogate, Surrogate::Ensemble),
                    "ridge" => (Mode::Surrogate, Surrogate::Ridge),
                    "nsga2" => (Mode::Nsga2, Surrogate::Ensemble),
                    other => {
                        return Err(format!(
                            "--mode is {other:?}; it must be ensemble, ridge or nsga2"
                        )
                        .into());
                    }
                }
            }
            option if option.starts_with('-') => {
                return Err(format!("unknown option {option}; {USAGE}").into());
            }
            _ => options.tables.push(argument),
        }
    }
    if options.tables.is_empty() {
        return Err(USAGE.into());
    }
    Ok(options)
}

fn search(table: &Table, options: &Options, seed: u64) -> Result<Found, Box<dyn Error>> {
    let objectives = table.objectives().iter().map(Objective::minimize);
    let mut config = SearchConfig::new(table.genome_len(), objectives.collect());
    config.seed = seed;
    (config.mode, config.surrogate) = options.mode;
    config.evaluations = Some(EVALUATIONS[4]);
    if options.pending > 1 {
        config.pace = Pace::SteadyState;
    }
    let mut search = Search::in_space(config, table)?;
    let mut trials = Trials::new(table, seed, options.failures, options.noise);
    let (mut found, mut pending) = (Vec::new(), VecDeque::new());
    while !search.is_finished() {
        while pending.len() < options.pending
            && let Ask::Candidate(candidate) = search.ask()
        {
            pending.push_back(candidate);
        }
        let candidate = pending.pop_front().ok_or("the search asks nothing")?;
        let trial = trials.evaluate(&candidate.genome);
        let outcome = match &trial.told {
            Some(told) => Outcome::objectives(told.iter().copied()),
            None => Outcome::Failed("failed, or not in the table".to_owned()),
        };
        search.tell(candidate.id, outcome)?;
        found.push(trial);
    }
    Ok(found)
}

/// What the search of each seed finds.
fn all_seeds(options: &Options, table: &Table) -> Result<Vec<Found>, String> {
    let (next, results) = (AtomicU64::new(1), Mutex::new(Vec::new()));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed > options.seeds {
                return;
            }
            let found = search(table, options, seed).map_err(|error| error.to_string());
            let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
            results.push(found);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..options.threads {
            scope.spawn(work);
        }
    });
    let results = results.into_inner();
    let results = results.unwrap_or_else(PoisonError::into_inner);
    results.into_iter().collect()
}

/// The median, and the worse quartile.
fn quantiles(values: impl Iterator<Item = f64>, larger_is_better: bool) -> (f64, f64) {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let quarter = values.len() / 4;
    let worse = if larger_is_better {
        quarter
    } else {
        values.len() - 1 - quarter
    };
    (values[values.len() / 2], values[worse])
}

/// Prints the evaluations until the best value of the first objective, and how far from it the best value
/// found is.
fn print_single(path: &str, table: &Table, all: &[Found]) {
    let best = table.best();
    let needed = all.iter().map(|found| {
        let is_best = |trial: &Trial| trial.told.is_some() && trial.truth[0] <= best;
        let at = found.iter().position(is_best);
        at.map_or(f64::INFINITY, |at| (at + 1) as f64)
    });
    let (median, worse) = quantiles(needed, false);
    print!("{path:<24} best after {median:>4} ({worse:>4}); regret");
    for count in EVALUATIONS {
        let regrets = all.iter().map(|found| {
            let rows = chosen(&found[..count.min(found.len())]);
            let values = rows.iter().map(|row| row[0]);
            values.fold(f64::INFINITY, f64::min) - best
        });
        let (median, worse) = quantiles(regrets, false);
        print!("  {median:.3} ({worse:.3})");
    }
    println!();
}

fn print_shares(path: &str, table: &Table, all: &[Found]) -> Result<(), naschain_nsga::Error> {
    for (name, scale) in [("table", table.ranges()), ("front", table.front_ranges())] {
        let whole = table.volume(table.front().iter(), &scale)?;
        print!("{path:<24} {name}");
        for count in EVALUATIONS {
            let share = |found: &Found| {
                let rows = chosen(&found[..count.min(found.len())]);
                let volume = table.volume(rows.into_iter(), &scale)?;
                Ok::<f64, naschain_nsga::Error>(volume / whole)
            };
            let shares: Vec<f64> = all.iter().map(share).collect::<Result<_, _>>()?;
            let (median, worse) = quantiles(shares.into_iter(), true);
            print!("  {median:.4} ({worse:.4})");
        }
        println!();
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = options()?;
    for path in &options.tables {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
        let table =
            Table::parse(&text, options.objectives).map_err(|error| format!("{path}: {error}"))?;
        let all = all_seeds(&options, &table)?;
        if table.objectives().len() == 1 {
            print_single(path, &table, &all);
        } else {
            print_shares(path, &table, &all)?;
        }
    }
    Ok(())
}
