//! The three endpoints of the reference network, for its Python miner and validator.
//!
//! A miner there is an integer uid, `uid-N` here. It sends no heartbeats, so its lease lasts until
//! it answers, requests work again, or reaches the maximum duration of a job (the rule
//! `silent_uids`). Before that, the watchdog also gives a straggler's work to another miner. Answers
//! have no training digest.

pub(crate) mod credentials;
mod measured;
pub(crate) mod message;
pub(crate) mod reports;
pub(crate) mod suitability;
pub(crate) mod values;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::stream::unfold;
use naschain_consensus::{Event, JobId, LeaseId, MinerId, Rejected, Row, check_costs};
use naschain_core::{Genome, SearchSpace};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::coordinator::Coordinator;
use crate::coordinator::call_error::CallError;
use crate::server::auth::Authenticator;
use crate::server::budget::ResponseBudget;
use crate::server::legacy::credentials::LegacyCredentials;
use crate::server::legacy::measured::{Measured, PART_BYTES};
use crate::server::legacy::message::Message;
use crate::server::legacy::reports::{Reports, SelfReport};
use naschain_run::{Job, JobReply, JoinRequest};

/// Maximum length of a genome's text: 32 nodes in 10 phases, with separators.
const MAX_GENOME_CHARACTERS: usize = 8192;

/// Settings of the endpoints.
pub struct Legacy {
    /// The tokens of the uids; if `None`, uids are not authenticated.
    pub credentials: Option<LegacyCredentials>,
    /// Decides who may join.
    pub auth: Arc<Authenticator>,
    /// Uids are below this number. The reference network's validators read a uid as an index,
    /// and one far beyond the size of their subnet makes them ignore all other miners.
    pub uids: u32,
    /// Where power, GPU and version are kept.
    pub reports: Option<Reports>,
}

struct LegacyApp {
    coordinator: Arc<Coordinator>,
    legacy: Legacy,
    budget: ResponseBudget,
    /// Each miner's last answer. These miners repeat a submission whose response was lost, and the
    /// repetition has to be acknowledged although its lease has ended.
    answered: Mutex<BTreeMap<u32, (Genome, Row)>>,
    /// Held while waiting for the state, so it is an asynchronous lock.
    measured: tokio::sync::Mutex<Measured>,
}

/// The routes of the reference network's programs.
#[derive(Default)]
pub(crate) struct Routes {
    pub(crate) miners: Router,
    /// With large responses.
    pub(crate) validators: Router,
}

/// The routes. In runs of earlier versions, without the rule `silent_uids`, it starts the task that
/// sends heartbeats for these miners, which send none.
pub(crate) fn routes(
    coordinator: Arc<Coordinator>,
    legacy: Legacy,
    budget: ResponseBudget,
) -> Routes {
    if !coordinator.spec().rules.silent_uids {
        tokio::spawn(keep_leases(Arc::downgrade(&coordinator)));
    }
    let measured = Measured::new(legacy.uids);
    let app = Arc::new(LegacyApp {
        coordinator,
        legacy,
        budget,
        answered: Mutex::default(),
        measured: tokio::sync::Mutex::new(measured),
    });
    let miners = Router::new()
        .route("/request_job", post(request_job))
        .route("/finish_job", post(finish_job))
        .with_state(app.clone());
    let validators = Router::new()
        .route("/handle_valid_request", get(handle_valid_request))
        .with_state(app);
    Routes { miners, validators }
}

type LegacyReply<T> = Result<T, Message>;

#[derive(Deserialize)]
struct JobQuery {
    user_name: u32,
}

/// The body of an answer, as an error describes it.
const ANSWER_FORM: &str = r#"{"user_name": UID, "genome_string": BITS, "response_values": [ACCURACY, MILLION_PARAMETERS, MFLOPS]}"#;

#[derive(Deserialize)]
struct LegacyAnswer {
    user_name: u32,
    genome_string: String,
    response_values: Value,
}

/// Takes the body as text: errors of axum's JSON extractor would not have the form of [`Message`].
async fn request_job(
    State(app): State<Arc<LegacyApp>>,
    headers: HeaderMap,
    body: String,
) -> LegacyReply<Json<Value>> {
    let JobQuery { user_name } = read(&body, r#"{"user_name": UID}"#)?;
    app.authenticate(user_name, &headers)?;
    let miner = MinerId::from_uid(user_name);
    match app.ask(&miner).await? {
        JobReply::Job(job) => {
            tracing::debug!("{miner} takes {} under {}", job.job, job.lease);
            Ok(Json(app.job(&job)))
        }
        JobReply::Wait => Err(no_job("there is no job now")),
        JobReply::Finished => Err(no_job("the run is finished")),
    }
}

async fn finish_job(
    State(app): State<Arc<LegacyApp>>,
    headers: HeaderMap,
    body: String,
) -> LegacyReply<Json<Value>> {
    let answer: LegacyAnswer = read(&body, ANSWER_FORM)?;
    let user_name = answer.user_name;
    app.authenticate(user_name, &headers)?;
    if answer.genome_string.len() > MAX_GENOME_CHARACTERS {
        let (length, limit) = (answer.genome_string.len(), MAX_GENOME_CHARACTERS);
        return Err(wrong(format!(
            "genome_string has {length} characters; the maximum is {limit}"
        )));
    }
    let genome: Genome = answer
        .genome_string
        .parse()
        .map_err(|error: naschain_core::Error| wrong(format!("genome_string: {error}")))?;
    let space = &app.coordinator.spec().space;
    let row = values::row(&answer.response_values, space, &genome);
    let reply = app.acknowledgement(&genome, &row);
    let Some((lease, job)) = app.lease(user_name, &genome).await else {
        app.check_repetition(user_name, &genome, &row)?;
        return reply;
    };
    let miner = MinerId::from_uid(user_name);
    let submit = app.coordinator.submit(&miner, lease, row.clone(), None);
    if submit.await? {
        tracing::debug!("{miner} answers under {lease}");
    }
    app.note_answer(user_name, genome, row);
    if let Some(reports) = &app.legacy.reports {
        let report = SelfReport::read(&answer.response_values);
        reports.keep((lease, job), user_name, report).await;
    }
    reply
}

/// Returns the measurements of all jobs that have ended, rewarded or not, one object each. Miners
/// without a uid below the limit and answers without numbers are omitted, because the reference
/// network's validator cannot read them.
async fn handle_valid_request(State(app): State<Arc<LegacyApp>>) -> LegacyReply<Response> {
    // For the one part that readers do not share.
    let share = app.budget.share(2 * PART_BYTES).await?;
    let mut measured = app.measured.lock().await;
    measured.follow(&app.coordinator).await?;
    let Some((end, last)) = measured.end() else {
        return Err(no_job("no job has ended yet"));
    };
    drop(measured);
    let last = share.hold(last);
    let stream = unfold((app, 0, Some(last)), move |(app, at, last)| async move {
        if at < end {
            let part = app.measured.lock().await.part(at)?;
            return Some((Ok::<Bytes, Infallible>(part), (app, at + 1, last)));
        }
        Some((Ok(last?), (app, at, None)))
    });
    let body = Body::from_stream(stream);
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

impl LegacyApp {
    fn authenticate(&self, uid: u32, headers: &HeaderMap) -> LegacyReply<()> {
        let uids = self.legacy.uids;
        if uid >= uids {
            return Err(Message(
                StatusCode::UNPROCESSABLE_ENTITY,
                format!(
                    "user_name is {uid}; it must be a uid from 0 to {}",
                    uids - 1
                ),
            ));
        }
        let Some(credentials) = &self.legacy.credentials else {
            return Ok(());
        };
        let header = headers.get(header::AUTHORIZATION);
        if header.is_some_and(|header| credentials.allow(uid, header.as_bytes())) {
            Ok(())
        } else {
            Err(Message(
                StatusCode::UNAUTHORIZED,
                format!(
                    "user {uid} must send its HTTP Basic credentials, as in --genomaster.ip http://{uid}:TOKEN@HOST"
                ),
            ))
        }
    }

    /// Requests work for a miner, which joins first if it is new: this protocol has no request to
    /// join. Does not wait for work, because these miners poll.
    async fn ask(&self, miner: &MinerId) -> LegacyReply<JobReply> {
        self.legacy.auth.owner(miner)?;
        let ask = || self.coordinator.request(miner, Duration::ZERO, None);
        match ask().await {
            Err(CallError::Rejected(Rejected::UnknownMiner { .. })) => {
                let request = JoinRequest {
                    miner: miner.clone(),
                    name: None,
                    jobs: None,
                    run: None,
                };
                let event = self.legacy.auth.join_event(&request)?;
                self.coordinator.handle(event, None).await?;
                tracing::info!("{miner} has joined");
                Ok(ask().await?)
            }
            other => Ok(other?),
        }
    }

    fn job(&self, job: &Job) -> Value {
        let spec = self.coordinator.spec();
        // The macro space has no number of layers, but these clients read one.
        let layers = match &spec.space {
            SearchSpace::Micro(space) => space.layers,
            _ => 15,
        };
        json!({
            "Genome": values::genome(&spec.space, &job.genome),
            "Genome_String": values::bits(&job.genome),
            "config": {
                "search_space": spec.space.name(),
                "init_channels": spec.space.init_channels(),
                "layers": layers,
                "cutout": spec.recipe.augmentation.cutout > 0,
                "epochs": spec.recipe.epochs,
            },
        })
    }

    /// The lease under which this user trains this genome, and its job; these miners do not send a
    /// lease number.
    async fn lease(&self, uid: u32, genome: &Genome) -> Option<(LeaseId, JobId)> {
        let miner = MinerId::from_uid(uid);
        let found = self.coordinator.with_state(|state| {
            let mut leases = state.leases_of(&miner);
            leases.find(|(_, job)| state.genome(*job) == Some(genome))
        });
        found.await
    }

    /// The reply to an answer that counts. Costs other than the network's make it malformed, as they
    /// do where it is counted.
    fn acknowledgement(&self, genome: &Genome, row: &Row) -> LegacyReply<Json<Value>> {
        let spec = self.coordinator.spec();
        let costs = spec.costs_of(genome).filter(|_| spec.checks_costs);
        let checked = costs.map(|costs| check_costs(row.clone(), &costs));
        match checked.as_ref().unwrap_or(row) {
            Row::Malformed(problem) => Err(wrong(format!(
                "the answer was counted as malformed: {problem}"
            ))),
            _ => Ok(Json(json!({ "message": "the answer was counted" }))),
        }
    }

    fn note_answer(&self, uid: u32, genome: Genome, row: Row) {
        let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        answered.insert(uid, (genome, row));
    }

    /// An answer of a user without a lease may only be the same as its last one.
    fn check_repetition(&self, uid: u32, genome: &Genome, row: &Row) -> LegacyReply<()> {
        let answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        let detail = match answered.get(&uid) {
            Some((last, first)) if last == genome && first == row => return Ok(()),
            Some((last, _)) if last == genome => format!(
                "user {uid} has given another answer for this genome; the first answer counts and cannot be changed"
            ),
            _ => format!("user {uid} holds no lease for this genome; it may have expired"),
        };
        Err(Message(StatusCode::CONFLICT, detail))
    }
}

/// Sends heartbeats for miners of the reference network, until the coordinator is dropped.
async fn keep_leases(coordinator: Weak<Coordinator>) {
    loop {
        // Only a weak reference between rounds, so that this task does not keep the coordinator
        // alive.
        let pause = {
            let Some(coordinator) = coordinator.upgrade() else {
                return;
            };
            let leases: Vec<(LeaseId, MinerId)> = coordinator
                .with_state(|state| {
                    let all = state.board().leases();
                    let theirs = all.filter(|(_, miner, _)| miner.uid().is_some());
                    theirs
                        .map(|(lease, miner, _)| (lease, miner.clone()))
                        .collect()
                })
                .await;
            for (lease, miner) in leases {
                // These miners report no progress.
                let epoch = 0;
                let alive = Event::Heartbeat {
                    miner,
                    lease,
                    epoch,
                };
                // After an error nothing has to be done: the lease has ended, or this genomaster
                // does not lead.
                let _ = coordinator.handle(alive, None).await;
            }
            // Three heartbeats per lease, as other miners send.
            Duration::from_millis((coordinator.spec().rules.lease_ms / 3).max(100))
        };
        tokio::time::sleep(pause).await;
    }
}

/// Parses a body; `form` describes the right one in the error.
fn read<T: serde::de::DeserializeOwned>(body: &str, form: &str) -> LegacyReply<T> {
    serde_json::from_str(body).map_err(|error| {
        Message(
            StatusCode::BAD_REQUEST,
            format!("the body must be JSON such as {form}: {error}"),
        )
    })
}

fn wrong(detail: String) -> Message {
    Message(StatusCode::UNPROCESSABLE_ENTITY, detail)
}

fn no_job(reason: &str) -> Message {
    Message(StatusCode::SERVICE_UNAVAILABLE, reason.to_owned())
}
