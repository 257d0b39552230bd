//! Which run a miner works for next.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use naschain_consensus::MinerId;
use naschain_run::{AssignmentReply, AssignmentRequest, RunState, Wanted};

use crate::clock;
use crate::home::runs::RunStatus;
use crate::hosting::host::Host;
use crate::hosting::hosted_run::HostedRun;
use crate::journal::versions::are_compatible;

/// Least time between two looks for work of a miner that waits: each change of any run ends its wait,
/// and there may be many.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);
/// Most time between two looks: not every change is announced, such as that a miner may try again.
const MAX_INTERVAL: Duration = Duration::from_secs(2);

impl Host {
    /// Waits for a run that has what a miner wants, for `wait` at most.
    pub(super) async fn assign(
        &self,
        request: &AssignmentRequest,
        wait: Duration,
    ) -> AssignmentReply {
        let give_up = clock::now() + wait;
        let mut changes = match request.wanted {
            Wanted::Jobs => self.changes.subscribe(),
            Wanted::Questions => self.asked.subscribe(),
        };
        loop {
            changes.mark_unchanged();
            let found = match request.wanted {
                Wanted::Jobs => self.run_with_work(request).await,
                Wanted::Questions => self.run_with_questions(request).await,
            };
            if let Some(run) = found {
                return AssignmentReply::Run { run: run.id };
            }
            let now = clock::now();
            if now >= give_up {
                return AssignmentReply::Wait;
            }
            let until = give_up.min(now + MAX_INTERVAL);
            let _ = tokio::time::timeout_at(until.into(), changes.changed()).await;
            let rest = give_up.saturating_duration_since(clock::now());
            tokio::time::sleep(LOOK_INTERVAL.min(rest)).await;
        }
    }

    /// The oldest run with a question to a miner, whatever its state.
    async fn run_with_questions(&self, request: &AssignmentRequest) -> Option<Arc<HostedRun>> {
        let is_asked = |state: Option<&RunState>| {
            let board = state.map(RunState::board);
            board.is_some_and(|board| board.questions_of(&request.miner).next().is_some())
        };
        for run in self.open_runs() {
            let is_excepted = request.except.contains(&run.id);
            if !is_excepted && run.coordinator.try_with_state(is_asked).await {
                return Some(run);
            }
        }
        None
    }

    /// The oldest run with work for a miner of the user that has got least work.
    async fn run_with_work(&self, request: &AssignmentRequest) -> Option<Arc<HostedRun>> {
        let runs = self.open_runs();
        let may_work = |run: &&Arc<HostedRun>| {
            run.status() == RunStatus::Running
                && !self.has_used_up_hours(&run.owner)
                && are_compatible(&run.coordinator.spec().versions, &request.versions)
                && !request.except.contains(&run.id)
                && run
                    .access
                    .check_may_join(Some(request.miner.as_str()))
                    .is_ok()
        };
        let runs: Vec<&Arc<HostedRun>> = runs.iter().filter(may_work).collect();
        let mut users: Vec<String> = runs.iter().map(|run| run.owner.clone()).collect();
        users.sort();
        users.dedup();
        let users = {
            let shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
            shares.order(users)
        };
        for user in &users {
            for run in runs.iter().filter(|run| run.owner == *user) {
                let has_work = |state: Option<&RunState>| {
                    state.is_some_and(|state| has_work_for(state, &request.miner))
                };
                if run.coordinator.try_with_state(has_work).await {
                    return Some(Arc::clone(run));
                }
            }
        }
        None
    }
}

/// Whether a request for work would probably be granted, or has to be made so that the miner counts as
/// present.
fn has_work_for(state: &RunState, miner: &MinerId) -> bool {
    let board = state.board();
    if state.is_finished() {
        return false;
    }
    if board.has_joined(miner) {
        board.has_capacity(miner) && board.idle_reason(miner).is_none()
    } else {
        board.has_free_seats()
    }
}
