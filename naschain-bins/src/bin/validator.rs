//! A validator: recomputes a genomaster's verdicts and scores its miners.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use naschain_bins::client::Client;
use naschain_bins::run::run;
use naschain_bins::validator::validate;

/// Recompute every verdict of a genomaster and score its miners
#[derive(Parser)]
#[command(name = "validator", version)]
struct Cli {
    /// Address of the genomaster
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:5000")]
    genomaster: String,
    /// Print one JSON object instead of a table
    #[arg(long)]
    json: bool,
    /// Go on until the run is finished, with a report after each batch that ends
    #[arg(long)]
    watch: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    run(watch(cli), "warn")
}

async fn watch(cli: Cli) -> Result<()> {
    let client = Client::new(&cli.genomaster)?;
    let agreement = client.run().await?.rules.agreement;
    let mut closed = Vec::new();
    loop {
        let page = client.batches(closed.len()).await?;
        let grew = !page.batches.is_empty();
        closed.extend(page.batches);
        if closed.len() < page.total {
            continue;
        }
        let last = !cli.watch || page.finished;
        if grew || last {
            let report = validate(&closed, &agreement)?;
            match cli.json {
                true => println!("{}", serde_json::to_string(&report)?),
                false => println!("{}", report.table()),
            }
        }
        if last {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}
