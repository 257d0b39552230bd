//! Searches the table of NAS-Bench-Macro (Su et al., CVPR 2021) and prints the share of the whole
//! table's hypervolume that the default mode, plain NSGA-II and random search find after 50 to 400
//! evaluations.
//!
//! cargo run --release -p naschain-nsga --example nas_bench_macro -- CSV [--seeds 31] [--json]

use std::collections::BTreeMap;
use std::error::Error;

use naschain_core::{Genome, Purpose, Stream};
use naschain_nsga::{Ask, Mode, Objective, Outcome, Search, SearchConfig, Space, hypervolume};

const LAYERS: usize = 8;
const EVALUATIONS: [usize; 4] = [50, 100, 200, 400];

/// Error in percent, parameters and FLOPs of some architectures.
type Rows = Vec<[f64; 3]>;

/// Eight layers of two bits each: 01 is a small block, 10 a large block, 00 and 11 no block.
struct MacroTable {
    /// Error in percent, parameters and FLOPs of each architecture in its canonical form.
    rows: BTreeMap<Genome, [f64; 3]>,
}

impl Space for MacroTable {
    type Genome = Genome;

    fn canonical(&self, genome: &Genome) -> Genome {
        let bit = |index: usize| genome.get(index) && !genome.get(index ^ 1);
        Genome::from_bits((0..genome.len()).map(bit))
    }

    fn known_objectives(&self, genome: &Genome) -> Vec<Option<f64>> {
        let [_, params, flops] = self.rows[&self.canonical(genome)];
        vec![None, Some(params), Some(flops)]
    }
}

impl MacroTable {
    /// Columns: arch (a digit 0, 1 or 2 per layer), three accuracies in percent, params, flops.
    fn parse(csv: &str) -> Result<Self, Box<dyn Error>> {
        let mut rows = BTreeMap::new();
        for line in csv.lines().skip(1) {
            let mut cells = line.split(',');
            let arch = cells.next().unwrap_or_default();
            let bits = arch
                .bytes()
                .flat_map(|digit| [digit == b'2', digit == b'1']);
            let number = |cell: &str| {
                let number = cell.trim().parse().ok();
                let number = number.filter(|number: &f64| number.is_finite());
                number.ok_or(format!(
                    "{cell:?} is not a finite number, in the line {line}"
                ))
            };
            let numbers: Vec<f64> = cells.map(number).collect::<Result<_, _>>()?;
            let &[first, second, third, params, flops] = &numbers[..] else {
                return Err(format!("expected five numbers after the architecture: {line}").into());
            };
            let error = 100.0 - (first + second + third) / 3.0;
            rows.insert(Genome::from_bits(bits), [error, params, flops]);
        }
        match rows.len() {
            6561 => Ok(MacroTable { rows }),
            len => Err(format!("found {len} distinct architectures; the table has 6561").into()),
        }
    }

    /// The hypervolume of these rows, with each objective scaled to the table's range and the table's
    /// worst point as the reference point.
    fn volume<'a>(&self, found: impl Iterator<Item = &'a [f64; 3]>) -> f64 {
        let range = |objective: usize| {
            let column = self.rows.values().map(|row| row[objective]);
            let low = column.clone().fold(f64::INFINITY, f64::min);
            (low, column.fold(f64::NEG_INFINITY, f64::max))
        };
        let ranges = [range(0), range(1), range(2)];
        let scale = |row: &[f64; 3]| {
            let cells = row.iter().zip(ranges);
            cells
                .map(|(value, (low, high))| (value - low) / (high - low))
                .collect::<Vec<_>>()
        };
        let points: Vec<f64> = found.flat_map(scale).collect();
        hypervolume(&points, &[1.0; 3]).expect("whole rows and a finite reference point")
    }

    /// The shares of the table's hypervolume found after 50, 100, 200 and 400 evaluations.
    fn shares(&self, found: &[[f64; 3]]) -> Vec<f64> {
        let all = self.volume(self.rows.values());
        EVALUATIONS
            .map(|count| self.volume(found.iter().take(count)) / all)
            .to_vec()
    }

    fn search(self, mode: Mode, seed: u64) -> Result<(Self, Rows), Box<dyn Error>> {
        let objectives = ["error", "params", "flops"]
            .map(Objective::minimize)
            .to_vec();
        let mut config = SearchConfig::new(2 * LAYERS, objectives);
        config.mode = mode;
        config.seed = seed;
        let mut search = Search::in_space(config, self)?;
        let mut found = Vec::new();
        while let Ask::Candidate(candidate) = search.ask() {
            let table = search.space();
            let row = table.rows[&table.canonical(&candidate.genome)];
            found.push(row);
            search.tell(candidate.id, Outcome::objectives(row))?;
        }
        Ok((search.into_space(), found))
    }

    fn random(&self, seed: u64) -> Rows {
        let rows: Rows = self.rows.values().copied().collect();
        let order = Stream::new(seed, Purpose::Simulation, 0, 0).permutation(rows.len());
        order
            .into_iter()
            .take(EVALUATIONS[3])
            .map(|index| rows[index])
            .collect()
    }
}

fn medians(mut runs: Vec<Vec<f64>>) -> Vec<f64> {
    let middle = runs.len() / 2;
    (0..EVALUATIONS.len())
        .map(|at| {
            runs.sort_by(|a, b| a[at].total_cmp(&b[at]));
            runs[middle][at]
        })
        .collect()
}

const USAGE: &str = "usage: nas_bench_macro CSV [--seeds 31] [--json]";

fn seed_count(text: &str) -> Result<u64, String> {
    let count = text.parse().ok().filter(|count| *count > 0);
    count.ok_or(format!(
        "--seeds is {text:?}; it must be a whole number of at least 1; {USAGE}"
    ))
}

fn main() -> Result<(), Box<dyn Error>> {
    let (mut path, mut seeds, mut json) = (None, 31, false);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--json" => json = true,
            "--seeds" => seeds = seed_count(&arguments.next().unwrap_or_default())?,
            option if option.starts_with('-') => {
                return Err(format!("unknown option {option}; {USAGE}").into());
            }
            _ if path.is_some() => return Err(format!("only one CSV can be given; {USAGE}").into()),
            _ => path = Some(argument),
        }
    }
    let path = path.ok_or(USAGE)?;
    let csv = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    let mut table = MacroTable::parse(&csv).map_err(|error| format!("{path}: {error}"))?;
    let (mut default, mut nsga2, mut random) = (Vec::new(), Vec::new(), Vec::new());
    for seed in 1..=seeds {
        for (mode, runs) in [(Mode::default(), &mut default), (Mode::Nsga2, &mut nsga2)] {
            let found;
            (table, found) = table.search(mode, seed)?;
            runs.push(table.shares(&found));
        }
        random.push(table.shares(&table.random(seed)));
    }
    let columns = [
        ("default", medians(default)),
        ("nsga2", medians(nsga2)),
        ("random", medians(random)),
    ];
    if json {
        let columns = columns
            .map(|(name, values)| format!("\"{name}\": {values:?}"))
            .join(", ");
        println!("{{\"evaluations\": {EVALUATIONS:?}, {columns}}}");
        return Ok(());
    }
    println!("share of the table's hypervolume, median of {seeds} seeds");
    println!(
        "evaluations  {:>7}  {:>7}  {:>7}",
        columns[0].0, columns[1].0, columns[2].0
    );
    for (at, evaluations) in EVALUATIONS.iter().enumerate() {
        let [default, nsga2, random] =
            [&columns[0].1, &columns[1].1, &columns[2].1].map(|column| column[at]);
        println!("{evaluations:>11}  {default:>7.4}  {nsga2:>7.4}  {random:>7.4}");
    }
    Ok(())
}
