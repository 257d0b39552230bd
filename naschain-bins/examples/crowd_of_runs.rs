//! Load test of a genomaster with many runs: simulated miners that do not sign work for whichever run
//! they are assigned. Prints request rate, latencies and the fairness among users as one JSON object.
//!
//!     cargo run --release -p naschain-bins --example crowd_of_runs -- http://127.0.0.1:5000 \
//!         --miners 500 --seconds 60 --pid $(pidof genomaster)
//!
//! Their answers are a function of the genome, so that they agree. The runs have to be public and on
//! the digits; `scripts/many_runs.sh` makes them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Parser;
use naschain_bins::{Client, ClientError, versions};
use naschain_consensus::{MinerId, Row};
use naschain_core::{Accuracy, Digest, Measurement};
use naschain_run::{AssignmentReply, AssignmentRequest, Job, JobReply, RunSpec, Wanted};
use tokio::sync::Mutex;

#[derive(Parser)]
struct Args {
    /// Address of the genomaster
    genomaster: String,
    /// Simulated miners
    #[arg(long, default_value_t = 500)]
    miners: usize,
    /// Duration of the measurement
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Duration of each simulated training, in milliseconds
    #[arg(long, default_value_t = 1_000)]
    training_ms: u64,
    /// Process id of the genomaster, to read its memory and processor time
    #[arg(long)]
    pid: Option<u32>,
}

#[derive(Default)]
struct Figures {
    /// Latencies in microseconds by kind of request; those of assignments include the wait.
    latencies: Mutex<BTreeMap<&'static str, Vec<u64>>>,
    /// FLOPs of the trainings that were answered, by run.
    work: Mutex<BTreeMap<Digest, f64>>,
    unavailable: Mutex<BTreeMap<String, u64>>,
}

struct Miner {
    name: MinerId,
    args: Arc<Args>,
    client: Client,
    specs: Arc<Mutex<BTreeMap<Digest, Arc<RunSpec>>>>,
    joined: Vec<Digest>,
    figures: Arc<Figures>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Arc::new(Args::parse());
    let client = Client::new(&args.genomaster)?;
    let (figures, specs) = (Arc::new(Figures::default()), Arc::default());
    let began = now();
    let until = began + Duration::from_secs(args.seconds);
    let mut miners = tokio::task::JoinSet::new();
    for number in 0..args.miners {
        let miner = Miner {
            name: format!("crowd-{number}").parse()?,
            args: args.clone(),
            client: client.clone(),
            specs: Arc::clone(&specs),
            joined: Vec::new(),
            figures: figures.clone(),
        };
        miners.spawn(async move {
            let _ = tokio::time::timeout_at(until.into(), miner.work()).await;
        });
    }
    while miners.join_next().await.is_some() {}
    report(&args, &figures, began.elapsed().as_secs_f64()).await
}

impl Miner {
    async fn work(mut self) {
        loop {
            if let Err(error) = self.one_job().await {
                let mut seen = self.figures.unavailable.lock().await;
                *seen.entry(error.to_string()).or_default() += 1;
                drop(seen);
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }

    async fn timed<T>(&self, kind: &'static str, call: impl Future<Output = T>) -> T {
        let began = now();
        let answer = call.await;
        let took = began.elapsed().as_micros() as u64;
        self.figures
            .latencies
            .lock()
            .await
            .entry(kind)
            .or_default()
            .push(took);
        answer
    }

    async fn one_job(&mut self) -> Result<(), ClientError> {
        let request = AssignmentRequest {
            miner: self.name.clone(),
            wanted: Wanted::Jobs,
            wait_ms: 20_000,
            versions: versions(),
            except: Vec::new(),
        };
        let assigned = self
            .timed("assignment", self.client.assignment(&request))
            .await?;
        let AssignmentReply::Run { run } = assigned else {
            return Ok(());
        };
        let client = self.client.of_run(run);
        let spec = self.spec(run, &client).await?;
        if !self.joined.contains(&run) {
            self.timed("join", client.join(&self.name, run)).await?;
            self.joined.push(run);
        }
        let reply = self
            .timed("job", client.request(&self.name, run, 0))
            .await?;
        let JobReply::Job(job) = reply else {
            return Ok(());
        };
        tokio::time::sleep(Duration::from_millis(self.args.training_ms)).await;
        let Some((row, flops)) = answer(&spec, &job) else {
            return Ok(());
        };
        let submit = client.submit(&self.name, run, job.lease, &row);
        self.timed("answer", submit).await?;
        *self.figures.work.lock().await.entry(run).or_default() += flops;
        Ok(())
    }

    async fn spec(&self, run: Digest, client: &Client) -> Result<Arc<RunSpec>, ClientError> {
        let mut specs = self.specs.lock().await;
        if let Some(spec) = specs.get(&run) {
            return Ok(spec.clone());
        }
        let spec = Arc::new(client.run().await?);
        specs.insert(run, spec.clone());
        Ok(spec)
    }
}

/// The right costs, with an accuracy derived from the genome, and the FLOPs.
fn answer(spec: &RunSpec, job: &Job) -> Option<(Row, f64)> {
    let costs = spec.costs_of(&job.genome)?;
    let digest = *blake3::hash(job.genome.to_string().as_bytes()).as_bytes();
    let luck = u32::from(u16::from_le_bytes([digest[0], digest[1]]) % 500);
    let row = Row::Measured(Measurement {
        accuracy: Accuracy::from_hundredths(6_000 + luck).ok()?,
        params: costs.params,
        flops: costs.flops,
        digest: Digest(digest),
    });
    Some((row, costs.flops as f64))
}

async fn report(args: &Args, figures: &Figures, seconds: f64) -> Result<()> {
    let mut kinds = serde_json::Map::new();
    let mut count = 0;
    for (kind, took) in figures.latencies.lock().await.iter_mut() {
        took.sort_unstable();
        let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize] as f64 / 1e3;
        let figures = serde_json::json!({
            "count": took.len(), "median_ms": at(0.5), "p99_ms": at(0.99), "max_ms": at(1.0),
        });
        kinds.insert((*kind).to_owned(), figures);
        count += took.len();
    }
    let work: Vec<f64> = figures.work.lock().await.values().copied().collect();
    let (sum, squares) = work.iter().fold((0.0, 0.0), |(s, q), w| (s + w, q + w * w));
    let report = serde_json::json!({
        "miners": args.miners,
        "runs": work.len(),
        "seconds": seconds,
        "requests_per_second": count as f64 / seconds,
        "latencies": kinds,
        "jain_index_of_runs": sum * sum / (work.len() as f64 * squares),
        "failed": *figures.unavailable.lock().await,
        "genomaster": args.pid.map(usage),
    });
    println!("{}", serde_json::to_string_pretty(&report)?);
    Ok(())
}

/// Memory and processor time of a process, on Linux.
fn usage(pid: u32) -> serde_json::Value {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = |name: &str| {
        status
            .lines()
            .find_map(|l| l.strip_prefix(name))
            .map(str::trim)
    };
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or("")
        .split_whitespace()
        .collect();
    let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok());
    // In hundredths of a second: user and system time.
    let cpu = ticks(11)
        .zip(ticks(12))
        .map(|(user, system)| (user + system) / 100.0);
    serde_json::json!({ "resident": line("VmRSS:"), "peak": line("VmHWM:"), "cpu_seconds": cpu })
}

#[allow(clippy::disallowed_methods)] // a load test measures time
fn now() -> Instant {
    Instant::now()
}
