//! `GET /v1/miners`: the miners of a run, those with the most rewards first.

use std::cmp::Reverse;

use axum::Json;
use axum::extract::State;
use naschain_consensus::MinerId;
use naschain_run::{MinerCounts, RunState};
use serde::Serialize;

use crate::server::app::{App, Reply};

/// Most miners that are listed.
const MAX_LISTED: usize = 1_000;

#[derive(Serialize)]
pub(super) struct MinerView {
    miner: MinerId,
    owner: Option<MinerId>,
    here: bool,
    capacity: u32,
    /// Its rank by weight, from 1.
    place: usize,
    jobs: u64,
    agreed: u64,
    rejected: u64,
    failed: u64,
    expired: u64,
    running: usize,
    pace_flops_per_second: Option<f64>,
    /// Rewarded answers since the last one that was not.
    agreed_in_a_row: u64,
    /// Whether it may train alone; `None` where all are checked.
    trusted: Option<bool>,
    /// Its share of the rewards of this run.
    weight: Option<f64>,
    device: Option<String>,
}

pub(super) async fn miners(State(app): State<App>) -> Reply<Json<Vec<MinerView>>> {
    let mut miners = app.coordinator.read_in_turn(listed).await?;
    let trust = app.coordinator.spec().rules.trust;
    let trusted_after = trust.map(|trust| u64::from(trust.after_valid));
    let names: Vec<MinerId> = miners.iter().map(|miner| miner.miner.clone()).collect();
    let counts = app.recording.read(&app.coordinator, |kept| {
        let counts = |miner: &MinerId| kept.record.counts(miner).unwrap_or_default();
        names.iter().map(counts).collect::<Vec<MinerCounts>>()
    });
    for (miner, counts) in miners.iter_mut().zip(counts.await?) {
        (miner.jobs, miner.agreed) = (counts.begun, counts.agreed);
        (miner.rejected, miner.failed) = (counts.rejected, counts.failed);
        miner.expired = counts.expired;
        // Of judged jobs only: what the board thinks of a miner may tell of an answer to an open job.
        miner.agreed_in_a_row = counts.agreed_in_a_row;
        miner.trusted = trusted_after.map(|after| counts.agreed_in_a_row >= after);
        miner.device = app.programs.device(&miner.miner);
    }
    Ok(Json(miners))
}

/// The miners of the board by their points; of equal ones, those that joined first.
fn listed(state: &RunState) -> Vec<MinerView> {
    let rewards = state.scores().rewards();
    let mut profiles = state.board().profiles();
    profiles.sort_by_key(|profile| Reverse(state.scores().tally(profile.name).points));
    let view = |(at, profile): (usize, naschain_consensus::MinerProfile<'_>)| MinerView {
        miner: profile.name.clone(),
        owner: profile.owner.cloned(),
        here: profile.is_present,
        capacity: profile.capacity,
        place: at + 1,
        jobs: 0,
        agreed: 0,
        rejected: 0,
        failed: 0,
        expired: 0,
        running: profile.leases,
        pace_flops_per_second: profile.flops_per_second,
        agreed_in_a_row: 0,
        trusted: None,
        weight: rewards.get(profile.name).map(|share| f64::from(*share)),
        device: None,
    };
    let profiles = profiles.into_iter().enumerate().take(MAX_LISTED);
    profiles.map(view).collect()
}
