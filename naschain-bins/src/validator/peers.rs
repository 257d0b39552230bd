//! Exchange of signed heads with other validators: a genomaster that shows them different histories
//! is found out.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use naschain_core::Digest;
use naschain_run::SignedHead;
use serde::{Deserialize, Serialize};

use crate::printable::printable;
use crate::server::listen::{Listening, bind, serve};
use crate::validator::observed_run::MAX_HEADS;

/// Maximum number of simultaneous connections of peers.
const MAX_CONNECTIONS: usize = 64;
/// Timeout of a request to a peer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum size of a peer's answer; a head has about 400 bytes.
const MAX_ANSWER_BYTES: usize = 1024 * MAX_HEADS;
const PATH: &str = "/v1/heads";

/// The answer to `GET /v1/heads`.
#[derive(Debug, Serialize, Deserialize)]
struct Heads {
    heads: Vec<SignedHead>,
}

/// The heads that peers are shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct ShownHeads(Arc<Mutex<Vec<SignedHead>>>);

/// Heads that peers are shown, at most: those of many runs together.
const MAX_SHOWN: usize = 4_096;

impl ShownHeads {
    /// Replaces the heads of a run; where there are too many, those that were set first go.
    pub(crate) fn set(&self, run: Digest, heads: &[SignedHead]) {
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shown.retain(|head| head.run != run);
        shown.extend_from_slice(heads);
        let excess = shown.len().saturating_sub(MAX_SHOWN);
        shown.drain(..excess);
    }

    /// Answers peers at this address until the program ends.
    pub(crate) async fn listen(&self, address: &str) -> Result<()> {
        let listener = bind(address).await?;
        let url = format!("http://{}", listener.local_addr()?);
        tracing::info!("signed heads for other validators at {url}{PATH}");
        let router = Router::new()
            .route(PATH, get(shown))
            .with_state(self.clone());
        let listening = Listening {
            tls: None,
            max_connections: MAX_CONNECTIONS,
            behind_proxy: false,
        };
        tokio::spawn(serve(listener, router, listening, std::future::pending()));
        Ok(())
    }
}

async fn shown(State(heads): State<ShownHeads>) -> Json<Heads> {
    let heads = heads.0.lock().unwrap_or_else(PoisonError::into_inner);
    Json(Heads {
        heads: heads.clone(),
    })
}

/// Another validator.
#[derive(Debug)]
pub(crate) struct Peer {
    url: String,
    http: reqwest::Client,
    /// Whether the last request failed: a warning is logged once, not every two seconds.
    failed: bool,
}

impl Peer {
    /// A validator at this URL.
    pub(crate) fn new(url: &str) -> Result<Peer> {
        let parsed = reqwest::Url::parse(url).ok();
        ensure!(
            parsed.is_some_and(|u| ["http", "https"].contains(&u.scheme()) && u.has_host()),
            "--peer: {url:?} is not the address of a validator, such as http://192.0.2.1:5001"
        );
        let http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Peer {
            url: url.trim_end_matches('/').to_owned(),
            http,
            failed: false,
        })
    }

    /// The heads that this validator was shown; none if it cannot be reached, which is logged. They
    /// are not verified.
    pub(crate) async fn heads(&mut self) -> Vec<SignedHead> {
        match self.fetch().await {
            Ok(heads) => {
                self.failed = false;
                heads
            }
            Err(error) => {
                if !self.failed {
                    let error = format!("{error:#}");
                    tracing::warn!("validator {}: {}", self.url, printable(&error));
                }
                self.failed = true;
                Vec::new()
            }
        }
    }

    async fn fetch(&self) -> Result<Vec<SignedHead>> {
        let mut answer = self.http.get(format!("{}{PATH}", self.url)).send().await?;
        if !answer.status().is_success() {
            bail!("HTTP {}", answer.status());
        }
        let mut body = Vec::new();
        while let Some(part) = answer.chunk().await? {
            ensure!(
                body.len() + part.len() <= MAX_ANSWER_BYTES,
                "its answer is longer than {MAX_ANSWER_BYTES} bytes"
            );
            body.extend_from_slice(&part);
        }
        let Heads { mut heads } = serde_json::from_slice(&body).context("not a list of heads")?;
        // Each one costs the verification of a signature.
        heads.truncate(MAX_HEADS);
        Ok(heads)
    }
}
