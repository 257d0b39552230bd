//! The genomaster as a miner or a validator sees it over HTTP.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use naschain_consensus::{LeaseId, MinerId, Row};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::api::{
    Batches, FrontEntry, HeartbeatRequest, JobReply, JobRequest, JoinRequest, JournalPage, Problem,
    ResultRequest,
};
use crate::run_spec::RunSpec;

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

/// Calls to one genomaster.
#[derive(Clone, Debug)]
pub struct Client {
    /// Genomasters of one run, of which one leads.
    urls: Arc<[String]>,
    /// Which of them answered last.
    leading: Arc<AtomicUsize>,
    http: reqwest::Client,
}

impl Client {
    /// A client of the genomaster at `url`, such as `http://127.0.0.1:5000`, or of several with
    /// commas between them, which share a run: the one that leads is found by trying.
    pub fn new(url: &str) -> anyhow::Result<Client> {
        for url in url.split(',') {
            let parsed = reqwest::Url::parse(url);
            if !parsed.is_ok_and(|parsed| parsed.scheme() == "http" && parsed.has_host()) {
                anyhow::bail!(
                    "{url:?} is not the address of a genomaster, such as http://127.0.0.1:5000"
                );
            }
        }
        let urls = url
            .split(',')
            .map(|url| url.trim_end_matches('/').to_owned());
        Ok(Client {
            urls: urls.collect(),
            leading: Arc::default(),
            http: reqwest::Client::builder()
                .connect_timeout(Duration::from_secs(5))
                // Longer than the longest wait for work.
                .timeout(Duration::from_secs(60))
                .build()?,
        })
    }

    /// What the run is.
    pub async fn run(&self) -> Result<RunSpec, ClientError> {
        self.get("/v1/run").await
    }

    /// Takes part.
    pub async fn join(&self, miner: &MinerId) -> Result<(), ClientError> {
        self.join_with(miner, None).await
    }

    /// Takes part with so many jobs at once; without a number, with as many as before, or one.
    pub async fn join_with(&self, miner: &MinerId, jobs: Option<u32>) -> Result<(), ClientError> {
        let miner = miner.clone();
        self.tell("/v1/join", &JoinRequest { miner, jobs }).await
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

    /// Answers.
    pub async fn submit(
        &self,
        miner: &MinerId,
        lease: LeaseId,
        row: &Row,
    ) -> Result<(), ClientError> {
        let miner = miner.clone();
        let row =
            serde_json::to_value(row).map_err(|error| ClientError::Away(error.to_string()))?;
        let path = format!("/v1/leases/{}/result", lease.0);
        self.tell(&path, &ResultRequest { miner, row }).await
    }

    /// The batches that have ended, from number `after` on.
    pub async fn batches(&self, after: usize) -> Result<Batches, ClientError> {
        self.get(&format!("/v1/batches?after={after}")).await
    }

    /// The Pareto front so far.
    pub async fn front(&self) -> Result<Vec<FrontEntry>, ClientError> {
        self.get("/v1/front").await
    }

    /// The entries of the journal after number `after` that are public.
    pub async fn journal(&self, after: u64) -> Result<JournalPage, ClientError> {
        self.get(&format!("/v1/journal?after={after}")).await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        let (url, which) = self.url(path);
        let answer = checked(self.http.get(url)).await;
        read(self.noted(which, answer)?).await
    }

    /// The address of a path at the genomaster that answered last, and which one that is.
    fn url(&self, path: &str) -> (String, usize) {
        let which = self.leading.load(Relaxed) % self.urls.len();
        (format!("{}{path}", self.urls[which]), which)
    }

    /// Turns to the next genomaster if this one is away.
    fn noted<T>(&self, which: usize, answer: Result<T, ClientError>) -> Result<T, ClientError> {
        if matches!(answer, Err(ClientError::Away(_))) {
            let next = (which + 1) % self.urls.len();
            // Another call may have turned already.
            let _ = self.leading.compare_exchange(which, next, Relaxed, Relaxed);
        }
        answer
    }

    async fn tell(&self, path: &str, body: &impl Serialize) -> Result<(), ClientError> {
        self.post(path, body).await.map(drop)
    }

    async fn post(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<reqwest::Response, ClientError> {
        let (url, which) = self.url(path);
        let answer = checked(self.http.post(url).json(body)).await;
        self.noted(which, answer)
    }
}

async fn checked(call: reqwest::RequestBuilder) -> Result<reqwest::Response, ClientError> {
    let response = call.send().await.map_err(away)?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let text = response.text().await.unwrap_or_default();
    match serde_json::from_str::<Problem>(&text) {
        Ok(problem) if status.is_client_error() => Err(ClientError::Refused(problem)),
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
