//! `genomaster latency`: measures how long networks of a space take on this machine, and fits a table of
//! the latencies of their layers, by which a search can go.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};
use naschain_core::{Genome, Network, Purpose, SearchSpace, Stream};
use naschain_run::LatencyTable;
use naschain_train::{Isa, Options, repeat_inference};

use crate::cli::data_args::DataArgs;
use crate::cli::presets::{Budget, Defaults};
use crate::cli::space_args::SpaceArgs;
use crate::clock;
use crate::files::write_whole;
use crate::journal::run_folder::read_run;
use crate::printable::counted;

/// How often all networks are measured, one after the other, so that a busy moment of the machine does
/// not fall on one network alone.
const ROUNDS: usize = 5;
/// Minimum number and time of the forward passes of a network in a round.
const PASSES: usize = 7;
const ENOUGH: Duration = Duration::from_millis(4);

/// What is measured.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum MeasuredDevice {
    /// This machine, by the program's own forward pass on one thread of the CPU.
    Local,
}

/// Flags of the command.
#[derive(Args, Debug)]
pub struct LatencyArgs {
    /// Device to measure
    #[arg(long, value_name = "DEVICE", value_enum, default_value_t = MeasuredDevice::Local)]
    device: MeasuredDevice,
    /// Number of networks to measure, drawn at random
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(20..=10_000))]
    measure: u16,
    /// Folder of a run whose space is measured, instead of that of a new search
    #[arg(long, value_name = "DIR", conflicts_with_all = ["data", "budget", "space", "phases", "nodes", "blocks", "layers", "stages", "depth", "init_channels"])]
    run: Option<PathBuf>,
    #[command(flatten)]
    data: DataArgs,
    /// Training budget of the search, which sets the defaults of the sizes of networks
    #[arg(long, value_name = "SIZE", value_enum, default_value_t = Budget::Small)]
    budget: Budget,
    #[command(flatten)]
    space: SpaceArgs,
    /// CPU instruction set: avx512, avx2 or portable [default: the best available]
    #[arg(long, value_name = "NAME")]
    isa: Option<Isa>,
    /// File of the table, for search --objective latency:FILE
    #[arg(long, value_name = "FILE", default_value = "latency.json")]
    out: PathBuf,
}

/// Measures, writes the table, and returns what the command prints.
pub fn latency(args: &LatencyArgs) -> Result<String> {
    let space = space(args)?;
    let networks = networks(&space, usize::from(args.measure))?;
    tracing::info!(
        "measuring {} {ROUNDS} times",
        counted(networks.len(), "network")
    );
    let mut options = Options::default();
    options.isa = args.isa;
    let latencies = measured(&networks, options)?;
    let measured: Vec<(Network, u64)> = networks.into_iter().zip(latencies).collect();
    let table = LatencyTable::fit(device(options), space, &measured)?;
    let json = serde_json::to_string_pretty(&table)? + "\n";
    write_whole(&args.out, json.as_bytes())?;
    let [least, most] = [Iterator::min, Iterator::max].map(|of: fn(_) -> _| {
        let all = measured.iter().map(|(_, latency)| latency / 1000);
        of(all.collect::<Vec<u64>>().into_iter()).unwrap_or(0)
    });
    let warning = match table.rank_correlation {
        enough if enough >= 0.95 => "",
        _ => {
            "the ranks are not reliable: measure again on an idle machine, or --measure more networks\n"
        }
    };
    Ok(format!(
        "measured {} of the {} space on {}: {least} to {most} us\n\
         rank correlation of networks that the table was not fitted to: {:.3}\n{warning}\
         wrote {file}; search by it: genomaster search --objective latency:{file}\n",
        counted(measured.len(), "network"),
        table.space,
        table.device,
        table.rank_correlation,
        file = args.out.display(),
    ))
}

fn space(args: &LatencyArgs) -> Result<SearchSpace> {
    if let Some(run) = &args.run {
        return Ok(read_run(run)?.space);
    }
    let name = args.data.name()?;
    let dataset = args.data.load()?;
    let defaults = Defaults::new(&name, args.budget).space;
    let space = args.space.space(defaults, dataset.shape, dataset.classes)?;
    space.validate()?;
    Ok(space)
}

/// What was measured, for the table.
fn device(options: Options) -> String {
    let isa = options.isa.unwrap_or_else(Isa::best);
    let version = env!("CARGO_PKG_VERSION");
    format!("{}, one thread, naschain {version} with {isa}", processor())
}

/// The name of the processor, if the system says it.
fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let name = line
        .and_then(|line| line.split_once(':'))
        .map(|(_, name)| name.trim());
    name.unwrap_or(std::env::consts::ARCH).to_owned()
}

/// Networks of all sizes: a genome whose bits are drawn evenly is of average size.
fn networks(space: &SearchSpace, count: usize) -> Result<Vec<Network>> {
    // Those that together have every kind of layer, so that the latency of any network can be predicted.
    let mut networks = space.networks_of_all_layers()?;
    let mut index = 0;
    while networks.len() < count {
        ensure!(
            index < 100 * count as u64,
            "the space has fewer than {count} networks, which --measure asks for; a table needs at least 20"
        );
        let mut stream = Stream::new(1, Purpose::User, 0, index);
        index += 1;
        let genome = match space {
            SearchSpace::Macro(_) => of_any_density(space, &mut stream),
            _ => space.random_genome(&mut stream)?,
        };
        let network = space.decode(&genome)?;
        if !networks.contains(&network) {
            networks.push(network);
        }
    }
    Ok(networks)
}

/// A genome whose parts are empty, sparse or dense.
fn of_any_density(space: &SearchSpace, stream: &mut Stream) -> Genome {
    let mut share = 0.0;
    let bits: Vec<bool> = (0..space.genome_len())
        .map(|bit| {
            if bit % space.part_len() == 0 {
                share = stream.below(8) as f64 / 7.0;
            }
            stream.chance(share)
        })
        .collect();
    Genome::from_bits(bits)
}

/// The latency of each network in nanoseconds: the lowest of the rounds' medians, since whatever else
/// the machine does only adds to it.
fn measured(networks: &[Network], options: Options) -> Result<Vec<u64>> {
    let mut lowest = vec![u64::MAX; networks.len()];
    for _ in 0..ROUNDS {
        for (network, lowest) in networks.iter().zip(&mut lowest) {
            *lowest = (*lowest).min(median(network, options)?);
        }
    }
    Ok(lowest)
}

/// The median of some forward passes in nanoseconds, without the first.
fn median(network: &Network, options: Options) -> Result<u64> {
    let mut ends: Vec<Instant> = Vec::new();
    let mut note = || {
        let now = clock::now();
        ends.push(now);
        let is_enough = ends.len() > PASSES + 2 && now.duration_since(ends[1]) > ENOUGH;
        if is_enough {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    repeat_inference(network, options, &mut note)?;
    let passes = ends[1..].windows(2);
    let passes = passes.map(|pair| pair[1].duration_since(pair[0]).as_nanos());
    let mut passes: Vec<u128> = passes.collect();
    passes.sort_unstable();
    Ok(u64::try_from(passes[passes.len() / 2]).unwrap_or(u64::MAX))
}
