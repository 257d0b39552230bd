//! `validator`: recomputes a genomaster's verdicts, scores its miners, and sets weights.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use naschain_core::Digest;
use naschain_run::{EpochWeights, ScoringReport};

use crate::cli::caller_args::CallerArgs;
use crate::cli::run::say;
use crate::client::{Client, ClientError};
use crate::validator::on_chain::{Btcli, Files, Uids};
use crate::validator::seen::{Seen, fetch};

/// Flags of the program.
#[derive(Args, Debug)]
pub struct ValidateArgs {
    /// Address of the genomaster
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:5000")]
    genomaster: String,
    #[command(flatten)]
    caller: CallerArgs,
    /// Print each report as one JSON object on one line instead of a table
    #[arg(long)]
    json: bool,
    /// Go on until the run is finished, with a report whenever jobs have ended; waits for a
    /// genomaster that is away
    #[arg(long)]
    watch: bool,
    /// Jobs of an epoch, after which scores move and weights are set [default: the run's
    /// population]
    #[arg(long, visible_alias = "epoch-batches", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    epoch_jobs: Option<u32>,
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

/// Pause between two looks at a genomaster.
const PAUSE: Duration = Duration::from_secs(2);

/// Where weights go.
struct Outlets {
    files: Option<Files>,
    btcli: Option<Btcli>,
    /// The run whose weights were set last.
    run: Option<Digest>,
    /// The latest epoch of it that was set.
    set: usize,
}

/// Validates a run once, or with `--watch` until it is finished.
pub async fn validate(cli: ValidateArgs) -> Result<()> {
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
                    let (report, epochs) = seen.validate(cli.epoch_jobs, genomaster, finished);
                    say(&match cli.json {
                        true => serde_json::to_string(&report)? + "\n",
                        false => report.table() + "\n",
                    })?;
                    match outlets.set(&report, &epochs).await {
                        Err(error) if cli.watch && !finished => {
                            tracing::error!("{error:#}; trying again after the next jobs");
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
    matches!(error.downcast_ref(), Some(ClientError::Unavailable(_)))
}

impl Outlets {
    fn new(cli: &ValidateArgs) -> Result<Outlets> {
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
    async fn set(&mut self, report: &ScoringReport, epochs: &[EpochWeights]) -> Result<()> {
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
