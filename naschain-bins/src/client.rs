//! The genomaster as a miner or a validator sees it over HTTP.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use naschain_consensus::{LeaseId, MinerId, Row};
use naschain_core::Digest;
use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::OnceCell;

use crate::api::{
    Batches, HeartbeatRequest, Identity, JobReply, JobRequest, JoinRequest, Problem, ResultRequest,
};
use crate::btauth::{Auth, Message};
use crate::clock;
use crate::run_spec::RunSpec;
use crate::ss58;
use crate::wallet::Hotkey;

/// Why a call did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The genomaster is away or in trouble; the same call may succeed later.
    #[error("{0}")]
    Away(String),
    /// The genomaster refuses this call for good.
    #[error("{} ({}, HTTP {})", .0.detail, .0.kind, .0.status)]
    Refused(Problem),
}

impl ClientError {
    /// Whether the genomaster named this kind of problem.
    pub fn is(&self, kind: &str) -> bool {
        matches!(self, ClientError::Refused(problem) if problem.kind == kind)
    }
}

/// Who calls, and whom it believes.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// Signs the calls.
    pub hotkey: Option<Hotkey>,
    /// A name for people to read, told when a miner joins.
    pub name: Option<MinerId>,
    /// The only genomaster that is spoken to; without it, the one that answers first.
    pub genomaster: Option<String>,
    /// A PEM file of certificates to believe besides the public ones.
    pub ca_file: Option<PathBuf>,
}

/// Calls to one genomaster.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    shared: Arc<Shared>,
}

/// What all copies of a client have together.
#[derive(Debug, Default)]
struct Shared {
    url: String,
    /// The path of `url`, which comes before every path that is called.
    base: String,
    credentials: Credentials,
    /// The genomaster's address, once it is known; none where calls are not signed.
    receiver: OnceCell<Option<String>>,
    nonce: AtomicU64,
    /// The run of the latest [`Client::run`]: what answers are for.
    run: Mutex<Option<Digest>>,
}

impl Client {
    /// A client of the genomaster at `url`, such as `http://127.0.0.1:5000`, that cannot sign.
    pub fn new(url: &str) -> anyhow::Result<Client> {
        Client::with(url, Credentials::default())
    }

    /// A client that signs where the genomaster wants it.
    pub fn with(url: &str, credentials: Credentials) -> anyhow::Result<Client> {
        let parsed = reqwest::Url::parse(url).ok();
        let parsed = parsed.filter(|u| ["http", "https"].contains(&u.scheme()) && u.has_host());
        let Some(parsed) = parsed else {
            bail!("{url:?} is not the address of a genomaster, such as http://127.0.0.1:5000");
        };
        if let Some(genomaster) = &credentials.genomaster {
            ss58::decode(genomaster).context("--genomaster-hotkey")?;
        }
        let mut http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            // Longer than the longest wait for work.
            .timeout(Duration::from_secs(60))
            // Before the genomaster gives idle connections up.
            .pool_idle_timeout(Duration::from_secs(20))
            // A signed call is for the path that was signed.
            .redirect(reqwest::redirect::Policy::none());
        if let Some(file) = &credentials.ca_file {
            for certificate in certificates(file)? {
                http = http.add_root_certificate(certificate);
            }
        }
        Ok(Client {
            http: http.build()?,
            shared: Arc::new(Shared {
                url: url.trim_end_matches('/').to_owned(),
                base: parsed.path().trim_end_matches('/').to_owned(),
                credentials,
                ..Shared::default()
            }),
        })
    }

    /// The genomaster's address, if it has one. The first answer is kept: a genomaster that
    /// changes its key is refused by the wrong receiver of the calls.
    pub async fn genomaster(&self) -> Result<Option<&str>, ClientError> {
        let ask = || async {
            let call = self.http.get(format!("{}/identity", self.shared.url));
            let Identity { hotkey } = read(checked(call).await?).await?;
            let wanted = &self.shared.credentials.genomaster;
            if wanted.is_some() && hotkey != *wanted {
                let (found, wanted) = (hotkey.as_deref(), wanted.as_deref());
                let detail = format!(
                    "the genomaster at {} is {}, not {}",
                    self.shared.url,
                    found.unwrap_or("without a hotkey"),
                    wanted.unwrap_or_default()
                );
                return Err(refused(401, "other_genomaster", detail));
            }
            Ok(hotkey)
        };
        let known = self.shared.receiver.get_or_try_init(ask).await?;
        Ok(known.as_deref())
    }

    /// What the run is.
    pub async fn run(&self) -> Result<RunSpec, ClientError> {
        let spec: RunSpec = self.get("/v1/run").await?;
        let run = self.shared.run.lock();
        *run.unwrap_or_else(PoisonError::into_inner) = Some(spec.digest());
        Ok(spec)
    }

    /// Takes part.
    pub async fn join(&self, miner: &MinerId) -> Result<(), ClientError> {
        let request = JoinRequest {
            miner: miner.clone(),
            name: self.shared.credentials.name.clone(),
            capacity: None,
        };
        self.tell("/v1/join", &request).await
    }

    /// Asks for work and waits for it up to `wait_ms`.
    pub async fn request(&self, miner: &MinerId, wait_ms: u64) -> Result<JobReply, ClientError> {
        let miner = miner.clone();
        let request = JobRequest { miner, wait_ms };
        let response = self.post("/v1/jobs", &request).await?;
        read(response).await
    }

    /// Says that the work goes on.
    pub async fn heartbeat(
        &self,
        miner: &MinerId,
        lease: LeaseId,
        epoch: u32,
    ) -> Result<(), ClientError> {
        let miner = miner.clone();
        let path = format!("/v1/leases/{}/heartbeat", lease.0);
        self.tell(&path, &HeartbeatRequest { miner, epoch }).await
    }

    /// Answers, in the run that [`Client::run`] told of last.
    pub async fn submit(
        &self,
        miner: &MinerId,
        lease: LeaseId,
        row: &Row,
    ) -> Result<(), ClientError> {
        let miner = miner.clone();
        let row =
            serde_json::to_value(row).map_err(|error| ClientError::Away(error.to_string()))?;
        let run = *self
            .shared
            .run
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let path = format!("/v1/leases/{}/result", lease.0);
        self.tell(&path, &ResultRequest { miner, row, run }).await
    }

    /// The batches that have ended, from number `after` on.
    pub async fn batches(&self, after: usize) -> Result<Batches, ClientError> {
        self.get(&format!("/v1/batches?after={after}")).await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        read(self.call(Method::GET, path, Vec::new()).await?).await
    }

    async fn tell(&self, path: &str, body: &impl Serialize) -> Result<(), ClientError> {
        self.post(path, body).await.map(drop)
    }

    async fn post(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<reqwest::Response, ClientError> {
        let body =
            serde_json::to_vec(body).map_err(|error| ClientError::Away(error.to_string()))?;
        self.call(Method::POST, path, body).await
    }

    /// Sends a call, signed where the genomaster has a hotkey.
    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<reqwest::Response, ClientError> {
        let url = format!("{}{path}", self.shared.url);
        let mut call = self.http.request(method.clone(), url);
        if let Some(receiver) = self.genomaster().await? {
            let Some(hotkey) = &self.shared.credentials.hotkey else {
                let detail = "this genomaster takes signed requests alone: give --wallet.name and --wallet.hotkey; `miner keygen` makes a hotkey";
                return Err(refused(401, "unsigned", detail.to_owned()));
            };
            let path = format!("{}{path}", self.shared.base);
            let message = Message {
                method: method.as_str(),
                path: &path,
                body: &body,
            };
            let auth = Auth::sign(hotkey, message, Some(receiver), self.nonce());
            for (name, value) in auth.headers() {
                call = call.header(name, value);
            }
        }
        if method == Method::POST {
            call = call.header("Content-Type", "application/json").body(body);
        }
        checked(call).await
    }

    /// The time, or a little later where a call has that already.
    fn nonce(&self) -> u64 {
        let now = clock::unix_nanos();
        let later = |last: u64| Some(now.max(last + 1));
        let order = Ordering::Relaxed;
        let last = self.shared.nonce.fetch_update(order, order, later);
        last.map_or(now, |last| now.max(last + 1))
    }
}

fn certificates(file: &Path) -> anyhow::Result<Vec<reqwest::Certificate>> {
    let pem = std::fs::read(file);
    let pem = pem.with_context(|| format!("cannot read the certificates {}", file.display()))?;
    let found = reqwest::Certificate::from_pem_bundle(&pem).unwrap_or_default();
    if found.is_empty() {
        bail!(
            "{} has no certificate in it; it must be PEM",
            file.display()
        );
    }
    Ok(found)
}

fn refused(status: u16, kind: &str, detail: String) -> ClientError {
    let kind = kind.to_owned();
    ClientError::Refused(Problem {
        kind,
        status,
        detail,
    })
}

/// What the same call, made and signed again, may not meet.
fn passes(problem: &Problem) -> bool {
    matches!(problem.status, 408 | 429)
        || ["stale_request", "replayed_request"].contains(&problem.kind.as_str())
}

async fn checked(call: reqwest::RequestBuilder) -> Result<reqwest::Response, ClientError> {
    let response = call.send().await.map_err(away)?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let text = response.text().await.unwrap_or_default();
    match serde_json::from_str::<Problem>(&text) {
        Ok(problem) if status.is_client_error() && !passes(&problem) => {
            Err(ClientError::Refused(problem))
        }
        Ok(problem) => Err(ClientError::Away(problem.detail)),
        Err(_) => Err(ClientError::Away(format!("HTTP {status} without a reason"))),
    }
}

async fn read<T: DeserializeOwned>(response: reqwest::Response) -> Result<T, ClientError> {
    response.json().await.map_err(away)
}

fn away(error: reqwest::Error) -> ClientError {
    // reqwest's own message ends where the cause begins.
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    ClientError::Away(text)
}
