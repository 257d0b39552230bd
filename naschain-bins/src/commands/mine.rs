//! `miner`: trains the genomes that a genomaster hands out.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use naschain_consensus::MinerId;
use naschain_core::Digest;
use naschain_train::Device;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::cli::caller_args::CallerArgs;
use crate::cli::data_args::KEEP_MIB;
use crate::cli::run_args::ComputeArgs;
use crate::cli::training_line;
use crate::client::Client;
use crate::client::transport::Transport;
use crate::miner::Miner;
use crate::miner::shelf::Shelf;
use crate::miner::trainer::Trainer;
use crate::miner::unsent;
use crate::shutdown::shutdown;

/// Flags of the command.
#[derive(Args, Debug)]
pub struct MineArgs {
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

/// Mines until the run is finished or the process is asked to stop.
pub async fn mine(cli: MineArgs) -> Result<()> {
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
    let transport = Transport::Http(Client::with(&cli.genomaster, credentials)?);
    let jobs = cli.jobs.unwrap_or(cli.device.len() as u32);
    let shelf = Arc::<Shelf>::default();
    let mut miners = JoinSet::new();
    for (_, device) in (0..jobs).zip(cli.device.iter().cycle()) {
        let miner = Miner {
            name: name.clone(),
            transport: transport.clone(),
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
    let mut unfinished = None;
    while let Some(ended) = miners.join_next().await {
        unfinished = ended.context("a job panicked")??.or(unfinished);
    }
    if let Some(run) = unfinished {
        leave(&transport, &name, run, cli.unsent.as_deref()).await;
    }
    Ok(())
}

/// How long a miner that stops waits for the genomaster to take notice.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(3);

/// Leaves the run, so that the miner's seats are assigned anew at once. Without this they would
/// be when its leases expire, so a failure costs time and nothing else.
async fn leave(transport: &Transport, name: &MinerId, run: Digest, outbox: Option<&Path>) {
    // An answer that is still to be delivered needs its lease.
    if outbox.is_some_and(|dir| !unsent::kept(dir, name).is_empty()) {
        return;
    }
    match tokio::time::timeout(LEAVE_TIMEOUT, transport.leave(name, run)).await {
        Ok(Ok(())) => tracing::info!("{name} left"),
        Ok(Err(error)) => tracing::warn!("{name} could not leave: {error}"),
        Err(_) => tracing::warn!("{name} could not leave within {LEAVE_TIMEOUT:?}"),
    }
}
