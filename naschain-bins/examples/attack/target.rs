//! HTTP requests of an attack, and what the genomaster answered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use anyhow::Result;
use naschain_bins::{train_exam, unix_nanos};
use naschain_core::Digest;
use naschain_identity::{Auth, Hotkey, SignedParts};
use naschain_run::{Exam, Identity, RunSpec};
use naschain_train::{Dataset, Options};
use tokio::sync::{Mutex, Semaphore};

/// The genomaster, and what it answered.
pub(crate) struct Target {
    pub(crate) url: String,
    http: reqwest::Client,
    receiver: Option<String>,
    pub(crate) run: Digest,
    spec: Option<RunSpec>,
    dataset: Dataset,
    /// One examination is trained at a time.
    turn: Semaphore,
    nonce: AtomicU64,
    /// Number of responses by attack and status; 0 stands for none.
    statuses: Mutex<BTreeMap<(&'static str, u16), u64>>,
    pub(crate) read_bytes: AtomicU64,
}

impl Target {
    pub(crate) async fn new(url: &str) -> Result<Target> {
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
            spec: None,
            dataset: Dataset::digits(),
            turn: Semaphore::new(1),
            nonce: AtomicU64::new(0),
            statuses: Mutex::default(),
            read_bytes: AtomicU64::new(0),
        };
        let hotkey = hotkey("reader", 0);
        let spec = target.send(&hotkey, "GET", "/v1/run", Vec::new());
        let spec: RunSpec = spec.await?.error_for_status()?.json().await?;
        target.run = spec.digest();
        target.spec = Some(spec);
        Ok(target)
    }

    /// The digest of an examination on the digits; `None` for other data.
    pub(crate) async fn train_exam(self: &Arc<Self>, exam: &Exam) -> Option<Digest> {
        let _turn = self.turn.acquire().await.ok()?;
        let (target, exam) = (self.clone(), exam.clone());
        let trained = tokio::task::spawn_blocking(move || {
            let spec = target.spec.as_ref()?;
            train_exam(&exam, spec, &target.dataset, Options::default(), || false).ok()?
        });
        trained.await.ok()?
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

    /// A POST of an attack. Counts its status; returns the body of a successful response.
    pub(crate) async fn attack(
        &self,
        attack: &'static str,
        hotkey: &Hotkey,
        path: &str,
        body: String,
    ) -> Option<String> {
        let sent = self.send(hotkey, "POST", path, body.into_bytes()).await;
        let status = sent
            .as_ref()
            .map_or(0, |response| response.status().as_u16());
        self.count(attack, status).await;
        if !(200..300).contains(&status) {
            // Refused clients of a real attack would not wait longer either.
            tokio::time::sleep(Duration::from_millis(10)).await;
            return None;
        }
        sent.ok()?.text().await.ok()
    }

    pub(crate) async fn count(&self, attack: &'static str, status: u16) {
        let mut statuses = self.statuses.lock().await;
        *statuses.entry((attack, status)).or_default() += 1;
    }

    /// Number of responses by attack and status.
    pub(crate) async fn report(&self) -> serde_json::Value {
        let statuses = self.statuses.lock().await;
        let counts = statuses.iter();
        let mut report: serde_json::Map<_, _> = counts
            .map(|((attack, status), count)| (format!("{attack} {status}"), (*count).into()))
            .collect();
        let read_bytes = self.read_bytes.load(Relaxed);
        report.insert("slowly read bytes".to_owned(), read_bytes.into());
        report.into()
    }

    fn nonce(&self) -> u64 {
        let later = |last: u64| Some(unix_nanos().max(last + 1));
        let last = self.nonce.fetch_update(Relaxed, Relaxed, later);
        last.map_or(0, |last| unix_nanos().max(last + 1))
    }
}

pub(crate) fn hotkey(attack: &str, number: u64) -> Hotkey {
    let name = format!("{attack}-{number}-{}", std::process::id());
    Hotkey::from_seed(blake3::hash(name.as_bytes()).as_bytes())
}

pub(crate) fn join_body(target: &Target, hotkey: &Hotkey, jobs: u64) -> String {
    let (miner, run) = (hotkey.address(), target.run);
    format!("{{\"miner\":\"{miner}\",\"jobs\":{jobs},\"run\":\"{run}\"}}")
}
