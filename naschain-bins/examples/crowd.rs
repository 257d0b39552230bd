//! Load test of one genomaster over HTTP with simulated miners and readers of its event stream. Prints
//! request rate and latencies as one JSON object.
//!
//!     cargo run --release -p naschain-bins --example crowd -- http://127.0.0.1:5000 \
//!         --miners 2000 --readers 10 --seconds 30 --pid $(pidof genomaster)
//!
//! The miners train their entrance examinations, before the measurement begins, and nothing else. Their
//! answers are a function of the genome, so that they agree and the
//! front of a search does not depend on timing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Parser;
use naschain_bins::{Client, ClientError, Credentials, Joined, train_exam};
use naschain_consensus::{MinerId, Row};
use naschain_core::{Accuracy, Digest, Measurement};
use naschain_identity::Hotkey;
use naschain_run::{Exam, Job, JobReply, RunSpec};
use naschain_train::{Dataset, Options};
use tokio::sync::{Mutex, Semaphore};

#[derive(Parser)]
struct Args {
    /// Genomasters of one run, separated by commas
    genomaster: String,
    /// Simulated miners
    #[arg(long, default_value_t = 100)]
    miners: usize,
    /// Readers of the event stream
    #[arg(long, default_value_t = 0)]
    readers: usize,
    /// Duration of the measurement, which begins when all miners have joined and ends earlier if the
    /// run is finished
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Duration of each simulated training, in milliseconds
    #[arg(long, default_value_t = 1_000)]
    training_ms: u64,
    /// Heartbeats in each training
    #[arg(long, default_value_t = 2)]
    heartbeats: u32,
    /// How long the genomaster may hold a request for work, in milliseconds; counts as latency
    #[arg(long, default_value_t = 0)]
    wait_ms: u64,
    /// Prefix of the miners' names
    #[arg(long, default_value = "crowd")]
    name: String,
    /// Each miner signs with a hotkey derived from its name, over its own connections
    #[arg(long)]
    signed: bool,
    /// Process id of the genomaster, to read its memory and processor time
    #[arg(long)]
    pid: Option<u32>,
}

/// Latencies of requests by kind, in microseconds, and counters.
#[derive(Default)]
struct Figures {
    join: Mutex<Vec<u64>>,
    request: Mutex<Vec<u64>>,
    heartbeat: Mutex<Vec<u64>>,
    submit: Mutex<Vec<u64>>,
    away: AtomicU64,
    refused: AtomicU64,
    answers: AtomicU64,
    feed_events: AtomicU64,
    feed_bytes: AtomicU64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Arc::new(Args::parse());
    let (_, client) = caller(&args, &args.name)?;
    let spec = loop {
        match client.run().await {
            Ok(spec) => break Arc::new(spec),
            Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    };
    let figures = Arc::new(Figures::default());
    let entrance = Arc::new(Entrance {
        dataset: Dataset::digits(),
        turn: Semaphore::new(1),
    });
    let mut entering = tokio::task::JoinSet::new();
    for number in 0..args.miners {
        let name = format!("{}-{number}", args.name);
        let (name, client) = if args.signed {
            caller(&args, &name)?
        } else {
            (name.parse()?, client.clone())
        };
        let miner = Miner {
            name,
            args: args.clone(),
            client,
            spec: spec.clone(),
            figures: figures.clone(),
        };
        let entrance = entrance.clone();
        entering.spawn(async move { miner.enter(&entrance).await.map(|()| miner) });
    }
    let mut admitted = Vec::new();
    while let Some(entered) = entering.join_next().await {
        admitted.push(entered??);
    }
    let before = metrics(&args).await;
    let began = now();
    let until = began + Duration::from_secs(args.seconds);
    let mut miners = tokio::task::JoinSet::new();
    for miner in admitted {
        miners.spawn(async move {
            let _ = tokio::time::timeout_at(until.into(), miner.work()).await;
        });
    }
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..args.readers {
        readers.spawn(read_feed(args.genomaster.clone(), figures.clone()));
    }
    while miners.join_next().await.is_some() {}
    let seconds = began.elapsed().as_secs_f64();
    report(&args, &figures, seconds, &before).await;
    Ok(())
}

/// What the miners share while they enter.
struct Entrance {
    dataset: Dataset,
    /// One examination is trained at a time.
    turn: Semaphore,
}

/// A miner of this name and its client, which signs if requests are to be signed.
fn caller(args: &Args, name: &str) -> anyhow::Result<(MinerId, Client)> {
    if !args.signed {
        return Ok((name.parse()?, Client::new(&args.genomaster)?));
    }
    let hotkey = Hotkey::from_seed(blake3::hash(name.as_bytes()).as_bytes());
    let miner = MinerId::new(hotkey.address())?;
    let credentials = Credentials {
        hotkey: Some(hotkey),
        ..Credentials::default()
    };
    Ok((miner, Client::with(&args.genomaster, credentials)?))
}

struct Miner {
    name: MinerId,
    args: Arc<Args>,
    client: Client,
    spec: Arc<RunSpec>,
    figures: Arc<Figures>,
}

impl Miner {
    /// Joins, after an examination if there is one.
    async fn enter(&self, entrance: &Arc<Entrance>) -> anyhow::Result<()> {
        let run = self.spec.digest();
        let unmeasured = Mutex::default();
        let join = || self.client.join(&self.name, run);
        let joined = self.call(&unmeasured, join).await;
        if let Some(Joined::Examined(exam)) = joined {
            let digest = self.train_exam(entrance, exam.clone()).await?;
            let pass = || self.client.pass_exam(&self.name, &exam, digest);
            self.call(&unmeasured, pass).await;
        }
        let joined = self.call(&self.figures.join, join).await;
        ensure!(
            joined == Some(Joined::Admitted),
            "{} was not admitted: {joined:?}",
            self.name
        );
        Ok(())
    }

    async fn train_exam(&self, entrance: &Arc<Entrance>, exam: Exam) -> anyhow::Result<Digest> {
        let (entrance, spec) = (entrance.clone(), self.spec.clone());
        let data = &spec.data.name;
        ensure!(
            data == "digits",
            "the run is on {data}; only examinations on digits are trained"
        );
        let _turn = entrance.turn.acquire().await?;
        let training = entrance.clone();
        let trained = tokio::task::spawn_blocking(move || {
            train_exam(&exam, &spec, &training.dataset, Options::default(), || {
                false
            })
        });
        trained.await??.context("the training ended early")
    }

    async fn work(self) {
        let figures = &self.figures;
        let run = self.spec.digest();
        let join = || self.client.join(&self.name, run);
        loop {
            let ask = || self.client.request(&self.name, run, self.args.wait_ms);
            match self.call(&figures.request, ask).await {
                Some(JobReply::Job(job)) => self.train(&job).await,
                Some(JobReply::Finished) => return,
                Some(JobReply::Wait) if self.args.wait_ms > 0 => {}
                Some(JobReply::Wait) => {
                    let pause = self.args.training_ms.max(100);
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                }
                None => {
                    // Another genomaster may not know this miner yet.
                    self.call(&figures.join, join).await;
                }
            }
        }
    }

    async fn train(&self, job: &Job) {
        let parts = self.args.heartbeats + 1;
        let part = Duration::from_millis(self.args.training_ms / u64::from(parts));
        for epoch in 1..=self.args.heartbeats {
            tokio::time::sleep(part).await;
            let epoch = epoch.min(self.spec.recipe.epochs);
            let beat = || self.client.heartbeat(&self.name, job.run, job.lease, epoch);
            if self.call(&self.figures.heartbeat, beat).await.is_none() {
                return;
            }
        }
        tokio::time::sleep(part).await;
        let Some(row) = answer(&self.spec, job) else {
            return;
        };
        let submit = || self.client.submit(&self.name, job.run, job.lease, &row);
        if self.call(&self.figures.submit, submit).await.is_some() {
            self.figures.answers.fetch_add(1, Relaxed);
        }
    }

    /// Repeats a call while the genomaster is away; `None` if it is refused.
    async fn call<T, F: Future<Output = Result<T, ClientError>>>(
        &self,
        took: &Mutex<Vec<u64>>,
        call: impl Fn() -> F,
    ) -> Option<T> {
        loop {
            let began = now();
            match call().await {
                Ok(value) => {
                    took.lock().await.push(began.elapsed().as_micros() as u64);
                    return Some(value);
                }
                Err(ClientError::Unavailable(_)) => {
                    self.figures.away.fetch_add(1, Relaxed);
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                Err(ClientError::Refused(_)) => {
                    self.figures.refused.fetch_add(1, Relaxed);
                    return None;
                }
            }
        }
    }
}

/// The right costs, with an accuracy derived from the genome.
fn answer(spec: &RunSpec, job: &Job) -> Option<Row> {
    let costs = spec.space.decode(&job.genome).ok()?.costs().ok()?;
    let digest = *blake3::hash(job.genome.to_string().as_bytes()).as_bytes();
    let luck = u32::from(u16::from_le_bytes([digest[0], digest[1]]) % 500);
    let size = (costs.params as f64).sqrt().min(4_500.0);
    Some(Row::Measured(Measurement {
        accuracy: Accuracy::from_hundredths(5_000 + size as u32 + luck).ok()?,
        params: costs.params,
        flops: costs.flops,
        digest: Digest(digest),
    }))
}

async fn read_feed(urls: String, figures: Arc<Figures>) {
    let url = urls.split(',').next().unwrap_or(&urls);
    loop {
        let answer = reqwest::get(format!("{url}/v1/events?after=0")).await;
        if let Ok(mut answer) = answer {
            while let Ok(Some(chunk)) = answer.chunk().await {
                let events = chunk.windows(2).filter(|two| two == b"\n\n").count();
                figures.feed_events.fetch_add(events as u64, Relaxed);
                figures.feed_bytes.fetch_add(chunk.len() as u64, Relaxed);
            }
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// The sum of a counter of the genomaster's metrics over its labels.
fn counter(metrics: &str, name: &str) -> f64 {
    let lines = metrics.lines().filter(|line| line.starts_with(name));
    let values = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    values.sum()
}

/// The genomaster's metrics; empty if it does not answer.
async fn metrics(args: &Args) -> String {
    let url = args.genomaster.split(',').next().unwrap_or_default();
    match reqwest::get(format!("{url}/metrics")).await {
        Ok(answer) => answer.text().await.unwrap_or_default(),
        Err(_) => String::new(),
    }
}

/// `before` are the metrics at the beginning.
async fn report(args: &Args, figures: &Figures, seconds: f64, before: &str) {
    let after = metrics(args).await;
    let counter = |name: &str| counter(&after, name) - counter(before, name);
    let commits = counter("naschain_commit_seconds_count");
    let events = counter("naschain_events_total");
    let mut all = Vec::new();
    let mut kinds = serde_json::Map::new();
    for (kind, took) in [
        ("join", &figures.join),
        ("request", &figures.request),
        ("heartbeat", &figures.heartbeat),
        ("submit", &figures.submit),
    ] {
        let mut took = took.lock().await.clone();
        kinds.insert(kind.to_owned(), latencies(&mut took));
        all.extend(took);
    }
    let requests = all.len();
    let report = serde_json::json!({
        "miners": args.miners,
        "readers": args.readers,
        "seconds": seconds,
        "requests": requests,
        "requests_per_second": requests as f64 / seconds,
        "all": latencies(&mut all),
        "by_kind": kinds,
        "answers": figures.answers.load(Relaxed),
        "accepted_jobs": counter("naschain_jobs{state=\"accepted\"}"),
        "failed_jobs": counter("naschain_jobs{state=\"failed\"}"),
        "away": figures.away.load(Relaxed),
        "refused": figures.refused.load(Relaxed),
        "feed_events": figures.feed_events.load(Relaxed),
        "feed_bytes": figures.feed_bytes.load(Relaxed),
        "events": events,
        "events_per_commit": events / commits.max(1.0),
        "commit_mean_ms": 1_000.0 * counter("naschain_commit_seconds_sum") / commits.max(1.0),
        "genomaster_memory_mib": args.pid.map(memory_mib),
        "genomaster_processor_s": args.pid.map(processor_s),
    });
    println!("{report}");
}

fn latencies(took: &mut [u64]) -> serde_json::Value {
    took.sort_unstable();
    let at = |part: f64| {
        let place = (part * took.len() as f64) as usize;
        took.get(place.min(took.len().saturating_sub(1)))
            .map(|micros| *micros as f64 / 1_000.0)
    };
    serde_json::json!({ "count": took.len(), "p50_ms": at(0.5), "p99_ms": at(0.99), "max_ms": at(1.0) })
}

/// Resident memory of a process on Linux.
fn memory_mib(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
    kib.unwrap_or(f64::NAN) / 1024.0
}

/// Processor time of a process on Linux, in seconds; the kernel counts hundredths.
fn processor_s(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok());
    (ticks(11).unwrap_or(f64::NAN) + ticks(12).unwrap_or(f64::NAN)) / 100.0
}

#[allow(clippy::disallowed_methods)] // latencies are measured
fn now() -> Instant {
    Instant::now()
}
