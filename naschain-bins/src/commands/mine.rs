//! `miner`: trains the genomes that a genomaster assigns to it.

use std::collections::BTreeSet;
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
use crate::cli::data_args::KeepImagesArgs;
use crate::cli::data_cache_args::DataCacheArgs;
use crate::cli::run_args::ComputeArgs;
use crate::client::transport::Transport;
use crate::client::{Client, ClientError};
use crate::files::user_state_folder;
use crate::miner::Miner;
use crate::miner::checkpoint_folder::CheckpointFolder;
use crate::miner::dataset_cache::DatasetCache;
use crate::miner::many_runs::Memberships;
use crate::miner::outbox;
use crate::miner::progress_line;
use crate::miner::trainer::Trainer;
use crate::printable::is_logged;
use crate::shutdown::shutdown;

/// Flags of the command.
#[derive(Args, Debug)]
pub struct MineArgs {
    /// Address of the genomaster
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:5000")]
    genomaster: String,
    #[command(flatten)]
    caller: CallerArgs,
    /// Name to show, 1 to 64 characters of A-Z a-z 0-9 . _ -; the identity of a miner without a
    /// hotkey [default: miner-PID]
    #[arg(long, value_name = "NAME")]
    name: Option<MinerId>,
    /// Folder of the data set's files [default: $NASCHAIN_DATA/NAME, $NASCHAIN_DATA,
    /// data/NAME, /usr/share/datasets/NAME]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    keep: KeepImagesArgs,
    #[command(flatten)]
    data_cache: DataCacheArgs,
    /// Folder of checkpoints, written after each epoch: a restarted miner resumes trainings from them,
    /// delivers models, and answers the referee's questions [default: naschain/miner/checkpoints in
    /// $XDG_STATE_HOME or ~/.local/state]
    #[arg(long, value_name = "DIR")]
    checkpoints: Option<PathBuf>,
    /// Maximum size of the checkpoints in MiB; above it those of the oldest trainings are deleted
    #[arg(long, value_name = "MIB", default_value_t = 2048, value_parser = clap::value_parser!(u64).range(1..=1 << 40))]
    checkpoint_limit: u64,
    /// Folder of results that are not delivered yet; a miner restarted with the same hotkey, or
    /// without one the same --name, delivers them [default: none]
    #[arg(long, alias = "unsent", value_name = "DIR")]
    outbox: Option<PathBuf>,
    /// Number of concurrent trainings [default: one for each --device]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    jobs: Option<u32>,
    /// Devices to train on: cpu; cuda:N, an NVIDIA GPU, in a build with --features cuda; or wgpu:N, a
    /// GPU of any vendor by Vulkan or Metal, with --features wgpu; jobs are shared among several,
    /// separated by commas
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

/// What genomasters are told of this program: pages show the devices.
fn program(devices: &[Device]) -> String {
    let devices: Vec<String> = devices.iter().map(Device::to_string).collect();
    format!(
        "naschain/{} ({})",
        env!("CARGO_PKG_VERSION"),
        devices.join(", ")
    )
}

/// Mines until the run is finished or the process is asked to stop.
pub async fn mine(cli: MineArgs) -> Result<()> {
    for device in &cli.device {
        device.check()?;
    }
    // Now, so that an invalid folder is an error before the first training, not after it.
    let checkpoints = cli.checkpoints.clone().or_else(default_checkpoints);
    for folder in [&checkpoints, &cli.outbox].into_iter().flatten() {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
    }
    progress_line::show();
    let (stop, stopped) = watch::channel(false);
    let mut credentials = cli.caller.credentials(cli.name.clone())?;
    credentials.program = Some(program(&cli.device));
    let name = match (&credentials.hotkey, &cli.name) {
        // A signed request is valid only for the signer's address, so --name is only shown.
        (Some(hotkey), _) => MinerId::new(hotkey.address())?,
        (None, Some(name)) => name.clone(),
        (None, None) => MinerId::new(format!("miner-{}", std::process::id()))?,
    };
    let client = Client::with(&cli.genomaster, credentials)?;
    tokio::spawn(async move {
        shutdown().await;
        let _ = stop.send(true);
    });
    let Some(has_many_runs) = has_many_runs(&client, stopped.clone()).await? else {
        return Ok(());
    };
    let workers = workers(&cli, &client, &name, checkpoints, &stopped);
    let memberships = Memberships::default();
    let mut unfinished = BTreeSet::new();
    let mut miners: JoinSet<Result<Option<Digest>>> = JoinSet::new();
    // One task answers the questions of all runs.
    if let Some(miner) = workers.first().filter(|_| has_many_runs).cloned() {
        tokio::spawn(miner.answer_for_many(client.clone(), memberships.clone()));
    }
    for miner in workers {
        let (client, runs) = (client.clone(), memberships.clone());
        miners.spawn(async move {
            if has_many_runs {
                miner.work_for_many(client, runs).await;
                Ok(None)
            } else {
                miner.work(None).await
            }
        });
    }
    while let Some(ended) = miners.join_next().await {
        unfinished.extend(ended.context("a job panicked")??);
    }
    unfinished.extend(memberships.joined());
    progress_line::no_more_jobs();
    for run in unfinished {
        let within = if has_many_runs {
            client.of_run(run)
        } else {
            client.clone()
        };
        leave(&Transport::Http(within), &name, run, cli.outbox.as_deref()).await;
    }
    Ok(())
}

/// The workers of a miner: devices in turn, so that jobs are spread evenly.
fn workers(
    cli: &MineArgs,
    client: &Client,
    name: &MinerId,
    checkpoints: Option<PathBuf>,
    stopped: &watch::Receiver<bool>,
) -> Vec<Miner> {
    let jobs = cli.jobs.unwrap_or(cli.device.len() as u32);
    let downloads = cli.data_cache.downloads(client.clone());
    let dataset_cache = Arc::new(DatasetCache::with_downloads(downloads));
    let limit_bytes = cli.checkpoint_limit << 20;
    // By name: several miners of one machine may use the same folder.
    let checkpoints = checkpoints.map(|dir| dir.join(name.as_str()));
    let checkpoints = checkpoints.map(|dir| CheckpointFolder::new(dir, limit_bytes));
    let witnessing = Arc::default();
    let worker = |device: &Device| Miner {
        name: name.clone(),
        transport: Transport::Http(client.clone()),
        trainer: Trainer {
            options: cli.compute.options(*device, jobs),
            checkpoints: checkpoints.clone(),
        },
        data_dir: cli.data_dir.clone(),
        keep_images: cli.keep.keep_images,
        jobs,
        outbox: cli.outbox.clone(),
        dataset_cache: dataset_cache.clone(),
        known: Arc::default(),
        witnessing: Arc::clone(&witnessing),
        stop: stopped.clone(),
    };
    let devices = cli.device.iter().cycle();
    devices.take(jobs as usize).map(worker).collect()
}

/// Whether the genomaster has many runs; waits until it answers. `None` when the miner must stop.
async fn has_many_runs(
    client: &Client,
    mut stopped: watch::Receiver<bool>,
) -> Result<Option<bool>> {
    let mut failures = 0;
    loop {
        match client.has_many_runs().await {
            Ok(has_many_runs) => return Ok(Some(has_many_runs)),
            Err(ClientError::Unavailable(reason)) => {
                failures += 1;
                if is_logged(failures) {
                    tracing::warn!("{reason} (failure {failures}); retrying");
                }
            }
            Err(error) => return Err(error.into()),
        }
        tokio::select! {
            () = tokio::time::sleep(ASK_INTERVAL) => {}
            _ = stopped.wait_for(|stop| *stop) => return Ok(None),
        }
    }
}

/// The default folder of checkpoints, if it can be used: without one a miner works, but trains again to
/// answer questions.
fn default_checkpoints() -> Option<PathBuf> {
    let dir = user_state_folder("miner")?.join("checkpoints");
    match std::fs::create_dir_all(&dir) {
        Ok(()) => Some(dir),
        Err(error) => {
            tracing::warn!(
                "no checkpoints are kept: cannot create {}: {error}",
                dir.display()
            );
            None
        }
    }
}

/// Pause before a genomaster that did not answer is asked again.
const ASK_INTERVAL: Duration = Duration::from_secs(1);

/// Time limit for leaving the run, so that a miner can stop while the genomaster is away.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(3);

/// Leaves the run, so that the miner's seats are reassigned at once. Otherwise they are reassigned
/// when its leases expire, so a failure only costs time.
async fn leave(transport: &Transport, name: &MinerId, run: Digest, dir: Option<&Path>) {
    // A pending answer can be delivered later only if its lease has not ended.
    if dir.is_some_and(|dir| !outbox::pending(dir, name).is_empty()) {
        return;
    }
    match tokio::time::timeout(LEAVE_TIMEOUT, transport.leave(name, run)).await {
        Ok(Ok(())) => tracing::info!("{name} left"),
        Ok(Err(error)) => tracing::warn!("{name} could not leave: {error}"),
        Err(_) => tracing::warn!("{name} could not leave within {LEAVE_TIMEOUT:?}"),
    }
}
