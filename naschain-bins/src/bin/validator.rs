//! A validator: recomputes a genomaster's verdicts and scores its miners.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Parser;
use naschain_bins::client::{Client, ClientError};
use naschain_bins::config::{ProgramArgs, parse};
use naschain_bins::run::{run, say};
use naschain_bins::run_spec::RunSpec;
use naschain_bins::state::ClosedBatch;
use naschain_bins::validator::validate;

/// Recompute every verdict of a genomaster and score its miners
#[derive(Parser)]
#[command(name = "validator", version)]
struct Cli {
    #[command(flatten)]
    program: ProgramArgs,
    /// Address of the genomaster
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:5000")]
    genomaster: String,
    /// Print each report as one JSON object on one line instead of a table
    #[arg(long)]
    json: bool,
    /// Go on until the run is finished, with a report whenever batches have ended; waits for a
    /// genomaster that is away
    #[arg(long)]
    watch: bool,
}

fn main() -> ExitCode {
    let cli: Cli = parse();
    let format = cli.program.log_format;
    run(report(cli), "warn", format)
}

const PAUSE: Duration = Duration::from_secs(2);

async fn report(cli: Cli) -> Result<()> {
    let client = Client::new(&cli.genomaster)?;
    let mut seen: Option<(RunSpec, Vec<ClosedBatch>)> = None;
    loop {
        match fetch(&client, &mut seen).await {
            Ok((grew, finished)) => {
                let last = !cli.watch || finished;
                if let Some((spec, closed)) = seen.as_ref().filter(|_| grew || last) {
                    let report = validate(closed, &spec.rules.agreement);
                    say(&match cli.json {
                        true => serde_json::to_string(&report)? + "\n",
                        false => report.table() + "\n",
                    })?;
                }
                if last {
                    return Ok(());
                }
            }
            Err(ClientError::Away(reason)) if cli.watch => {
                tracing::warn!("{reason}; trying again in {PAUSE:?}");
            }
            Err(error) => bail!("{error}"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Gets what has ended since; says whether there was anything, and whether the run is finished.
async fn fetch(
    client: &Client,
    seen: &mut Option<(RunSpec, Vec<ClosedBatch>)>,
) -> Result<(bool, bool), ClientError> {
    let spec = client.run().await?;
    // Another run may have taken the address over.
    let known = seen.take().filter(|(before, _)| *before == spec);
    let mut closed = known.map_or(Vec::new(), |(_, closed)| closed);
    let before = closed.len();
    let finished = loop {
        let page = client.batches(closed.len()).await;
        let page = match page {
            Ok(page) => page,
            Err(error) => {
                *seen = Some((spec, closed));
                return Err(error);
            }
        };
        let whole = page.batches.is_empty() || closed.len() + page.batches.len() >= page.total;
        closed.extend(page.batches);
        if whole {
            break page.finished;
        }
    };
    let grew = closed.len() > before;
    *seen = Some((spec, closed));
    Ok((grew, finished))
}
