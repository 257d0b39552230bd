//! A miner: trains the genomes that a genomaster hands out.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use naschain_bins::cli::DeviceArgs;
use naschain_bins::client::Client;
use naschain_bins::link::Link;
use naschain_bins::miner::Miner;
use naschain_bins::run::run;
use naschain_bins::serve::shutdown;
use naschain_consensus::MinerId;
use tokio::sync::watch;

/// Train genomes for a genomaster
#[derive(Parser)]
#[command(name = "miner", version)]
struct Cli {
    /// Address of the genomaster
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:5000")]
    genomaster: String,
    /// Name to be known and paid by, 1 to 64 of A-Z a-z 0-9 . _ - [default: miner-PID]
    #[arg(long, value_name = "NAME")]
    name: Option<MinerId>,
    /// Folder with the data set's files [default: $NASCHAIN_DATA/NAME, $NASCHAIN_DATA,
    /// data/NAME, /usr/share/datasets/NAME]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceArgs,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    run(mine(cli), "info")
}

async fn mine(cli: Cli) -> anyhow::Result<()> {
    cli.device.device.check()?;
    let (stop, stopped) = watch::channel(false);
    let name = match cli.name {
        Some(name) => name,
        None => MinerId::new(format!("miner-{}", std::process::id()))?,
    };
    let miner = Miner {
        name,
        link: Link::Http(Client::new(&cli.genomaster)?),
        options: cli.device.options(),
        data_dir: cli.data_dir,
        stop: stopped,
    };
    tokio::spawn(async move {
        shutdown().await;
        let _ = stop.send(true);
    });
    miner.work(None).await
}
