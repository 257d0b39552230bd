//! HTTP client of miners and validators.
//!
//! It is not a library: it shares retries, TLS and the pinning of the genomaster's hotkey with the
//! programs. The wire types, signatures and proofs that another client needs are in naschain-run
//! and naschain-identity, and docs/protocol.md describes the routes.

pub(crate) mod data_downloads;
mod error;
mod genomaster;
mod identity;
mod questions;
mod response;
mod results;
pub(crate) mod transport;
pub(crate) mod users;

pub use error::ClientError;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context;
use naschain_consensus::{LeaseId, MinerId, Row};
use naschain_core::Digest;
use reqwest::{Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::alive::Alive;
use crate::client::error::refused;
use crate::client::genomaster::Genomaster;
use crate::client::response::{MAX_OBJECT_BYTES, checked, read};
use crate::clock;
use crate::printable::printable;
use crate::tls::certificates;
use naschain_identity::{Auth, Hotkey, SignedParts, ss58};
use naschain_run::{
    Exam, ExamRequest, HeartbeatRequest, JobReply, JobRequest, JoinRequest, LeaveRequest,
    ProblemKind, ResultRequest, RunSpec,
};

/// The answer to a join.
#[derive(Clone, Debug, PartialEq)]
pub enum Joined {
    /// The miner takes part.
    Admitted,
    /// The miner first has to train this and send the digest with [`Client::pass_exam`].
    Examined(Exam),
}

/// The identity of a client, and what it trusts.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// Signs the calls.
    pub hotkey: Option<Hotkey>,
    /// A display name, sent when a miner joins.
    pub name: Option<MinerId>,
    /// The only genomaster address to accept; if `None`, that of the first response is.
    pub genomaster: Option<String>,
    /// A PEM file of certificates to trust in addition to the public ones.
    pub ca_file: Option<PathBuf>,
    /// What the client says of its program, in the header `User-Agent`; nothing if `None`.
    pub program: Option<String>,
    /// Where it is written when a genomaster answers.
    pub alive: Alive,
}

/// Calls to one genomaster, or to several of one run, of which one leads.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    shared: Arc<Connections>,
    /// The run that it calls, at a genomaster with many.
    run: Option<Digest>,
}

/// Timeout of a request to a genomaster that another one has named, which may hang.
const ELSEWHERE_TIMEOUT: Duration = Duration::from_secs(15);

/// State shared by all clones of a client.
#[derive(Debug)]
struct Connections {
    /// Never empty.
    genomasters: Vec<Genomaster>,
    /// Index of the one that answered last.
    leading: AtomicUsize,
    credentials: Credentials,
    /// The latest nonce; one for all genomasters, because they share a journal.
    nonce: Arc<AtomicU64>,
    /// Whether another genomaster has named the first address. Requests there wait for nothing.
    is_led_elsewhere: bool,
    /// Connections that try the genomaster with this URL first.
    elsewhere: Mutex<BTreeMap<String, Arc<Connections>>>,
}

impl Client {
    /// A client without a hotkey. `url` is the address of a genomaster, such as
    /// `http://127.0.0.1:5000`, or those of several genomasters of one run, separated by commas;
    /// the client finds the one that leads by trying.
    pub fn new(url: &str) -> anyhow::Result<Client> {
        Client::with(url, Credentials::default())
    }

    /// A client that signs its requests if the genomaster requires it.
    pub fn with(url: &str, credentials: Credentials) -> anyhow::Result<Client> {
        let genomasters = url.split(',').map(Genomaster::at);
        let genomasters = genomasters.collect::<anyhow::Result<_>>()?;
        if let Some(genomaster) = &credentials.genomaster {
            ss58::decode(genomaster).context("--genomaster-hotkey")?;
        }
        let mut http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            // Longer than the server holds a request for work open.
            .timeout(Duration::from_secs(60))
            // Shorter than the server keeps idle connections, so that no request meets a closed
            // one.
            .pool_idle_timeout(Duration::from_secs(20))
            // A signature is valid for one path, so a redirected request would be refused.
            .redirect(reqwest::redirect::Policy::none());
        if let Some(program) = &credentials.program {
            http = http.user_agent(program);
        }
        if let Some(file) = &credentials.ca_file {
            for certificate in certificates(file)? {
                http = http.add_root_certificate(certificate);
            }
        }
        Ok(Client {
            http: http.build()?,
            shared: Arc::new(Connections {
                genomasters,
                leading: AtomicUsize::new(0),
                credentials,
                nonce: Arc::default(),
                is_led_elsewhere: false,
                elsewhere: Mutex::default(),
            }),
            run: None,
        })
    }

    /// Index of the genomaster that answered last.
    fn leading(&self) -> usize {
        self.shared.leading.load(Relaxed) % self.shared.genomasters.len()
    }

    /// Switches to the next genomaster if this one is unavailable.
    fn noted<T>(&self, which: usize, answer: Result<T, ClientError>) -> Result<T, ClientError> {
        if matches!(answer, Err(ClientError::Unavailable(_))) {
            let next = (which + 1) % self.shared.genomasters.len();
            // Compared, because another call may have switched already, and both would skip one.
            let leading = &self.shared.leading;
            let _ = leading.compare_exchange(which, next, Relaxed, Relaxed);
        }
        answer
    }

    /// The run's specification. One that is invalid or too large is refused: a search that it
    /// describes would exhaust the memory.
    pub async fn run(&self) -> Result<RunSpec, ClientError> {
        let spec: RunSpec = self.get("/v1/run", MAX_OBJECT_BYTES).await?;
        spec.validate_received().map_err(|error| {
            let text = format!("the genomaster's run specification is invalid: {error}");
            refused(ProblemKind::InvalidRun, printable(&text).into_owned())
        })?;
        if let Some(run) = self.run.filter(|run| *run != spec.digest()) {
            let text = format!(
                "the specification that the genomaster gives for run {run} is another run's"
            );
            return Err(refused(ProblemKind::InvalidRun, text));
        }
        Ok(spec)
    }

    /// Joins the run.
    pub async fn join(&self, miner: &MinerId, run: Digest) -> Result<Joined, ClientError> {
        self.join_with(miner, run, None).await
    }

    /// Joins with this number of concurrent jobs; if `None`, it is unchanged, or 1 for a new miner.
    pub async fn join_with(
        &self,
        miner: &MinerId,
        run: Digest,
        jobs: Option<u32>,
    ) -> Result<Joined, ClientError> {
        let request = JoinRequest {
            miner: miner.clone(),
            name: self.shared.credentials.name.clone(),
            jobs,
            run: Some(run),
        };
        let response = self.post("/v1/join", &request).await?;
        if response.status() == StatusCode::ACCEPTED {
            return read(response, MAX_OBJECT_BYTES).await.map(Joined::Examined);
        }
        Ok(Joined::Admitted)
    }

    /// Sends the result of an entrance examination; then the miner can join.
    pub async fn pass_exam(
        &self,
        miner: &MinerId,
        exam: &Exam,
        digest: Digest,
    ) -> Result<(), ClientError> {
        let request = ExamRequest {
            miner: miner.clone(),
            run: exam.run,
            exam: exam.exam,
            digest,
        };
        self.post_json("/v1/exam", &request).await
    }

    /// Leaves the run; the miner's seats are reassigned at once.
    pub async fn leave(&self, miner: &MinerId, run: Digest) -> Result<(), ClientError> {
        let miner = miner.clone();
        self.post_json("/v1/leave", &LeaveRequest { miner, run })
            .await
    }

    /// Requests work and waits for it, at most `wait_ms` milliseconds.
    pub async fn request(
        &self,
        miner: &MinerId,
        run: Digest,
        wait_ms: u64,
    ) -> Result<JobReply, ClientError> {
        let request = JobRequest {
            miner: miner.clone(),
            wait_ms,
            run: Some(run),
        };
        let response = self.post("/v1/jobs", &request).await?;
        read(response, MAX_OBJECT_BYTES).await
    }

    /// Reports that `epoch` epochs are finished and the training continues.
    pub async fn heartbeat(
        &self,
        miner: &MinerId,
        run: Digest,
        lease: LeaseId,
        epoch: u32,
    ) -> Result<(), ClientError> {
        let request = HeartbeatRequest {
            miner: miner.clone(),
            epoch,
            run: Some(run),
        };
        let path = format!("/v1/leases/{}/heartbeat", lease.0);
        self.post_json(&path, &request).await
    }

    /// Submits the answer to a job of this run.
    pub async fn submit(
        &self,
        miner: &MinerId,
        run: Digest,
        lease: LeaseId,
        row: &Row,
    ) -> Result<(), ClientError> {
        let miner = miner.clone();
        let row = serde_json::to_value(row)
            .map_err(|error| ClientError::Unavailable(error.to_string()))?;
        let run = Some(run);
        let path = format!("/v1/leases/{}/result", lease.0);
        self.post_json(&path, &ResultRequest { miner, row, run })
            .await
    }

    async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        max_bytes: usize,
    ) -> Result<T, ClientError> {
        read(self.call(Method::GET, path, Vec::new()).await?, max_bytes).await
    }

    async fn post_json(&self, path: &str, body: &impl Serialize) -> Result<(), ClientError> {
        self.post(path, body).await.map(drop)
    }

    async fn post(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<reqwest::Response, ClientError> {
        let body = serde_json::to_vec(body)
            .map_err(|error| ClientError::Unavailable(error.to_string()))?;
        self.call(Method::POST, path, body).await
    }

    /// Calls the genomaster that answered last.
    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<reqwest::Response, ClientError> {
        self.call_from(method, path, body, 0).await
    }

    /// Like [`Client::call`], for the response's bytes from `start` on.
    async fn call_from(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
        start: u64,
    ) -> Result<reqwest::Response, ClientError> {
        let which = self.leading();
        let at = &self.shared.genomasters[which];
        let answer = self.send(at, method, path, body, start).await;
        if answer.is_ok() {
            self.shared.credentials.alive.beat();
        }
        self.noted(which, answer)
    }

    /// Sends a call, signed if both sides have a hotkey.
    async fn send(
        &self,
        at: &Genomaster,
        method: Method,
        path: &str,
        body: Vec<u8>,
        start: u64,
    ) -> Result<reqwest::Response, ClientError> {
        let mut call = self.http.request(method.clone(), self.url(at, path));
        if self.shared.is_led_elsewhere {
            // Another address is tried next.
            call = call.timeout(ELSEWHERE_TIMEOUT);
        }
        let receiver = self.identity_of(at).await?.hotkey.as_deref();
        let hotkey = self.shared.credentials.hotkey.as_ref();
        if let (Some(receiver), Some(hotkey)) = (receiver, hotkey) {
            let path = format!("{}{path}", at.base);
            let message = SignedParts {
                method: method.as_str(),
                path: &path,
                body: &body,
            };
            let auth = Auth::sign(hotkey, message, Some(receiver), self.nonce());
            for (name, value) in auth.headers() {
                call = call.header(name, value);
            }
        }
        if start > 0 {
            call = call.header("Range", format!("bytes={start}-"));
        }
        call = match method {
            Method::POST => call.header("Content-Type", "application/json").body(body),
            Method::PUT => {
                let binary = "application/octet-stream";
                call.header("Content-Type", binary).body(body)
            }
            _ => call,
        };
        match checked(call).await {
            Err(ClientError::Refused(problem)) if hotkey.is_none() && problem.status == 401 => {
                let detail = "this genomaster accepts only signed requests: give --wallet.name and --wallet.hotkey; `miner keygen` makes a hotkey";
                Err(refused(ProblemKind::Unsigned, detail.to_owned()))
            }
            answer => answer,
        }
    }

    /// A unique nonce: the current time in nanoseconds or, if the clock stood still or went back,
    /// one more than the previous nonce. A genomaster accepts a nonce only once.
    fn nonce(&self) -> u64 {
        let now = clock::unix_nanos();
        let later = |last: u64| Some(now.max(last + 1));
        let last = self.shared.nonce.fetch_update(Relaxed, Relaxed, later);
        last.map_or(now, |last| now.max(last + 1))
    }
}
