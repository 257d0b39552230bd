//! `GET /v1/record`: everything that has happened in a run, as columns, with the place in the event
//! stream from which to go on; and the trainings of a time.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use naschain_consensus::{JobId, MinerId};
use naschain_run::{ProblemKind, RunState, SeatFilter};
use serde::Deserialize;

use crate::artifacts::run_facts::{RecordDocument, RunFacts};
use crate::clock;
use crate::coordinator::activity::RunActivity;
use crate::server::app::{App, Reply};
use crate::server::problem::ErrorResponse;
use crate::server::recording::{Kept, RecordResponse};
use crate::server::views::replies::closing;
use crate::web::compression::{accepts_gzip, compressed, decompressed, decompressed_len};

/// A response may be as old as this: the events since follow from its cursor.
const MAX_AGE: Duration = Duration::from_secs(2);

pub(super) async fn record(State(app): State<App>, headers: HeaderMap) -> Reply<Response> {
    let facts = facts(&app).await?;
    let compressed = app.recording.read(&app.coordinator, |kept| {
        if let Some(response) = &kept.response
            && response.facts == facts
            && (response.last == kept.last || response.made.elapsed() < MAX_AGE)
        {
            return response.bytes.clone();
        }
        let plain = document(kept, facts.clone());
        // Quickly rather than well: columns of numbers are small enough.
        let bytes = Bytes::from(compressed(&plain, Compression::fast()));
        kept.response = Some(RecordResponse {
            last: kept.last,
            made: clock::now(),
            facts,
            bytes: bytes.clone(),
        });
        bytes
    });
    let compressed = compressed.await?;
    let json = (header::CONTENT_TYPE, "application/json");
    let vary = (header::VARY, "accept-encoding");
    if accepts_gzip(&headers) {
        let share = app.budget.share(compressed.len()).await?;
        let gzip = (header::CONTENT_ENCODING, "gzip");
        return Ok(([json, vary, gzip], share.hold(compressed.to_vec())).into_response());
    }
    let share = app.budget.share(decompressed_len(&compressed)).await?;
    let plain = tokio::task::spawn_blocking(move || decompressed(&compressed)).await;
    let plain = plain.map_err(|_| closing())?;
    Ok(([json, vary], share.hold(plain)).into_response())
}

/// What does not change from event to event.
async fn facts(app: &App) -> Reply<RunFacts> {
    let read = |state: &RunState| {
        let generations = state.search().config().generations;
        (state.max_jobs(), generations, state.is_finished())
    };
    let (networks, generations, is_finished) = app.coordinator.read_in_turn(read).await?;
    let mut facts = RunFacts::new(app.coordinator.spec(), &app.title(), networks, true);
    // The search may have been extended.
    facts.generations = generations;
    facts.guessing_limit = app.guessing_limit();
    let limit = app.served.as_ref().and_then(|served| served.time_limit);
    facts.time_limit_ms = limit.and_then(|limit| u64::try_from(limit.as_millis()).ok());
    facts.was_stopped = !is_finished && app.coordinator.activity() == RunActivity::Ended;
    Ok(facts)
}

fn document(kept: &Kept, facts: RunFacts) -> Vec<u8> {
    let document = RecordDocument {
        cursor: kept.last.to_string(),
        facts,
        columns: kept.record.columns(),
    };
    serde_json::to_vec(&document).unwrap_or_default()
}

/// Which trainings are wanted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SeatQuery {
    #[serde(default)]
    from_ms: u64,
    #[serde(default = "forever")]
    to_ms: u64,
    job: Option<u64>,
    miner: Option<MinerId>,
}

fn forever() -> u64 {
    u64::MAX
}

pub(super) async fn seats(
    State(app): State<App>,
    query: Result<Query<SeatQuery>, QueryRejection>,
) -> Reply<Response> {
    let wrong =
        |error: QueryRejection| ErrorResponse::new(ProblemKind::BadQuery, error.body_text());
    let Query(query) = query.map_err(wrong)?;
    let filter = SeatFilter {
        from_ms: query.from_ms,
        to_ms: query.to_ms,
        job: query.job.map(JobId),
        miner: query.miner,
    };
    let read = |kept: &mut Kept| serde_json::to_vec(&kept.record.seats(&filter));
    let bytes = app.recording.read(&app.coordinator, read).await?;
    let bytes = bytes.unwrap_or_default();
    let share = app.budget.share(bytes.len()).await?;
    let json = [(header::CONTENT_TYPE, "application/json")];
    Ok((json, share.hold(bytes)).into_response())
}
