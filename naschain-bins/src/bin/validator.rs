//! A validator: recomputes a genomaster's verdicts, scores its miners, and sets weights.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Parser;
use naschain_bins::batch_chain::{BatchChain, Head};
use naschain_bins::caller::CallerArgs;
use naschain_bins::client::{Client, ClientError};
use naschain_bins::closed_batch::ClosedBatch;
use naschain_bins::config::{ProgramArgs, parse};
use naschain_bins::epochs::EpochWeights;
use naschain_bins::on_chain::{Btcli, Chain, Files, Uids};
use naschain_bins::public_journal::PublicJournal;
use naschain_bins::run::{run, say};
use naschain_bins::run_spec::RunSpec;
use naschain_bins::validator::{Report, Terms, validate};
use naschain_core::Digest;

/// Recompute every verdict of a genomaster and score its miners
#[derive(Parser)]
#[command(name = "validator", version)]
struct Cli {
    #[command(flatten)]
    program: ProgramArgs,
    /// Address of the genomaster
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:5000")]
    genomaster: String,
    #[command(flatten)]
    caller: CallerArgs,
    /// Print each report as one JSON object on one line instead of a table
    #[arg(long)]
    json: bool,
    /// Go on until the run is finished, with a report whenever batches have ended; waits for a
    /// genomaster that is away
    #[arg(long)]
    watch: bool,
    /// Batches of an epoch, after which scores move and weights are set [default: the run's
    /// population]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    epoch_batches: Option<u32>,
    /// Write the weights of each epoch: to a file for the latest if the name ends in .json, else
    /// to a folder of one file an epoch
    #[arg(long, value_name = "PATH")]
    weights_out: Option<PathBuf>,
    /// File of the chain's uids, a hotkey's address and its uid in each line
    #[arg(long, value_name = "FILE")]
    uids: Option<PathBuf>,
    /// Let miners of the old network (`uid-N`), which cannot sign, take part, and pay them at their
    /// uid, unless --uids has it as a hotkey's; for a genomaster that runs with --legacy. Without
    /// it they are a fault of the journal of a genomaster with a hotkey
    #[arg(long)]
    legacy: bool,
    /// Set the weights of each epoch by `btcli weights set`, which has to be installed
    #[arg(long, requires = "netuid")]
    btcli: bool,
    /// The subnet whose miners are scored
    #[arg(long, value_name = "N")]
    netuid: Option<u16>,
    /// The chain's network, as btcli names it [default: btcli's own]
    #[arg(long, value_name = "NETWORK")]
    network: Option<String>,
}

fn main() -> ExitCode {
    let cli: Cli = parse();
    let format = cli.program.log_format;
    run(report(cli), "warn", format)
}

const PAUSE: Duration = Duration::from_secs(2);

/// What was seen of a run so far.
struct Seen {
    spec: RunSpec,
    closed: Vec<ClosedBatch>,
    chain: BatchChain,
    journal: PublicJournal,
    /// What was wrong with a history that was told.
    problem: Option<String>,
}

/// Where weights go.
struct Outlets {
    files: Option<Files>,
    btcli: Option<Btcli>,
    /// The run whose weights were set last.
    run: Option<Digest>,
    /// The latest epoch of it that was set.
    set: usize,
}

async fn report(cli: Cli) -> Result<()> {
    let client = Client::with(&cli.genomaster, cli.caller.credentials(None)?)?;
    let mut outlets = Outlets::new(&cli)?;
    let mut seen: Option<Seen> = None;
    loop {
        match fetch(&client, &mut seen, cli.legacy).await {
            Ok((grew, finished)) => {
                let last = !cli.watch || finished;
                if let Some(seen) = seen.as_ref().filter(|_| grew || last) {
                    let genomaster = client.genomaster().await;
                    let genomaster = genomaster.map_err(|error| anyhow::anyhow!("{error}"))?;
                    let (report, epochs) = seen.validate(&cli, genomaster, finished);
                    say(&match cli.json {
                        true => serde_json::to_string(&report)? + "\n",
                        false => report.table() + "\n",
                    })?;
                    match outlets.set(&report, &epochs).await {
                        Err(error) if cli.watch && !finished => {
                            tracing::error!("{error:#}; trying again after the next batches");
                        }
                        done => done?,
                    }
                    if let Some(wrong) = report.wrong().filter(|_| !cli.watch) {
                        bail!("{wrong}");
                    }
                }
                if last {
                    return Ok(());
                }
            }
            Err(error) if cli.watch && is_away(&error) => {
                tracing::warn!("{error}; trying again in {PAUSE:?}");
            }
            Err(error) => return Err(error),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn is_away(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(ClientError::Away(_)))
}

impl Seen {
    /// Nothing of a run yet.
    fn new(spec: RunSpec, genomaster: Option<&str>, legacy: bool) -> Result<Seen> {
        Ok(Seen {
            chain: BatchChain::new(spec.digest()),
            journal: PublicJournal::new(spec.clone(), genomaster, legacy)?,
            spec,
            closed: Vec::new(),
            problem: None,
        })
    }

    /// Nothing yet of a run that took the address over from another. A history that was wrong
    /// once stays so, or a genomaster could make it forgotten by another run.
    fn after(self, spec: RunSpec, genomaster: Option<&str>, legacy: bool) -> Result<Seen> {
        let (old, new) = (self.spec.digest(), spec.digest());
        tracing::warn!("run {new} has taken the address over from run {old}");
        let journal = self.journal.problem();
        for problem in self.problem.as_deref().into_iter().chain(journal) {
            tracing::error!("what was told of run {old} is not to be trusted: {problem}");
        }
        Ok(Seen {
            problem: self.problem,
            ..Seen::new(spec, genomaster, legacy)?
        })
    }

    fn validate(
        &self,
        cli: &Cli,
        genomaster: Option<&str>,
        finished: bool,
    ) -> (Report, Vec<EpochWeights>) {
        let population = self.spec.search.population;
        let terms = Terms {
            run: self.spec.digest(),
            agreement: &self.spec.rules.agreement,
            genomaster,
            legacy: cli.legacy,
            epoch_batches: cli.epoch_batches.map_or(population, |n| n as usize),
            finished,
        };
        let (mut report, epochs) = validate(&self.closed, &terms);
        report.history = self.problem.clone();
        report.journal = self.journal.problem().map(str::to_owned);
        report.events = self.journal.events();
        (report, epochs)
    }
}

impl Outlets {
    fn new(cli: &Cli) -> Result<Outlets> {
        let uids = cli.uids.as_deref().map(Uids::read).transpose()?;
        let uids = uids.unwrap_or_default().with_legacy(cli.legacy);
        let files = cli.weights_out.as_deref();
        let files = files.map(|path| Files::new(path, uids.clone()));
        let btcli = cli.btcli.then(|| Btcli {
            program: "btcli".into(),
            netuid: cli.netuid.unwrap_or_default(),
            network: cli.network.clone(),
            wallet: cli.caller.wallet().clone(),
            uids,
        });
        Ok(Outlets {
            files: files.transpose()?,
            btcli,
            run: None,
            set: 0,
        })
    }

    /// Sets what has not been set; the chain is told of the latest epoch alone.
    async fn set(&mut self, report: &Report, epochs: &[EpochWeights]) -> Result<()> {
        if self.files.is_none() && self.btcli.is_none() {
            return Ok(());
        }
        if let Some(problem) = report.distrust() {
            bail!("no weights are set: the genomaster's {problem}");
        }
        let Some(run) = epochs.first().map(|epoch| epoch.run) else {
            return Ok(());
        };
        if self.run.is_some_and(|before| before != run) {
            let own = self.files.as_ref().map(|files| files.of_run(run));
            self.files = own.transpose()?;
            self.set = 0;
        }
        self.run = Some(run);
        for epoch in epochs.iter().skip(self.set) {
            let done = self.files.as_ref().map(|files| files.has(epoch));
            if !done.transpose()?.unwrap_or(false) {
                if let Some(btcli) = self.btcli.as_ref().filter(|_| epoch.epoch == epochs.len()) {
                    btcli.set(epoch).await?;
                }
                if let Some(files) = &self.files {
                    files.set(epoch).await?;
                }
            }
            self.set = epoch.epoch;
        }
        Ok(())
    }
}

/// Gets what has ended since; says whether there was anything, and whether the run is finished.
async fn fetch(client: &Client, seen: &mut Option<Seen>, legacy: bool) -> Result<(bool, bool)> {
    let spec = client.run().await?;
    let genomaster = client.genomaster().await?;
    let now = match seen.take() {
        Some(known) if known.spec == spec => known,
        Some(other) => other.after(spec, genomaster, legacy)?,
        None => Seen::new(spec, genomaster, legacy)?,
    };
    let seen = seen.insert(now);
    let before = seen.closed.len();
    let (finished, head) = loop {
        let page = client.batches(seen.closed.len()).await?;
        let whole = page.batches.is_empty() || seen.closed.len() + page.batches.len() >= page.total;
        seen.closed.extend(page.batches);
        if whole {
            break (page.finished, page.head);
        }
    };
    seen.check(head.as_ref(), genomaster);
    seen.journal.follow(client).await?;
    seen.journal.hold(&seen.closed);
    Ok((seen.closed.len() > before, finished))
}

impl Seen {
    /// Holds what the genomaster vouches for against all that it has ever told. A history that
    /// was wrong once stays so.
    fn check(&mut self, head: Option<&Head>, genomaster: Option<&str>) {
        self.chain.follow(&self.closed);
        let problem = match head {
            Some(head) => self.chain.problem(head, genomaster),
            None => genomaster.map(|_| "the genomaster vouches for nothing".to_owned()),
        };
        self.problem = self.problem.take().or(problem);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use naschain_bins::cli::RunArgs;
    use naschain_bins::data::DataArgs;
    use naschain_train::Dataset;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        run: RunArgs,
        #[command(flatten)]
        data: DataArgs,
    }

    fn spec(seed: u64) -> RunSpec {
        let flags = Flags::parse_from(["run".to_owned(), format!("--seed={seed}")]);
        flags.run.spec(&flags.data, &Dataset::digits()).unwrap()
    }

    #[test]
    fn a_wrong_history_is_not_forgotten_by_another_run() {
        let mut seen = Seen::new(spec(1), None, false).unwrap();
        seen.problem = Some("batch 3 was changed".to_owned());
        let mut seen = seen.after(spec(2), None, false).unwrap();
        assert_eq!((&seen.spec, seen.closed.len()), (&spec(2), 0));
        seen.check(None, None);
        assert_eq!(seen.problem.as_deref(), Some("batch 3 was changed"));
    }
}
