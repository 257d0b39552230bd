//! A miner: trains the genomes that a genomaster hands out.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use naschain_bins::caller::CallerArgs;
use naschain_bins::cli::DeviceArgs;
use naschain_bins::client::Client;
use naschain_bins::link::Link;
use naschain_bins::miner::Miner;
use naschain_bins::run::{run, say};
use naschain_bins::selftest::{SelftestArgs, selftest};
use naschain_bins::serve::shutdown;
use naschain_bins::speed::{SpeedArgs, speed};
use naschain_bins::trainer::Trainer;
use naschain_bins::wallet::{WalletArgs, keygen};
use naschain_consensus::MinerId;
use tokio::sync::watch;

/// Train genomes for a genomaster
#[derive(Parser)]
#[command(name = "miner", version, args_conflicts_with_subcommands = true)]
struct Cli {
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
    /// Folder for a checkpoint after each epoch, so that a miner that is started again goes on
    /// with a training that it is given once more [default: none]
    #[arg(long, value_name = "DIR")]
    checkpoints: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceArgs,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.command {
        None => run(mine(cli.mine), "info"),
        Some(Command::Selftest(args)) => run(async move { selftest(&args) }, "warn"),
        Some(Command::Speed(args)) => run(async move { say(&speed(&args)?) }, "warn"),
        Some(Command::Keygen(args)) => run(async move { say(&keygen(&args)?) }, "warn"),
    }
}

async fn mine(cli: MineArgs) -> anyhow::Result<()> {
    cli.device.device.check()?;
    if let Some(folder) = &cli.checkpoints {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let (stop, stopped) = watch::channel(false);
    let credentials = cli.caller.credentials(cli.name.clone())?;
    let name = match (&credentials.hotkey, cli.name) {
        (Some(hotkey), _) => MinerId::new(hotkey.address())?,
        (None, Some(name)) => name,
        (None, None) => MinerId::new(format!("miner-{}", std::process::id()))?,
    };
    let miner = Miner {
        name,
        link: Link::Http(Client::with(&cli.genomaster, credentials)?),
        trainer: Trainer {
            options: cli.device.options(),
            checkpoints: cli.checkpoints,
        },
        data_dir: cli.data_dir,
        stop: stopped,
    };
    tokio::spawn(async move {
        shutdown().await;
        let _ = stop.send(true);
    });
    miner.work(None).await
}
