//! Real processes over HTTP: a genomaster, three miners, a lying miner and a validator.

use std::time::Duration;

use crate::programs::{Server, folder, read, search, succeeded, wait_until};
use naschain_bins::Client;
use naschain_consensus::{MinerId, Row};
use naschain_core::{Accuracy, Digest, Measurement};
use naschain_run::JobReply;
use serde_json::Value;

/// A miner that does not train and reports a false high accuracy, until it is stopped.
struct Liar(tokio::runtime::Runtime);

impl Liar {
    fn start(url: &str) -> Liar {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let client = Client::new(url).unwrap();
        runtime.spawn(async move {
            loop {
                // Retries while the genomaster is away.
                let _ = lie(&client).await;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        Liar(runtime)
    }

    fn stop(self) {
        self.0.shutdown_background();
    }
}

async fn lie(client: &Client) -> anyhow::Result<()> {
    let spec = client.run().await?;
    let name: MinerId = "liar".parse()?;
    let run = spec.digest();
    client.join(&name, run).await?;
    loop {
        let job = match client.request(&name, run, 1_000).await? {
            JobReply::Job(job) => job,
            JobReply::Wait => continue,
            JobReply::Finished => return Ok(()),
        };
        // The costs are right, because any party can compute them.
        let costs = spec.space.decode(&job.genome)?.costs()?;
        let row = Row::Measured(Measurement {
            accuracy: Accuracy::from_hundredths(9_990)?,
            params: costs.params,
            flops: costs.flops,
            digest: Digest([0xee; 32]),
        });
        client.submit(&name, job.run, job.lease, &row).await?;
    }
}

fn validator(url: &str) -> Value {
    let mut command = crate::programs::validator();
    let output = command.args(["--genomaster", url, "--json"]).output();
    serde_json::from_str(&succeeded(output.unwrap())).unwrap()
}

#[test]
fn a_liar_is_not_rewarded_and_killed_programs_lose_nothing() {
    let dir = folder("network");
    let run = dir.join("network");
    // The liar answers no questions of the referee.
    let soon = ["--rule=referee.answer_ms=500"];
    let mut server = Server::start_with(&run, 0, &soon);
    let _ada = server.miner("ada");
    let mut eve = server.miner("eve");
    let liar = Liar::start(&server.url);
    let closed = || read(run.join("history.jsonl")).lines().count();

    // A job has three seats, so eve has one in each of these.
    wait_until("three jobs have ended", || closed() >= 3);
    let _bob = server.miner("bob");
    eve.kill();
    wait_until("five jobs have ended", || closed() >= 5);
    let port = server.port();
    server.process.kill();
    liar.stop();
    server = Server::start_with(&run, port, &soon);
    let liar = Liar::start(&server.url);
    wait_until("the front is written", || run.join("front.json").exists());

    let report = validator(&server.url);
    let miner = |name: &str, field: &str| report["miners"][name][field].as_u64().unwrap();
    assert_eq!(report["batches"], 12);
    assert_eq!(report["accepted"], 12);
    assert_eq!(report["disputed"], Value::Array(vec![]));
    assert_eq!((miner("liar", "points"), miner("liar", "weight")), (0, 0));
    assert!(miner("liar", "rejected_jobs") > 0);
    assert!(miner("eve", "points") > 0);
    let rows = ["ada", "bob", "eve", "liar"].map(|name| {
        let count = |field: &str| report["miners"][name][field].as_u64().unwrap_or(0);
        count("points") + count("rejected_jobs")
    });
    // A late answer that agrees is rewarded too. One of eve's is not if she was asked about it after she
    // was killed.
    assert!(rows.iter().sum::<u64>() >= 3 * 12, "{report}");

    let alone = dir.join("alone");
    succeeded(search(&alone, &[]).output().unwrap());
    let front = read(run.join("front.json"));
    assert!(front.len() > 100);
    assert_eq!(front, read(alone.join("front.json")));
    liar.stop();
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn miners_wait_until_the_genomaster_starts() {
    let dir = folder("late");
    let mut server = Server::start(&dir.join("first"), 0);
    let port = server.port();
    server.process.kill();
    let _miners = ["ada", "bob", "eve"].map(|name| server.miner(name));
    std::thread::sleep(std::time::Duration::from_millis(600));
    let run = dir.join("second");
    let server = Server::start(&run, port);
    wait_until("the front is written", || run.join("front.json").exists());
    assert_eq!(validator(&server.url)["accepted"], 12);
    std::fs::remove_dir_all(dir).unwrap();
}
