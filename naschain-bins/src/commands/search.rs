//! `genomaster search`: a genomaster and its miners in one process.

use std::sync::Arc;

use anyhow::{Result, bail, ensure};
use clap::Args;
use naschain_consensus::MinerId;
use naschain_core::Digest;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::cli::common_args::{CommonArgs, OpenRun};
use crate::cli::data_args::KEEP_MIB;
use crate::cli::program::print;
use crate::client::transport::Transport;
use crate::commands::conclude::{Bar, conclude, follow, progress};
use crate::miner::Miner;
use crate::miner::trainer::Trainer;
use crate::shutdown::shutdown;

/// Flags of the command.
#[derive(Args, Debug)]
pub struct SearchArgs {
    #[command(flatten)]
    common: CommonArgs,
    /// Number of miners in this process, at least --replication; the result does not depend on it
    #[arg(long, value_name = "N", default_value_t = 3)]
    miners: usize,
}

/// Runs the search until it is finished or the process is asked to stop.
pub async fn search(args: SearchArgs) -> Result<()> {
    // The seats of a job go to different miners, so with fewer miners no job could end.
    ensure!(
        args.miners >= args.common.run.replication,
        "miners is {}; it must be at least --replication, which is {}",
        args.miners,
        args.common.run.replication
    );
    let OpenRun {
        dataset,
        dir,
        coordinator,
        lock: _held,
    } = args.common.open().await?;
    let options = args
        .common
        .device
        .options_of(u32::try_from(args.miners).unwrap_or(u32::MAX));
    let (stop, stopped) = watch::channel(false);
    let mut miners = JoinSet::new();
    for number in 1..=args.miners {
        let miner = Miner {
            name: MinerId::new(format!("local-{number}"))?,
            transport: Transport::Local(coordinator.clone()),
            trainer: Trainer {
                options,
                checkpoints: None,
            },
            data_dir: None,
            keep_images: KEEP_MIB,
            jobs: 1,
            outbox: None,
            dataset_cache: Arc::default(),
            stop: stopped.clone(),
        };
        miners.spawn(miner.work(Some(dataset.clone())));
    }
    let bar = Bar::new(&coordinator).await;
    let finished = tokio::select! {
        result = follow(&coordinator, &dir, Some(&bar)) => result.map(|()| true),
        // Otherwise the search would wait forever for miners that have ended.
        failed = failure(&mut miners) => Err(failed),
        _ = shutdown() => Ok(false),
    };
    let _ = stop.send(true);
    while miners.join_next().await.is_some() {}
    bar.0.finish_and_clear();
    let mut problem = None;
    let concluded = finished?
        && tokio::select! {
            result = conclude(&coordinator, &dir, &dataset, options) => {
                problem = result?;
                true
            }
            _ = shutdown() => false,
        };
    if !concluded {
        let (done, total) = progress(&coordinator).await;
        print(&format!(
            "stopped after {done} of {total} trainings; run the same command to resume\n"
        ))?;
    }
    coordinator.close().await?;
    match problem {
        None => Ok(()),
        Some(problem) => bail!("{problem}"),
    }
}

/// Returns when a miner fails; never, if all end without error.
async fn failure(miners: &mut JoinSet<Result<Option<Digest>>>) -> anyhow::Error {
    while let Some(joined) = miners.join_next().await {
        match joined {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return error,
            Err(error) => return anyhow::Error::new(error).context("a miner panicked"),
        }
    }
    std::future::pending().await
}
