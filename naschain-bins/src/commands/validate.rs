//! `validator`: recomputes a genomaster's verdicts, scores its miners, and sets weights.

mod args;
mod many_runs;

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use naschain_core::Digest;
use naschain_run::ScoringReport;
use naschain_train::Device;
use serde::Serialize;

use crate::alive::Alive;
use crate::cli::program::print;
use crate::client::{Client, ClientError};
use crate::clock;
use crate::miner::dataset_cache::DatasetCache;
use crate::printable::{is_logged, printable};
use crate::validator::chain::ChainTask;
use crate::validator::chain_scores::TrustedGenomaster;
use crate::validator::observed_run::fetch::fetch;
use crate::validator::observed_run::replay::Replay;
use crate::validator::observed_run::{Observation, ObservedRun};
use crate::validator::outlets::Outlets;
use crate::validator::peers::{Peer, ShownHeads};
use crate::validator::retraining::Retraining;
use crate::validator::state_folder::{StateFolder, without_passwords};

pub use args::ValidateArgs;

/// Interval between two requests for new jobs.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// Minimum time between two tables in a file, such as the log of a service.
const TABLE_INTERVAL: Duration = Duration::from_secs(600);

/// Validates a run once, or with `--watch` until it is finished.
pub async fn validate(cli: ValidateArgs) -> Result<()> {
    let mut credentials = cli.caller.credentials(None)?;
    if cli.chain.is_used() {
        // What counts then is the chain.
        credentials.alive = Alive::default();
    }
    let client = Client::with(&cli.genomaster, credentials)?;
    let mut validator = Validator::new(&cli, &client).await?;
    let mut failures = 0;
    loop {
        match validator.round(&cli, &client).await {
            Ok(true) => return Ok(()),
            Ok(false) => failures = 0,
            // A validator that goes on survives any answer once it has seen a run: otherwise one
            // bad genomaster would stop its weights for other runs.
            Err(error) if cli.goes_on() && (is_away(&error) || validator.has_observed()) => {
                failures += 1;
                if is_logged(failures) {
                    let error = format!("{error:#}");
                    tracing::warn!(
                        "{} (failure {failures}); retrying every {POLL_INTERVAL:?}",
                        printable(&error)
                    );
                }
            }
            Err(error) => return Err(error),
        }
        match &mut validator.chain {
            Some(chain) => chain.pause(POLL_INTERVAL).await?,
            None => tokio::time::sleep(POLL_INTERVAL).await,
        }
    }
}

/// A running validator.
struct Validator {
    observation: Observation,
    /// The run that is validated at the moment.
    current: ValidatedRun,
    /// At a genomaster with many runs, the others that are not finished.
    others: BTreeMap<Digest, ValidatedRun>,
    /// The runs that are finished and were reported.
    reported: BTreeSet<Digest>,
    /// Runs for whose sake no weights may be set, with the reasons.
    distrusted: BTreeMap<Digest, String>,
    retraining: Option<Retraining>,
    peers: Vec<Peer>,
    shown: ShownHeads,
    outlets: Outlets,
    chain: Option<ChainTask>,
    /// Why no weights may be set, if so, as of the last step.
    refusal: Option<String>,
}

/// A report as `--json` prints it.
#[derive(Serialize)]
struct PrintedReport<'a> {
    /// The run, where there are many.
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<Digest>,
    #[serde(flatten)]
    report: &'a ScoringReport,
}

/// What a validator keeps of a run.
#[derive(Default)]
struct ValidatedRun {
    observed: Option<ObservedRun>,
    /// Whether the run was finished at the last step.
    finished: bool,
    /// How often in a row weights could not be set.
    unset: u32,
    /// When a table was last printed.
    printed: Option<Instant>,
}

impl Validator {
    async fn new(cli: &ValidateArgs, client: &Client) -> Result<Validator> {
        let peers = cli.peers.iter().map(|url| Peer::new(url));
        let peers = peers.collect::<Result<_>>()?;
        let outlets = cli.outlets()?;
        let path = cli.state.clone().map_or_else(StateFolder::default_path, Ok);
        let state = StateFolder::open(path?)?;
        let hotkey = if cli.chain.is_used() {
            cli.caller.credentials(None)?.hotkey
        } else {
            None
        };
        let terms = cli.trust_terms()?;
        let alive = cli.caller.alive()?;
        let chain = ChainTask::start(&cli.chain, cli.netuid, hotkey, &state, &terms, alive)?;
        let downloads = cli.data_cache.downloads(client.clone());
        let datasets = Arc::new(DatasetCache::with_downloads(downloads));
        let (data_dir, shared) = (cli.data_dir.clone(), datasets.clone());
        let retraining = cli.retrain.map(|sample| {
            let (options, secret) = (cli.device.options(), state.sample_secret()?);
            Retraining::new(sample, secret, options, data_dir, shared)
        });
        let mut replay_options = cli.device.options();
        replay_options.device = Device::Cpu;
        replay_options.memory_limit_bytes = None;
        let shown = ShownHeads::default();
        if let Some(address) = &cli.listen {
            shown.listen(address).await?;
        }
        Ok(Validator {
            observation: Observation {
                url: cli.genomaster.clone(),
                required: cli.caller.genomaster_hotkey()?,
                legacy: cli.legacy,
                has_many_runs: false,
                state,
                replay: Replay::new(replay_options, cli.data_dir.clone(), datasets),
            },
            current: ValidatedRun::default(),
            others: BTreeMap::new(),
            reported: BTreeSet::new(),
            distrusted: BTreeMap::new(),
            retraining: retraining.transpose()?,
            peers,
            shown,
            outlets,
            chain,
            refusal: None,
        })
    }

    /// Fetches and validates what is new; returns whether it was the last time.
    async fn step(&mut self, cli: &ValidateArgs, client: &Client) -> Result<bool> {
        let fetched = fetch(client, &mut self.current.observed, &self.observation).await;
        // Also after an error, which may be the genomaster's.
        self.update_refusal(cli);
        let (grew, finished) = fetched?;
        // Peers may be shown another history after the end of this one.
        let serves = cli.watch && cli.listen.is_some();
        let last = !cli.chain.is_used() && (!cli.watch || finished && !serves);
        // The last jobs are an epoch when the run is finished, also if they have ended before.
        let ended = finished && !self.current.finished;
        self.current.finished = finished;
        let Some(run) = &mut self.current.observed else {
            return Ok(last);
        };
        self.shown.set(run.run(), run.heads());
        let mut compared = Ok(());
        for peer in &mut self.peers {
            let heads = peer.heads().await;
            compared = compared.and(run.compare_with_peers(&heads, &self.observation.state));
        }
        self.update_refusal(cli);
        compared?;
        if !grew && !last && !ended {
            return Ok(false);
        }
        self.report(cli).await?;
        Ok(last)
    }

    /// Says why no weights may be set from now on, or that they may. Until a run is observed, what
    /// held before the start does.
    fn update_refusal(&mut self, cli: &ValidateArgs) {
        let Some(run) = &self.current.observed else {
            return;
        };
        match refusal(run, cli.unsigned) {
            Some(reason) => self.distrusted.insert(run.run(), reason),
            None => self.distrusted.remove(&run.run()),
        };
        if !self.observation.has_many_runs {
            // Another run that takes over the address keeps the problem of the one before.
            self.distrusted.retain(|run_id, _| *run_id == run.run());
        }
        // One wrong history is enough: its author has signed the others too.
        let refusal = self.distrusted.values().next().cloned();
        if let Some(chain) = &self.chain {
            let remembered = match &refusal {
                Some(reason) => chain.refuse(reason.clone()),
                None => chain.trust(TrustedGenomaster {
                    url: without_passwords(&self.observation.url),
                    hotkey: run.genomaster().map(str::to_owned),
                }),
            };
            if let Err(error) = remembered {
                tracing::error!("{error:#}; a restart will not know whom to trust");
            }
        }
        if let Some(refusal) = refusal.as_ref().filter(|_| refusal != self.refusal) {
            tracing::error!("{}", printable(refusal));
        }
        self.refusal = refusal;
    }

    /// Scores what was fetched, reports it, and sets weights unless they are refused.
    async fn report(&mut self, cli: &ValidateArgs) -> Result<()> {
        let Some(run) = &mut self.current.observed else {
            return Ok(());
        };
        if let Some(retraining) = &self.retraining {
            run.retrain(retraining, &self.observation.state).await?;
        }
        let (report, epochs) = run.validate(cli.epoch_jobs);
        let of_many = self.observation.has_many_runs.then(|| run.run());
        if cli.json {
            let printed = PrintedReport {
                run: of_many,
                report: &report,
            };
            print(&(serde_json::to_string(&printed)? + "\n"))?;
        } else if self.current.finished || !cli.goes_on() || self.may_print_table() {
            let heading = of_many.map_or(String::new(), |run| format!("run {run}\n"));
            print(&format!("{heading}{}\n", report.table()))?;
        }
        if let (Some(chain), Some(first), None) = (&self.chain, epochs.first(), &self.refusal) {
            if of_many.is_some() {
                chain.score_of_many(first.run, &epochs)?;
            } else {
                chain.score(first.run, &epochs)?;
            }
        }
        match self.outlets.set(&epochs, self.refusal.as_deref()).await {
            Err(error) if cli.watch && !self.current.finished => {
                self.current.unset += 1;
                if is_logged(self.current.unset) {
                    let unset = self.current.unset;
                    tracing::error!("{error:#} (failure {unset}); retrying after the next jobs");
                }
            }
            result => {
                result?;
                self.current.unset = 0;
            }
        }
        if let Some(problem) = report.wrong().filter(|_| !cli.goes_on()) {
            bail!("{problem}");
        }
        Ok(())
    }
}

impl Validator {
    /// Whether it is time for another table. In a file, one every two seconds would be gigabytes a day.
    fn may_print_table(&mut self) -> bool {
        let now = clock::now();
        let is_early = |printed: Instant| now.duration_since(printed) < TABLE_INTERVAL;
        if !std::io::stdout().is_terminal() && self.current.printed.is_some_and(is_early) {
            return false;
        }
        self.current.printed = Some(now);
        true
    }
}

/// Why this history pays nobody, if so. `unsigned` says whether the genomaster needs no hotkey.
fn refusal(run: &ObservedRun, unsigned: bool) -> Option<String> {
    // The author of a forged history chooses whom it pays, even if its verdicts are recomputed.
    if let Some(problem) = run.distrust() {
        return Some(format!("no weights are set: the genomaster's {problem}"));
    }
    let message = "no weights are set: the genomaster has no hotkey, so it can credit any name; --unsigned sets them all the same";
    let is_known = run.genomaster().is_some() || unsigned;
    (!is_known).then(|| message.to_owned())
}

fn is_away(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(ClientError::Unavailable(_)))
}

#[cfg(test)]
mod tests;
