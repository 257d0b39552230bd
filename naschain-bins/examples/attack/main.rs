//! Attacks a genomaster over HTTP as strangers can, all ways at once, and prints what it answered as
//! one JSON object. `scripts/attack.sh` measures honest miners meanwhile.
//!
//!     cargo run --release -p naschain-bins --example attack -- http://127.0.0.1:5000 --seconds 60
//!
//! The attacks: bodies padded with whitespace, joins of ever new hotkeys, joins that alternate the
//! number of jobs, requests for work that do not wait, and readers of the journal, of jobs, events and
//! metrics that hardly read. Run it only against a genomaster of your own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use naschain_bins::unix_nanos;
use naschain_core::Digest;
use naschain_identity::{Auth, Hotkey, SignedParts};
use naschain_run::{Identity, RunSpec};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

#[derive(Parser, Clone)]
struct Args {
    /// The genomaster, such as http://127.0.0.1:5000
    genomaster: String,
    /// Duration
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Hotkeys that send padded bodies
    #[arg(long, default_value_t = 8)]
    padders: u64,
    /// Clients that join with ever new hotkeys
    #[arg(long, default_value_t = 8)]
    joiners: u64,
    /// Hotkeys that join with another number of jobs each time
    #[arg(long, default_value_t = 8)]
    alternating: u64,
    /// Hotkeys that request work without waiting for it
    #[arg(long, default_value_t = 8)]
    idlers: u64,
    /// Connections that hardly read
    #[arg(long, default_value_t = 200)]
    readers: u64,
}

/// The genomaster, and what it answered.
struct Target {
    url: String,
    http: reqwest::Client,
    receiver: Option<String>,
    run: Digest,
    nonce: AtomicU64,
    /// Number of responses by attack and status; 0 stands for none.
    statuses: Mutex<BTreeMap<(&'static str, u16), u64>>,
    read_bytes: AtomicU64,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let target = Arc::new(Target::new(&args.genomaster).await?);
    let mut attacks = JoinSet::new();
    for number in 0..args.padders {
        attacks.spawn(pad(target.clone(), number));
    }
    for number in 0..args.joiners {
        attacks.spawn(join_forever(target.clone(), number));
    }
    for number in 0..args.alternating {
        attacks.spawn(alternate(target.clone(), number));
    }
    for number in 0..args.idlers {
        attacks.spawn(idle(target.clone(), number));
    }
    for number in 0..args.readers {
        attacks.spawn(read_slowly(target.clone(), number));
    }
    tokio::time::sleep(Duration::from_secs(args.seconds)).await;
    attacks.shutdown().await;
    let statuses = target.statuses.lock().await;
    let mut report = serde_json::Map::new();
    for ((attack, status), count) in statuses.iter() {
        report.insert(format!("{attack} {status}"), (*count).into());
    }
    let read_bytes = target.read_bytes.load(Relaxed);
    report.insert("slowly read bytes".to_owned(), read_bytes.into());
    println!("{}", serde_json::Value::Object(report));
    Ok(())
}

impl Target {
    async fn new(url: &str) -> Result<Target> {
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(60))
            .build()?;
        let get = async |path: &str| {
            let call = http.get(format!("{url}{path}")).send().await?;
            call.error_for_status()?.text().await
        };
        let identity: Identity = serde_json::from_str(&get("/identity").await?)?;
        let mut target = Target {
            url: url.to_owned(),
            http: http.clone(),
            receiver: identity.hotkey,
            run: Digest([0; 32]),
            nonce: AtomicU64::new(0),
            statuses: Mutex::default(),
            read_bytes: AtomicU64::new(0),
        };
        let hotkey = hotkey("reader", 0);
        let spec = target.send(&hotkey, "GET", "/v1/run", Vec::new());
        let spec: RunSpec = spec.await?.error_for_status()?.json().await?;
        target.run = spec.digest();
        Ok(target)
    }

    /// Sends a request, signed if the genomaster has a hotkey.
    async fn send(
        &self,
        hotkey: &Hotkey,
        method: &'static str,
        path: &str,
        body: Vec<u8>,
    ) -> reqwest::Result<reqwest::Response> {
        let url = format!("{}{path}", self.url);
        let mut call = match method {
            "GET" => self.http.get(url),
            _ => self.http.post(url),
        };
        if let Some(receiver) = &self.receiver {
            let message = SignedParts {
                method,
                path,
                body: &body,
            };
            let auth = Auth::sign(hotkey, message, Some(receiver), self.nonce());
            for (name, value) in auth.headers() {
                call = call.header(name, value);
            }
        }
        if method == "POST" {
            call = call.header("Content-Type", "application/json").body(body);
        }
        call.send().await
    }

    /// One request of an attack; counts the status.
    async fn attack(&self, attack: &'static str, hotkey: &Hotkey, path: &str, body: String) -> u16 {
        let sent = self.send(hotkey, "POST", path, body.into_bytes()).await;
        let status = sent.map_or(0, |response| response.status().as_u16());
        self.count(attack, status).await;
        // Refused clients of a real attack would not wait longer either.
        if !(200..300).contains(&status) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        status
    }

    async fn count(&self, attack: &'static str, status: u16) {
        let mut statuses = self.statuses.lock().await;
        *statuses.entry((attack, status)).or_default() += 1;
    }

    fn nonce(&self) -> u64 {
        let later = |last: u64| Some(unix_nanos().max(last + 1));
        let last = self.nonce.fetch_update(Relaxed, Relaxed, later);
        last.map_or(0, |last| unix_nanos().max(last + 1))
    }
}

fn hotkey(attack: &str, number: u64) -> Hotkey {
    let name = format!("{attack}-{number}-{}", std::process::id());
    Hotkey::from_seed(blake3::hash(name.as_bytes()).as_bytes())
}

fn join_body(target: &Target, hotkey: &Hotkey, jobs: u64) -> String {
    let (miner, run) = (hotkey.address(), target.run);
    format!("{{\"miner\":\"{miner}\",\"jobs\":{jobs},\"run\":\"{run}\"}}")
}

/// Pads the bodies of joins and answers to 60 KiB.
async fn pad(target: Arc<Target>, number: u64) {
    let hotkey = hotkey("pad", number);
    let spaces = " ".repeat(60 << 10);
    for jobs in (1..=2).cycle() {
        let body = join_body(&target, &hotkey, jobs) + &spaces;
        target.attack("padded", &hotkey, "/v1/join", body).await;
        let (miner, run) = (hotkey.address(), target.run);
        let body = format!("{{\"miner\":\"{miner}\",\"row\":1,\"run\":\"{run}\"}}{spaces}");
        let path = "/v1/leases/1/result";
        target.attack("padded", &hotkey, path, body).await;
    }
}

/// Joins with a new hotkey each time, ten thousand for each client.
async fn join_forever(target: Arc<Target>, number: u64) {
    for key in (0..10_000).cycle() {
        let hotkey = hotkey("join", number * 10_000 + key);
        let body = join_body(&target, &hotkey, 1);
        target.attack("new key", &hotkey, "/v1/join", body).await;
    }
}

async fn alternate(target: Arc<Target>, number: u64) {
    let hotkey = hotkey("alternate", number);
    for jobs in (1..=2).cycle() {
        let body = join_body(&target, &hotkey, jobs);
        let attack = "alternating";
        target.attack(attack, &hotkey, "/v1/join", body).await;
    }
}

/// Requests work at once again and again, with more hotkeys than there is work.
async fn idle(target: Arc<Target>, number: u64) {
    let hotkey = hotkey("idle", number);
    let joined = join_body(&target, &hotkey, 1);
    target.attack("idle", &hotkey, "/v1/join", joined).await;
    let (miner, run) = (hotkey.address(), target.run);
    let body = format!("{{\"miner\":\"{miner}\",\"wait_ms\":0,\"run\":\"{run}\"}}");
    loop {
        let body = body.clone();
        target.attack("idle", &hotkey, "/v1/jobs", body).await;
    }
}

/// Opens a connection with small buffers and reads a byte each second.
async fn read_slowly(target: Arc<Target>, number: u64) {
    let paths = [
        "/v1/journal?after=0",
        "/v1/events?after=0",
        "/v1/batches?after=0",
        "/metrics",
    ];
    let path = paths[number as usize % paths.len()];
    loop {
        if read_once(&target, path).await.is_err() {
            target.count("slow reader", 0).await;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn read_once(target: &Target, path: &str) -> Result<()> {
    let host = target.url.strip_prefix("http://");
    let host = host.context("slow readers need an http:// URL")?;
    let mut addresses = tokio::net::lookup_host(host).await?;
    let address = addresses.next().context("no address")?;
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_recv_buffer_size(4096)?;
    let mut stream = socket.connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut head = [0; 12];
    stream.read_exact(&mut head).await?;
    let status = String::from_utf8_lossy(&head[9..]).into_owned();
    target
        .count("slow reader", status.parse().unwrap_or(0))
        .await;
    let mut byte = [0];
    while stream.read(&mut byte).await? > 0 {
        target.read_bytes.fetch_add(1, Relaxed);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Ok(())
}
