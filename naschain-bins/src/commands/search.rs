//! `genomaster search`: a genomaster and its miners in one process.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use clap::Args;
use naschain_consensus::MinerId;
use naschain_core::{Accuracy, Digest, Genome, Measurement};
use naschain_run::{RunSpec, RunState};
use naschain_train::{Dataset, Device, Options};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::artifacts::extent::{SearchExtent, work_done};
use crate::artifacts::repeat::{earlier_results, lacked_memory};
use crate::cli::common_args::{CommonArgs, OpenRun};
use crate::cli::program::print;
use crate::cli::run_args::{MACHINE, SIZE};
use crate::client::transport::Transport;
use crate::commands::announcing::announce;
use crate::commands::conclude::{conclude, follow, progress};
use crate::commands::progress::Progress;
use crate::commands::viewer::Viewer;
use crate::coordinator::Coordinator;
use crate::dataset::KEEP_MIB;
use crate::miner::Miner;
use crate::miner::checkpoint_folder::CheckpointFolder;
use crate::miner::trainer::Trainer;
use crate::shutdown::{StopSignal, shutdown};

/// Folder of the checkpoints of running trainings, in the run's folder.
const CHECKPOINTS: &str = "checkpoints";
/// Maximum size of the checkpoints of one miner.
const CHECKPOINT_BYTES: u64 = 1 << 30;

/// How long a search waits for models of its own miners: those that do not have one cannot make it any
/// more.
const LOCAL_WAIT: Duration = Duration::from_secs(5);

/// Flags of the command.
#[derive(Args, Debug)]
pub struct SearchArgs {
    #[command(flatten)]
    common: CommonArgs,
    /// Number of miners in this process [default: the number of cores]
    ///
    /// At least --replication; the result does not depend on it.
    #[arg(long, value_name = "N", help_heading = MACHINE)]
    miners: Option<usize>,
    /// Time after which the search ends with the networks that it has by then, such as 30m or 8h
    ///
    /// Then it tests the models of the front, which takes a moment. The same command resumes the
    /// search.
    #[arg(long, value_name = "DURATION", help_heading = SIZE, value_parser = humantime::parse_duration)]
    time: Option<Duration>,
    /// Validation accuracy in percent at which the search ends, such as 95
    #[arg(long, value_name = "PERCENT", help_heading = SIZE, value_parser = percent)]
    target: Option<Accuracy>,
    /// Show the search live in a browser, on this machine only
    ///
    /// The pages stay when the search has ended, until you press Ctrl-C.
    #[arg(long, help_heading = MACHINE)]
    open: bool,
}

fn percent(text: &str) -> Result<Accuracy, String> {
    let is_share = |number: f64| (0.0..=1.0).contains(&number);
    if text.parse::<f64>().is_ok_and(is_share) {
        return Err("it is in percent and must be more than 1, such as 95 for 95 %".to_owned());
    }
    let accuracy = text.parse().ok().map(Accuracy::from_percent);
    let accuracy = accuracy.and_then(Result::ok);
    accuracy
        .ok_or_else(|| "use a number above 1, at most 100, with at most two decimals".to_owned())
}

/// Why a search ends.
enum End {
    Finished,
    TimeUp,
    TargetReached,
    /// By Ctrl-C or SIGTERM.
    Stopped(StopSignal),
}

impl End {
    /// How a search that has ended like this goes on.
    fn going_on(&self) -> &'static str {
        match self {
            End::TargetReached => {
                "run the command without --target, or with a higher one, to go on"
            }
            End::Finished | End::TimeUp | End::Stopped(_) => "run the same command to resume",
        }
    }

    /// What is printed of a search that is not over.
    fn reason(&self, concluded: bool) -> Option<&'static str> {
        match self {
            End::Finished if concluded => None,
            End::TimeUp => Some("ended by --time"),
            End::TargetReached => Some("ended by --target"),
            End::Finished | End::Stopped(_) => Some("stopped"),
        }
    }

    /// The signal that stopped the search, if one did.
    fn signal(&self) -> Option<StopSignal> {
        match self {
            End::Stopped(signal) => Some(*signal),
            End::Finished | End::TimeUp | End::TargetReached => None,
        }
    }
}

/// Runs the search until it is finished or the process is asked to stop.
pub async fn search(mut args: SearchArgs) -> Result<()> {
    args.common.run.in_process = true;
    let replication = args.common.replication()?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let miners = args.miners.unwrap_or(cores.max(replication));
    // The seats of a job go to different miners, so with fewer miners no job could end.
    ensure!(
        miners >= replication,
        "miners is {miners}; it must be at least --replication, which is {replication}"
    );
    let device = &args.common.device;
    let options = device.options_of(u32::try_from(miners).unwrap_or(u32::MAX));
    let (opened, mut shown) = begin(&args, options, miners).await?;
    let OpenRun {
        dataset,
        dir,
        coordinator,
        lock: _held,
    } = opened;
    let viewer = Viewer::open_if(args.open, &coordinator, &dir, &dataset, options).await?;
    let known = Arc::new(earlier_results(&dir)?);
    let (stop, stopped) = watch::channel(false);
    let trainers = trainers(&dir, coordinator.spec(), options, miners);
    let mut workers = start_miners(trainers, &coordinator, &dataset, &known, &stopped)?;
    let reached = |state: &RunState| has_reached(state, args.target);
    let end = tokio::select! {
        result = follow(&coordinator, &dir, &mut shown, reached) => result.map(|finished| {
            if finished { End::Finished } else { End::TargetReached }
        }),
        // Otherwise the search would wait forever for miners that have ended.
        failed = failure(&mut workers) => Err(failed),
        () = time_up(args.time) => Ok(End::TimeUp),
        signal = shutdown() => Ok(End::Stopped(signal)),
    };
    let _ = stop.send(true);
    while workers.join_next().await.is_some() {}
    shown.finish();
    let end = end?;
    let (done, _) = progress(&coordinator).await;
    let (mut problem, mut signal) = (None, end.signal());
    // Within a short --time no network may be evaluated.
    let concluded = done > 0
        && signal.is_none()
        && tokio::select! {
            result = conclude(&coordinator, &dir, &dataset, options, LOCAL_WAIT, &mut shown) => {
                problem = result?;
                true
            }
            stopped = shutdown() => {
                signal = Some(stopped);
                false
            }
        };
    tell_of_end(&coordinator, &end, concluded).await?;
    tell_of_memory(&coordinator).await?;
    if let Some(viewer) = viewer.filter(|_| signal.is_none()) {
        viewer.stay(&coordinator).await?;
    }
    coordinator.close().await?;
    if concluded && matches!(end, End::Finished) {
        // The models of the front are stored; what is left may be large.
        let _ = std::fs::remove_dir_all(dir.join(CHECKPOINTS));
    }
    match (signal, problem) {
        (Some(signal), _) => Err(signal.into()),
        (None, Some(problem)) => bail!("{problem}"),
        (None, None) => Ok(()),
    }
}

/// Whether the best network so far has this accuracy.
fn has_reached(state: &RunState, target: Option<Accuracy>) -> bool {
    let best = state.best().and_then(|job| job.verdict.consensus);
    let best = best.map(|measurement| measurement.accuracy);
    target.is_some_and(|target| best >= Some(target))
}

/// What runs the trainings of each miner of this process.
fn trainers(
    dir: &Path,
    spec: &RunSpec,
    options: Options,
    miners: usize,
) -> impl Iterator<Item = Trainer> {
    let checkpoints = dir.join(CHECKPOINTS);
    let are_checked = spec.rules.seats > 1;
    (1..=miners).map(move |number| {
        // Each its own where they check each other: one that resumed from the checkpoint of another
        // would check nothing.
        let own = if are_checked { number } else { 1 };
        let folder = CheckpointFolder::new(checkpoints.join(own.to_string()), CHECKPOINT_BYTES);
        Trainer {
            options,
            checkpoints: Some(folder),
        }
    })
}

/// Opens the run, and says how long its search will take.
///
/// # Errors
/// Also where a signal stops this.
async fn begin(args: &SearchArgs, options: Options, miners: usize) -> Result<(OpenRun, Progress)> {
    warn_of_rounding(options.device)?;
    let begun = async {
        let opened = args.common.open_search(options).await?;
        let (coordinator, dataset) = (&opened.coordinator, &opened.dataset);
        // Here too, for a search that is extended and then stopped by Ctrl-C.
        let extent = coordinator.with_state(SearchExtent::of).await;
        extent.write(&opened.dir)?;
        let announced = announce(
            &args.common,
            args.time,
            coordinator,
            dataset,
            (options, miners),
        );
        let shown = announced.await?;
        anyhow::Ok((opened, shown))
    };
    tokio::select! {
        begun = begun => begun,
        signal = shutdown() => {
            print("stopped before the search began\n")?;
            Err(signal.into())
        }
    }
}

/// Warns of a GPU whose results nobody else can reproduce.
fn warn_of_rounding(device: Device) -> Result<()> {
    let operations = device.inexact_operations()?;
    if !operations.is_empty() {
        let operations = operations.join(", ");
        tracing::warn!(
            "{device} does not round exactly ({operations}): other machines do not get the same results"
        );
    }
    Ok(())
}

/// Says why a search ended that is not over, and how it goes on.
async fn tell_of_end(coordinator: &Coordinator, end: &End, concluded: bool) -> Result<()> {
    if let Some(reason) = end.reason(concluded) {
        let going_on = end.going_on();
        let work = coordinator.with_state(work_done).await;
        print(&format!("{reason} after {work}; {going_on}\n"))?;
    }
    Ok(())
}

/// Says what helps networks that failed for lack of memory, if there are any.
async fn tell_of_memory(coordinator: &Coordinator) -> Result<()> {
    let lacked = |state: &RunState| state.ended_jobs().iter().any(lacked_memory);
    if coordinator.with_state(lacked).await {
        print(
            "networks that failed for lack of memory are trained when you run the same command with a higher --memory-limit\n",
        )?;
    }
    Ok(())
}

fn start_miners(
    trainers: impl Iterator<Item = Trainer>,
    coordinator: &Arc<Coordinator>,
    dataset: &Arc<Dataset>,
    known: &Arc<BTreeMap<Genome, Measurement>>,
    stopped: &watch::Receiver<bool>,
) -> Result<JoinSet<Result<Option<Digest>>>> {
    let mut workers = JoinSet::new();
    for (number, trainer) in (1..).zip(trainers) {
        let miner = Miner {
            name: MinerId::new(format!("local-{number}"))?,
            transport: Transport::Local(coordinator.clone()),
            trainer,
            data_dir: None,
            keep_images: KEEP_MIB,
            jobs: 1,
            outbox: None,
            dataset_cache: Arc::default(),
            known: known.clone(),
            witnessing: Arc::default(),
            stop: stopped.clone(),
        };
        workers.spawn(miner.work(Some(dataset.clone())));
    }
    Ok(workers)
}

async fn time_up(after: Option<Duration>) {
    match after {
        Some(after) => tokio::time::sleep(after).await,
        None => std::future::pending().await,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_in_percent() {
        assert_eq!(percent("95.5"), Ok(Accuracy::from_percent(95.5).unwrap()));
        for share in ["0.9", "1", "1.0", "0"] {
            let error = percent(share).unwrap_err();
            assert!(error.contains("in percent"), "{share}: {error}");
        }
        for wrong in ["101", "-1", "ninety", "95.123", "nan"] {
            let error = percent(wrong).unwrap_err();
            assert!(error.contains("at most 100"), "{wrong}: {error}");
        }
    }

    #[test]
    fn a_search_that_reached_its_target_needs_another_to_go_on() {
        assert!(End::TargetReached.going_on().contains("without --target"));
        assert!(End::TimeUp.going_on().contains("same command"));
    }
}
