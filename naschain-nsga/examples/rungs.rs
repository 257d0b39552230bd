//! Searches the table of learning curves in `data/digits-curves.bin` with rungs at 1, 3 and 9 epochs
//! and with 9 epochs for every network, and prints which share of the latter's hypervolume the former
//! finds, with which share of its epochs.
//!
//! cargo run --release -p naschain-nsga --example rungs -- FILE [--seeds 31] [--order 1] [--genomes 200]
//!     [--full-genomes 200] [--mode surrogate|nsga2] [--pace generational|steady-state] [--each]
//!     [--scores CSV]
//!
//! `--order` is the data order (1 to 3) whose curves are used, `--genomes` and `--full-genomes` the
//! numbers of networks of the two searches. The layout of the file is described in
//! `benches/examples/curves.rs`, the program that makes it. `--scores` is a file with lines of a canonical
//! genome and numbers, such as `benches/peers/zero_cost.py` writes, which the surrogate gets as features.

use std::collections::{BTreeMap, VecDeque};
use std::error::Error;

use naschain_core::{Genome, MacroSpace};
use naschain_nsga::{
    Ask, Mode, Objective, OperationGraph, Outcome, Pace, Search, SearchConfig, Space, hypervolume,
};

const EPOCHS: usize = 9;
const RUNGS: [u32; 3] = [1, 3, 9];
/// Trainings that a search at the steady-state pace has in flight.
const WORKERS: usize = 8;

/// Error in percent, parameters and FLOPs of some networks.
type Rows = Vec<[f64; 3]>;

struct Network {
    params: f64,
    flops: f64,
    /// The validation error in percent after each epoch.
    errors: [f64; EPOCHS],
}

/// Canonical genomes and their networks, of one data order.
pub(crate) struct CurveTable {
    macro_space: MacroSpace,
    networks: BTreeMap<Genome, Network>,
    /// Further features of the canonical genomes; empty if there are none.
    scores: BTreeMap<Genome, Vec<f64>>,
}

impl Space for CurveTable {
    type Genome = Genome;

    fn canonical(&self, genome: &Genome) -> Genome {
        Space::canonical(&self.macro_space, genome)
    }

    fn known_objectives(&self, genome: &Genome) -> Vec<Option<f64>> {
        let network = &self.networks[&Space::canonical(self, genome)];
        vec![None, Some(network.params), Some(network.flops)]
    }

    fn features(&self, genome: &Genome) -> Vec<f64> {
        let scores = self.scores.get(&Space::canonical(self, genome));
        scores.cloned().unwrap_or_default()
    }

    fn graphs(&self, genome: &Genome) -> Vec<OperationGraph> {
        self.macro_space.graphs(genome)
    }
}

impl CurveTable {
    pub(crate) fn parse(file: &[u8], order: usize) -> Result<Self, Box<dyn Error>> {
        let number = |at: usize, bytes: usize| {
            let digits = file.get(at..at + bytes).ok_or("the file is too short")?;
            let value = digits.iter().rev();
            Ok::<_, &str>(value.fold(0, |value, digit| value << 8 | u64::from(*digit)))
        };
        let (orders, epochs) = (number(8, 2)? as usize, number(10, 2)? as usize);
        if !file.starts_with(b"NASCURV1") || epochs != EPOCHS || !(1..=orders).contains(&order) {
            let found = format!("no table of {EPOCHS} epochs with data order {order}");
            return Err(format!("{found}; it has {epochs} epochs and {orders} orders").into());
        }
        let macro_space = MacroSpace {
            phases: 2,
            nodes: 4,
            input: "1x8x8".parse()?,
            init_channels: 4,
            classes: 10,
        };
        let len = macro_space.genome_len();
        let mut networks = BTreeMap::new();
        for row in 0..number(12, 4)? as usize {
            let at = 16 + row * (10 + orders * epochs * 4);
            let bits = number(at, 2)?;
            let genome = Genome::from_bits((0..len).rev().map(|bit| bits >> bit & 1 == 1));
            let mut errors = [0.0; EPOCHS];
            for (epoch, error) in errors.iter_mut().enumerate() {
                let place = at + 10 + ((order - 1) * epochs + epoch) * 4 + 2;
                *error = 100.0 - number(place, 2)? as f64 / 100.0;
            }
            let (params, flops) = (number(at + 2, 4)? as f64, number(at + 6, 4)? as f64);
            let network = Network {
                params,
                flops,
                errors,
            };
            networks.insert(genome, network);
        }
        Ok(CurveTable {
            macro_space,
            networks,
            scores: BTreeMap::new(),
        })
    }

    fn read_scores(&mut self, csv: &str) -> Result<(), Box<dyn Error>> {
        for line in csv.lines() {
            let mut cells = line.split(',');
            let genome = cells.next().unwrap_or_default().parse()?;
            let scores = cells.map(str::parse).collect::<Result<_, _>>()?;
            self.scores.insert(genome, scores);
        }
        let lacks = |genome: &&Genome| !self.scores.contains_key(*genome);
        match self.networks.keys().find(lacks) {
            Some(genome) => Err(format!("no scores of {genome}").into()),
            None => Ok(()),
        }
    }

    fn row(&self, genome: &Genome, epochs: u32) -> [f64; 3] {
        let network = &self.networks[&Space::canonical(self, genome)];
        let error = network.errors[epochs as usize - 1];
        [error, network.params, network.flops]
    }

    /// The hypervolume of these rows, with each objective scaled to the range of the whole table at
    /// the full budget and its worst point as the reference point.
    fn volume(&self, found: &[[f64; 3]]) -> Result<f64, naschain_nsga::Error> {
        let all = || self.networks.keys().map(|one| self.row(one, RUNGS[2]));
        let range = |objective: usize| {
            let column = || all().map(|row| row[objective]);
            let low = column().fold(f64::INFINITY, f64::min);
            (low, column().fold(f64::NEG_INFINITY, f64::max))
        };
        let ranges = [range(0), range(1), range(2)];
        let scale = |row: &[f64; 3]| {
            let cells = row.iter().zip(ranges);
            let cells = cells.map(|(value, (low, high))| (value - low) / (high - low));
            cells.collect::<Vec<_>>()
        };
        let points: Vec<f64> = found.iter().flat_map(scale).collect();
        hypervolume(&points, &[1.0; 3])
    }

    /// Runs a search to its end. Returns the table, the rows with the full budget, and the number of
    /// epochs trained.
    fn search(self, config: SearchConfig) -> Result<(Self, Rows, u32), naschain_nsga::Error> {
        let workers = match config.pace {
            Pace::SteadyState => WORKERS,
            _ => 1,
        };
        let mut search = Search::in_space(config, self)?;
        let (mut found, mut epochs, mut in_flight) = (Vec::new(), 0, VecDeque::new());
        loop {
            while in_flight.len() < workers
                && let Ask::Candidate(candidate) = search.ask()
            {
                in_flight.push_back(candidate);
            }
            let Some(candidate) = in_flight.pop_front() else {
                break;
            };
            let budget = candidate.budget.unwrap_or(RUNGS[2]);
            let before = candidate.continues.and_then(|id| search.budget(id));
            epochs += budget - before.unwrap_or(0);
            let row = search.space().row(&candidate.genome, budget);
            if budget == RUNGS[2] {
                found.push(row);
            }
            search.tell(candidate.id, Outcome::objectives(row))?;
        }
        Ok((search.into_space(), found, epochs))
    }
}

pub(crate) struct Arguments {
    pub(crate) path: String,
    pub(crate) seeds: u64,
    pub(crate) order: usize,
    pub(crate) genomes: usize,
    pub(crate) full_genomes: usize,
    pub(crate) mode: Mode,
    pub(crate) pace: Pace,
    pub(crate) each: bool,
    pub(crate) scores: Option<String>,
}

const USAGE: &str = "usage: rungs FILE [--seeds 31] [--order 1] [--genomes 200] [--full-genomes 200] \
                     [--mode surrogate|nsga2] [--pace generational|steady-state] [--each] [--scores CSV]";

impl Default for Arguments {
    fn default() -> Self {
        Arguments {
            path: String::new(),
            seeds: 31,
            order: 1,
            genomes: 200,
            full_genomes: 200,
            mode: Mode::Surrogate,
            pace: Pace::Generational,
            each: false,
            scores: None,
        }
    }
}

fn arguments() -> Result<Arguments, Box<dyn Error>> {
    let mut found = Arguments::default();
    let mut rest = std::env::args().skip(1);
    while let Some(argument) = rest.next() {
        let mut value = || rest.next().unwrap_or_default();
        let wrong = |value: &str| format!("{argument} is {value:?}; {USAGE}");
        let mut count = || {
            let value = value();
            let count = value.parse().ok().filter(|count| *count > 0usize);
            count.ok_or_else(|| wrong(&value))
        };
        match argument.as_str() {
            "--seeds" => found.seeds = count()? as u64,
            "--order" => found.order = count()?,
            "--genomes" => found.genomes = count()?,
            "--full-genomes" => found.full_genomes = count()?,
            "--mode" => {
                found.mode = match value().as_str() {
                    "surrogate" => Mode::Surrogate,
                    "nsga2" => Mode::Nsga2,
                    other => return Err(wrong(other).into()),
                }
            }
            "--pace" => {
                found.pace = match value().as_str() {
                    "generational" => Pace::Generational,
                    "steady-state" => Pace::SteadyState,
                    other => return Err(wrong(other).into()),
                }
            }
            "--each" => found.each = true,
            "--scores" => found.scores = Some(value()),
            path if found.path.is_empty() && !path.starts_with('-') => found.path = path.to_owned(),
            other => return Err(format!("unknown argument {other:?}; {USAGE}").into()),
        }
    }
    if found.path.is_empty() {
        return Err(USAGE.into());
    }
    Ok(found)
}

/// For each seed the hypervolume and the epochs as shares of those of the search that trains every
/// network to the end, then the hypervolumes of that search and of the one with rungs as shares of the
/// whole table's.
pub(crate) fn compare(
    mut table: CurveTable,
    arguments: &Arguments,
) -> Result<Vec<[f64; 4]>, Box<dyn Error>> {
    let all = table.networks.keys().map(|one| table.row(one, RUNGS[2]));
    let whole = table.volume(&all.collect::<Vec<_>>())?;
    let mut runs = Vec::new();
    for seed in 1..=arguments.seeds {
        let objectives = ["error", "params", "flops"].map(Objective::minimize);
        let len = table.macro_space.genome_len();
        let mut config = SearchConfig::new(len, objectives.to_vec());
        (config.seed, config.mode, config.pace) = (seed, arguments.mode, arguments.pace);
        config.generations = usize::MAX / config.population;
        config.evaluations = Some(arguments.full_genomes);
        let (found, full_epochs);
        (table, found, full_epochs) = table.search(config.clone())?;
        let full = table.volume(&found)?;
        config.evaluations = Some(arguments.genomes);
        config.rungs = RUNGS.to_vec();
        let (found, epochs);
        (table, found, epochs) = table.search(config)?;
        let volume = table.volume(&found)?;
        if arguments.each {
            let counts = format!("{epochs} of {full_epochs} epochs, {} networks", found.len());
            println!("seed {seed}: {volume:.4} of {full:.4}, {counts}");
        }
        let share = f64::from(epochs) / f64::from(full_epochs);
        runs.push([volume / full, share, full / whole, volume / whole]);
    }
    Ok(runs)
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = arguments()?;
    let path = &arguments.path;
    let file = std::fs::read(path).map_err(|error| format!("{path}: {error}"))?;
    let table = CurveTable::parse(&file, arguments.order);
    let mut table = table.map_err(|error| format!("{path}: {error}"))?;
    if let Some(scores) = &arguments.scores {
        let csv = std::fs::read_to_string(scores).map_err(|error| format!("{scores}: {error}"))?;
        let read = table.read_scores(&csv);
        read.map_err(|error| format!("{scores}: {error}"))?;
    }
    let runs = compare(table, &arguments)?;
    println!("{:>2} seeds {:>26}  median  greatest", runs.len(), "least");
    let names = [
        "hypervolume, rungs / full",
        "epochs, rungs / full",
        "full / whole table",
        "rungs / whole table",
    ];
    for (at, name) in names.iter().enumerate() {
        let mut column: Vec<f64> = runs.iter().map(|run| run[at]).collect();
        column.sort_by(f64::total_cmp);
        let (least, greatest) = (column[0], column[column.len() - 1]);
        let median = column[column.len() / 2];
        println!("{name:<26}    {least:.4}  {median:.4}  {greatest:.4}");
    }
    Ok(())
}
