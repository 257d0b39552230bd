//! Load test of genomasters with many runs: simulated miners that do not sign work for whichever run
//! they are assigned. Prints request rate, latencies and the fairness among users as one JSON object.
//!
//!     cargo run --release -p naschain-bins --example crowd_of_runs -- http://127.0.0.1:5000 \
//!         --miners 500 --seconds 60 --pid $(pidof genomaster)
//!
//! Several genomasters of one home are given with commas; each miner begins with another.
//! `--kill PID --after SECONDS` kills a genomaster and says how long runs were without a leader.
//!
//! Their answers are a function of the genome, so that they agree. The runs have to be public and on
//! the digits; `scripts/many_runs.sh` makes them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Parser;
use naschain_bins::{Client, ClientError, versions};
use naschain_consensus::{LeaseId, MinerId, Row};
use naschain_core::{Accuracy, Digest, Measurement};
use naschain_run::{AssignmentReply, AssignmentRequest, Job, JobReply, RunSpec, Wanted};
use tokio::sync::Mutex;

#[derive(Parser)]
struct Args {
    /// Addresses of the genomasters, separated by commas
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
    /// Process ids of the genomasters, to read its memory and processor time
    #[arg(long, value_delimiter = ',')]
    pid: Vec<u32>,
    /// File to write with the runs and leases of all acknowledged answers
    #[arg(long)]
    acknowledged: Option<PathBuf>,
    /// Process id of a genomaster to kill
    #[arg(long, requires = "after")]
    kill: Option<u32>,
    /// After how many seconds
    #[arg(long)]
    after: Option<u64>,
}

#[derive(Default)]
struct Figures {
    /// Latencies in microseconds by kind of request; those of assignments include the wait.
    latencies: Mutex<BTreeMap<&'static str, Vec<u64>>>,
    /// FLOPs of the trainings that were answered, by run.
    work: Mutex<BTreeMap<Digest, f64>>,
    /// Leases of answers that were acknowledged, by run.
    acknowledged: Mutex<BTreeMap<Digest, BTreeSet<LeaseId>>>,
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
    let clients = clients(&args.genomaster)?;
    let (figures, specs) = (Arc::new(Figures::default()), Arc::default());
    let began = now();
    let until = began + Duration::from_secs(args.seconds);
    let mut miners = tokio::task::JoinSet::new();
    for number in 0..args.miners {
        let miner = Miner {
            name: format!("crowd-{number}").parse()?,
            args: args.clone(),
            client: clients[number % clients.len()].clone(),
            specs: Arc::clone(&specs),
            joined: Vec::new(),
            figures: figures.clone(),
        };
        miners.spawn(async move {
            let _ = tokio::time::timeout_at(until.into(), miner.work()).await;
        });
    }
    let moved = kill(&args, &clients, &figures).await?;
    while miners.join_next().await.is_some() {}
    let seconds = began.elapsed().as_secs_f64();
    if let Some(file) = &args.acknowledged {
        write_acknowledged(file, &figures).await?;
    }
    report(&args, &figures, seconds, moved).await
}

/// For each genomaster a client that begins with it.
fn clients(urls: &str) -> Result<Vec<Client>> {
    let mut urls: Vec<&str> = urls.split(',').collect();
    let mut clients = Vec::new();
    for _ in 0..urls.len() {
        clients.push(Client::new(&urls.join(","))?);
        urls.rotate_left(1);
    }
    Ok(clients)
}

/// Kills a genomaster, and returns the seconds until all runs are led again.
async fn kill(args: &Args, clients: &[Client], figures: &Figures) -> Result<Option<f64>> {
    let (Some(pid), Some(after)) = (args.kill, args.after) else {
        return Ok(None);
    };
    tokio::time::sleep(Duration::from_secs(after)).await;
    let runs: Vec<Digest> = figures.acknowledged.lock().await.keys().copied().collect();
    std::process::Command::new("kill")
        .args(["-9", &pid.to_string()])
        .status()?;
    let killed = now();
    for run in runs {
        // Of the genomaster that is listed last, which is not the one to kill.
        let client = clients[clients.len() - 1].of_run(run);
        while client.front().await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    Ok(Some(killed.elapsed().as_secs_f64()))
}

/// Writes the runs and leases of all acknowledged answers, one of them a line.
async fn write_acknowledged(file: &Path, figures: &Figures) -> Result<()> {
    let mut lines = String::new();
    for (run, leases) in figures.acknowledged.lock().await.iter() {
        for lease in leases {
            lines += &format!("{run} {}\n", lease.0);
        }
    }
    Ok(std::fs::write(file, lines)?)
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
        let AssignmentReply::Run { run, genomaster } = assigned else {
            return Ok(());
        };
        let client = match genomaster {
            Some(at) => self.client.of_run_at(run, &at),
            None => self.client.of_run(run),
        };
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
        let mut acknowledged = self.figures.acknowledged.lock().await;
        acknowledged.entry(run).or_default().insert(job.lease);
        drop(acknowledged);
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

async fn report(args: &Args, figures: &Figures, seconds: f64, moved: Option<f64>) -> Result<()> {
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
        "acknowledged": figures.acknowledged.lock().await.values().map(BTreeSet::len).sum::<usize>(),
        "seconds_until_led_again": moved,
        "genomasters": args.pid.iter().map(|pid| usage(*pid)).collect::<Vec<_>>(),
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
