//! Routes by which miners answer questions about their trainings and deliver files.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{StatusCode, Uri};
use axum::{Extension, Json};
use naschain_consensus::{MinerId, QuestionId};
use serde::Deserialize;

use crate::coordinator::received::FilePart;
use crate::server::app::{CoordinatorState, Reply};
use crate::server::auth::Caller;
use crate::server::problem::ErrorResponse;
use crate::server::requests::{Body, MAX_WAIT_MS, check_run};
use naschain_run::{
    ProblemKind, QuestionsReply, QuestionsRequest, ReceivedBytes, StatesRequest, question_in_path,
};

/// The query of `PUT` and `GET /v1/questions/{question}/file`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileQuery {
    /// The miner, where requests are not signed.
    miner: Option<MinerId>,
    #[serde(default)]
    offset: u64,
    #[serde(default)]
    size: u64,
}

type FileQueryResult = Result<Query<FileQuery>, QueryRejection>;

pub(super) async fn questions(
    State(coordinator): CoordinatorState,
    Extension(caller): Extension<Caller>,
    Body(request): Body<QuestionsRequest>,
) -> Reply<Json<QuestionsReply>> {
    caller.check_is(&request.miner)?;
    check_run(Some(request.run), &caller, coordinator.request_rules())?;
    coordinator.use_unjournaled(caller.proof).await?;
    let wait = Duration::from_millis(request.wait_ms.min(MAX_WAIT_MS));
    Ok(Json(coordinator.questions(&request.miner, wait).await?))
}

pub(super) async fn states(
    State(coordinator): CoordinatorState,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    Body(request): Body<StatesRequest>,
) -> Reply<StatusCode> {
    let question = question_id(&uri)?;
    caller.check_is(&request.miner)?;
    check_run(Some(request.run), &caller, coordinator.request_rules())?;
    let StatesRequest { miner, states, .. } = request;
    let testified = coordinator.testify(&miner, question, states, caller.proof);
    testified.await?;
    tracing::debug!("{miner} answers {question}");
    Ok(StatusCode::NO_CONTENT)
}

/// Receives a part of a file.
pub(super) async fn put_file(
    State(coordinator): CoordinatorState,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    query: FileQueryResult,
    bytes: Bytes,
) -> Reply<Json<ReceivedBytes>> {
    let (question, query) = (question_id(&uri)?, file_query(query)?);
    let miner = sender(&caller, query.miner)?;
    let part = FilePart {
        offset: query.offset,
        size: query.size,
        bytes: bytes.into(),
    };
    // In a task of its own: if the client hangs up, a part that was begun is still written whole.
    let received =
        tokio::spawn(async move { coordinator.receive(miner.as_ref(), question, part).await });
    let received = received
        .await
        .map_err(|_| ErrorResponse::new(ProblemKind::Closing, "the genomaster is shutting down"))?;
    Ok(Json(received?))
}

/// Tells how much of a file was received.
pub(super) async fn received(
    State(coordinator): CoordinatorState,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    query: FileQueryResult,
) -> Reply<Json<ReceivedBytes>> {
    let question = question_id(&uri)?;
    let miner = sender(&caller, file_query(query)?.miner)?;
    Ok(Json(coordinator.received(miner.as_ref(), question).await?))
}

/// The miner that sends a file: the signer or, where requests are not signed, the one in the query.
fn sender(caller: &Caller, named: Option<MinerId>) -> Reply<Option<MinerId>> {
    if let Some(named) = &named {
        caller.check_is(named)?;
    }
    Ok(caller.miner().or(named))
}

fn file_query(query: FileQueryResult) -> Reply<FileQuery> {
    let wrong =
        |error: QueryRejection| ErrorResponse::new(ProblemKind::BadQuery, error.body_text());
    Ok(query.map_err(wrong)?.0)
}

fn question_id(uri: &Uri) -> Reply<QuestionId> {
    question_in_path(uri.path()).ok_or_else(|| {
        let detail = format!(
            "{} names no question: its number must be plain decimal, as in /v1/questions/7/states",
            uri.path()
        );
        ErrorResponse::new(ProblemKind::BadPath, detail)
    })
}
