//! `GET /v1/leases`: who trains now, and when each was heard of last.

use axum::Json;
use axum::extract::State;
use naschain_consensus::{JobId, MinerId};
use naschain_run::RunState;
use serde::Serialize;

use crate::server::app::{App, Reply};

/// Most leases that are listed, the oldest first.
const MAX_LISTED: usize = 1_000;

#[derive(Serialize)]
pub(super) struct LeaseView {
    job: JobId,
    /// From 0.
    seat: usize,
    miner: MinerId,
    /// Milliseconds since its latest heartbeat, or since the lease was granted.
    silent_ms: u64,
    /// A lease expires after this many milliseconds without a heartbeat, or later.
    lease_ms: u64,
}

pub(super) async fn leases(State(app): State<App>) -> Reply<Json<Vec<LeaseView>>> {
    Ok(Json(app.coordinator.read_in_turn(listed).await?))
}

fn listed(state: &RunState) -> Vec<LeaseView> {
    let board = state.board();
    let view = |(lease, miner, job): (_, &MinerId, JobId)| {
        let (_, seat) = board.seat_of(lease)?;
        let (_, _, renewed) = board.last_heartbeat(lease)?;
        Some(LeaseView {
            job,
            seat,
            miner: miner.clone(),
            silent_ms: board.now().since(renewed),
            lease_ms: board.rules().lease_ms,
        })
    };
    board.leases().filter_map(view).take(MAX_LISTED).collect()
}
