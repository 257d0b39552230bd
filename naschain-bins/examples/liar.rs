//! A miner that trains nothing and invents a high accuracy, to see that it is not paid:
//!
//!     cargo run --release -p naschain-bins --example liar -- http://127.0.0.1:5000

use naschain_bins::client::Client;
use naschain_consensus::{MinerId, Row};
use naschain_core::{Accuracy, Digest, Measurement};
use naschain_run::JobReply;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "http://127.0.0.1:5000".to_owned());
    let client = Client::new(&url)?;
    let spec = client.run().await?;
    let name: MinerId = "liar".parse()?;
    client.join(&name).await?;
    loop {
        let job = match client.request(&name, 10_000).await? {
            JobReply::Job(job) => job,
            JobReply::Wait => continue,
            JobReply::Finished => return Ok(()),
        };
        // The costs are right: anybody can compute them.
        let costs = spec.space.decode(&job.genome)?.costs()?;
        let row = Row::Measured(Measurement {
            accuracy: Accuracy::from_hundredths(9_990)?,
            params: costs.params,
            flops: costs.flops,
            digest: Digest([0xee; 32]),
        });
        client.submit(&name, job.run, job.lease, &row).await?;
        println!("lied about {}", job.batch);
    }
}
