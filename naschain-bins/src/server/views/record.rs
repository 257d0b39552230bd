//! `GET /v1/record`: everything that has happened in a run, as columns, with the place in the event
//! stream from which to go on; and the trainings of a time.

use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use naschain_consensus::{JobId, MinerId};
use naschain_run::{ProblemKind, SeatFilter};
use serde::Deserialize;

use crate::artifacts::run_facts::{RecordDocument, RunFacts};
use crate::server::app::{App, Reply};
use crate::server::problem::ErrorResponse;
use crate::server::recording::Kept;
use crate::web::compression::{accepts_gzip, compressed, decompressed};

pub(super) async fn record(State(app): State<App>, headers: HeaderMap) -> Reply<Response> {
    let (networks, generations) = app
        .coordinator
        .read_in_turn(|state| (state.max_jobs(), state.search().config().generations))
        .await?;
    let title = app.title();
    let mut facts = RunFacts::new(app.coordinator.spec(), &title, networks, true);
    // The search may have been extended.
    facts.generations = generations;
    let compressed = app.recording.read(&app.coordinator, |kept| {
        if let Some((last, response)) = &kept.response
            && *last == kept.last
        {
            return response.clone();
        }
        // Quickly rather than well: columns of numbers are small enough.
        let response = Bytes::from(compressed(&document(kept, facts), Compression::fast()));
        kept.response = Some((kept.last, response.clone()));
        response
    });
    let compressed = compressed.await?;
    let share = app.budget.share(compressed.len()).await?;
    let json = (header::CONTENT_TYPE, "application/json");
    if accepts_gzip(&headers) {
        let gzip = (header::CONTENT_ENCODING, "gzip");
        return Ok(([json, gzip], share.hold(compressed.to_vec())).into_response());
    }
    Ok(([json], decompressed(&compressed)).into_response())
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
