//! A miner: trains the genomes that a genomaster hands out.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use naschain_bins::caller::CallerArgs;
use naschain_bins::cli::ComputeArgs;
use naschain_bins::client::Client;
use naschain_bins::config::{ProgramArgs, parse};
use naschain_bins::data::KEEP_MIB;
use naschain_bins::data_check::{DataCommand, check, list};
use naschain_bins::link::Link;
use naschain_bins::miner::Miner;
use naschain_bins::run::{run, say};
use naschain_bins::selftest::{SelftestArgs, selftest};
use naschain_bins::shelf::Shelf;
use naschain_bins::shutdown::shutdown;
use naschain_bins::speed::{SpeedArgs, speed};
use naschain_bins::trainer::Trainer;
use naschain_bins::training_line;
use naschain_bins::wallet::{WalletArgs, keygen};
use naschain_consensus::MinerId;
use naschain_train::Device;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Train genomes for a genomaster
#[derive(Parser)]
#[command(name = "miner", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(flatten)]
    program: ProgramArgs,
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    mine: MineArgs,
}

#[derive(Subcommand)]
enum Command {
    /// Prove that this machine trains to the same bits; run it first
    Selftest(SelftestArgs),
    /// Measure how fast this machine trains a network
    Speed(SpeedArgs),
    /// Show which data sets are here and what they hold
    #[command(subcommand)]
    Data(DataCommand),
    /// Make a hotkey in a Bittensor wallet, and print its address
    Keygen(WalletArgs),
}

#[derive(Args)]
struct MineArgs {
    /// Address of the genomaster
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:5000")]
    genomaster: String,
    #[command(flatten)]
    caller: CallerArgs,
    /// Name for people to read, 1 to 64 of A-Z a-z 0-9 . _ -; a miner without a hotkey is known
    /// and paid by it [default: miner-PID]
    #[arg(long, value_name = "NAME")]
    name: Option<MinerId>,
    /// Folder with the data set's files [default: $NASCHAIN_DATA/NAME, $NASCHAIN_DATA,
    /// data/NAME, /usr/share/datasets/NAME]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Mebibytes of a folder's pictures that are kept in memory; more are decoded in each epoch
    #[arg(long, value_name = "MIB", default_value_t = KEEP_MIB)]
    keep_images: u64,
    /// Folder for a checkpoint after each epoch, so that a miner that is started again goes on
    /// with a training that it is given once more [default: none]
    #[arg(long, value_name = "DIR")]
    checkpoints: Option<PathBuf>,
    /// Folder for answers that the genomaster has not taken yet; one that is started again with
    /// the same hotkey, or --name without one, delivers them [default: none]
    #[arg(long, value_name = "DIR")]
    unsent: Option<PathBuf>,
    /// Trainings at the same time [default: one for each --device]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    jobs: Option<u32>,
    /// Where to train: cpu, or cuda:N in a build with --features cuda; several with commas
    /// between share the jobs
    #[arg(
        long,
        value_name = "DEVICES",
        default_value = "cpu",
        value_delimiter = ','
    )]
    device: Vec<Device>,
    #[command(flatten)]
    compute: ComputeArgs,
}

fn main() -> ExitCode {
    let cli: Cli = parse();
    let format = cli.program.log_format;
    match cli.command {
        None => run(mine(cli.mine), "info", format),
        Some(Command::Selftest(args)) => run(async move { selftest(&args) }, "warn", format),
        Some(Command::Data(DataCommand::List(args))) => {
            run(async move { say(&list(&args)?) }, "warn", format)
        }
        Some(Command::Data(DataCommand::Check(args))) => {
            run(async move { check(&args) }, "warn", format)
        }
        Some(Command::Keygen(args)) => run(async move { say(&keygen(&args)?) }, "warn", format),
        Some(Command::Speed(args)) => run(async move { say(&speed(&args)?) }, "warn", format),
    }
}

async fn mine(cli: MineArgs) -> anyhow::Result<()> {
    for device in &cli.device {
        device.check()?;
    }
    for folder in [&cli.checkpoints, &cli.unsent].into_iter().flatten() {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
    }
    training_line::show();
    let (stop, stopped) = watch::channel(false);
    let credentials = cli.caller.credentials(cli.name.clone())?;
    let name = match (&credentials.hotkey, cli.name) {
        (Some(hotkey), _) => MinerId::new(hotkey.address())?,
        (None, Some(name)) => name,
        (None, None) => MinerId::new(format!("miner-{}", std::process::id()))?,
    };
    let link = Link::Http(Client::with(&cli.genomaster, credentials)?);
    let jobs = cli.jobs.unwrap_or(cli.device.len() as u32);
    let shelf = Arc::<Shelf>::default();
    let mut miners = JoinSet::new();
    for (_, device) in (0..jobs).zip(cli.device.iter().cycle()) {
        let miner = Miner {
            name: name.clone(),
            link: link.clone(),
            trainer: Trainer {
                options: cli.compute.options(*device),
                checkpoints: cli.checkpoints.clone(),
            },
            data_dir: cli.data_dir.clone(),
            keep_images: cli.keep_images,
            jobs,
            unsent: cli.unsent.clone(),
            shelf: shelf.clone(),
            stop: stopped.clone(),
        };
        miners.spawn(miner.work(None));
    }
    tokio::spawn(async move {
        shutdown().await;
        let _ = stop.send(true);
    });
    while let Some(ended) = miners.join_next().await {
        ended.context("a job panicked")??;
    }
    Ok(())
}
