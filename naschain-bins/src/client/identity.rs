//! Who a genomaster is, and which of its runs a client calls.

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use naschain_core::Digest;
use naschain_identity::ss58;
use naschain_run::{AssignmentReply, AssignmentRequest, Identity, ProblemKind};
use serde::Deserialize;

use crate::client::error::refused;
use crate::client::genomaster::{Genomaster, shown};
use crate::client::response::{MAX_OBJECT_BYTES, MAX_PAGE_BYTES, checked, read};
use crate::client::{Client, ClientError, Connections, Credentials};
use crate::printable::printable;

/// Genomasters that others have named, at most.
const MAX_ELSEWHERE: usize = 64;
/// Runs of one genomaster that are listed, at most.
const MAX_LISTED: usize = 100_000;

/// A page of `GET /v1/runs`, as far as it is needed here.
#[derive(Deserialize)]
struct ListedRuns {
    runs: Vec<ListedRun>,
    next: Option<i64>,
}

#[derive(Deserialize)]
struct ListedRun {
    id: Digest,
}

impl Connections {
    /// Connections that try the genomaster with this URL first; `None` if it is no URL, or who
    /// `leading` is has not been asked.
    fn first_at(&self, url: &str, leading: usize) -> Option<Arc<Connections>> {
        let mut elsewhere = self
            .elsewhere
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = elsewhere.get(url) {
            return Some(known.clone());
        }
        let identity = self.genomasters[leading].identity.get()?;
        let first = Genomaster::at(url).ok()?;
        // Nobody is sent from https to http, or to other paths.
        let has_tls = |url: &str| url.starts_with("https:");
        let is_safe = has_tls(url) || !has_tls(&self.genomasters[leading].url);
        if !is_safe || !first.base.is_empty() {
            return None;
        }
        let mut genomasters = vec![first];
        genomasters.extend(self.genomasters.iter().cloned());
        let mut credentials = self.credentials.clone();
        credentials.genomaster.clone_from(&identity.hotkey);
        let connections = Arc::new(Connections {
            genomasters,
            leading: AtomicUsize::new(0),
            credentials,
            nonce: self.nonce.clone(),
            is_led_elsewhere: true,
            elsewhere: Mutex::default(),
        });
        // A genomaster could name any number.
        if elsewhere.len() == MAX_ELSEWHERE {
            elsewhere.pop_first();
        }
        elsewhere.insert(url.to_owned(), connections.clone());
        Some(connections)
    }
}

impl Client {
    /// The address of the genomaster that answered last, if it has one. The first answer of each
    /// genomaster is kept, so requests remain signed for that address: another server cannot take
    /// over.
    pub async fn genomaster(&self) -> Result<Option<&str>, ClientError> {
        Ok(self.identity().await?.hotkey.as_deref())
    }

    /// Whether the genomaster has many runs.
    pub(crate) async fn has_many_runs(&self) -> Result<bool, ClientError> {
        Ok(self.identity().await?.has_many_runs)
    }

    /// Asks a genomaster with many runs for one to work for.
    pub async fn assignment(
        &self,
        request: &AssignmentRequest,
    ) -> Result<AssignmentReply, ClientError> {
        let response = self.post("/v1/assignments", request).await?;
        read(response, MAX_OBJECT_BYTES).await
    }

    /// The public runs of a genomaster with many, the oldest first.
    pub(crate) async fn public_runs(&self) -> Result<Vec<Digest>, ClientError> {
        let (mut runs, mut before) = (Vec::new(), String::new());
        loop {
            let page: ListedRuns = self
                .get(&format!("/v1/runs?limit=100{before}"), MAX_PAGE_BYTES)
                .await?;
            runs.extend(page.runs.iter().map(|run| run.id));
            match page.next {
                // A genomaster could list without end.
                Some(next) if runs.len() < MAX_LISTED => before = format!("&before={next}"),
                _ => break,
            }
        }
        runs.reverse();
        Ok(runs)
    }

    /// A client of a genomaster with one run, or of the run that `url` names at one with many
    /// (`http://HOST/v1/runs/RUN`).
    pub(crate) fn at_run(url: &str, credentials: Credentials) -> anyhow::Result<Client> {
        let Some((base, run)) = url.split_once("/v1/runs/") else {
            return Client::with(url, credentials);
        };
        let run = run.trim_end_matches('/').parse();
        let run = run.with_context(|| format!("{} names no run", printable(url)))?;
        Ok(Client::with(base, credentials)?.of_run(run))
    }

    /// The same for one run of a genomaster with many.
    pub fn of_run(&self, run: Digest) -> Client {
        Client {
            run: Some(run),
            ..self.clone()
        }
    }

    /// The same for one run, first at the genomaster with the URL `at`, which must be of the same
    /// hotkey, and then at those of this client.
    pub fn of_run_at(&self, run: Digest, at: &str) -> Client {
        let shared = self.shared.first_at(at, self.leading());
        Client {
            shared: shared.unwrap_or_else(|| self.shared.clone()),
            ..self.of_run(run)
        }
    }

    /// The URL of a path of the run. The signature covers the path alone, as at a genomaster with one
    /// run.
    pub(super) fn url(&self, at: &Genomaster, path: &str) -> String {
        let within = path.strip_prefix("/v1/");
        match (self.run, within) {
            (Some(run), Some(within)) => format!("{}/v1/runs/{run}/{within}", at.url),
            _ => format!("{}{path}", at.url),
        }
    }

    async fn identity(&self) -> Result<&Identity, ClientError> {
        let which = self.leading();
        let identity = self.identity_of(&self.shared.genomasters[which]).await;
        self.noted(which, identity)
    }

    pub(super) async fn identity_of<'a>(
        &self,
        at: &'a Genomaster,
    ) -> Result<&'a Identity, ClientError> {
        at.identity.get_or_try_init(|| self.ask_identity(at)).await
    }

    async fn ask_identity(&self, at: &Genomaster) -> Result<Identity, ClientError> {
        let call = self.http.get(format!("{}/identity", at.url));
        let response = checked(call).await?;
        let identity: Identity = read(response, MAX_OBJECT_BYTES).await?;
        let hotkey = &identity.hotkey;
        if let Some(Err(error)) = hotkey.as_deref().map(ss58::decode) {
            let detail = format!(
                "the hotkey of the genomaster at {}: {error}",
                shown(&at.url)
            );
            let detail = printable(&detail).into_owned();
            return Err(refused(ProblemKind::OtherGenomaster, detail));
        }
        let wanted = &self.shared.credentials.genomaster;
        if wanted.is_some() && hotkey != wanted {
            let (found, wanted) = (hotkey.as_deref(), wanted.as_deref());
            let detail = format!(
                "the genomaster at {} is {}, not {}",
                shown(&at.url),
                found.unwrap_or("without a hotkey"),
                wanted.unwrap_or_default()
            );
            return Err(refused(ProblemKind::OtherGenomaster, detail));
        }
        Ok(identity)
    }
}
