//! Which run a miner works for next.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header;
use naschain_consensus::MinerId;
use naschain_run::{AssignmentReply, AssignmentRequest, RunState, Wanted};

use crate::clock;
use crate::home::runs::RunStatus;
use crate::hosting::cluster::Cluster;
use crate::hosting::host::Host;
use crate::hosting::hosted_run::HostedRun;
use crate::hosting::proxy::send;
use crate::journal::versions::are_compatible;

/// Least time between two looks for work of a miner that waits: each change of any run ends its wait,
/// and there may be many.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);
/// Most time between two looks: not every change is announced, such as that a miner may try again.
const MAX_INTERVAL: Duration = Duration::from_secs(2);

/// How long another genomaster is waited for.
const ASK_TIMEOUT: Duration = Duration::from_secs(2);
/// Size of a reply, at most.
const MAX_REPLY_BYTES: usize = 64 * 1024;

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
            if request.wanted == Wanted::Jobs {
                self.waiting.note(&request.miner);
            }
            changes.mark_unchanged();
            if let Some(found) = self.find(request, true).await {
                return found;
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

    /// A run that has what a miner wants, here or, where `elsewhere`, at another genomaster. Otherwise
    /// another one asks.
    pub(super) async fn find(
        &self,
        request: &AssignmentRequest,
        elsewhere: bool,
    ) -> Option<AssignmentReply> {
        match request.wanted {
            Wanted::Jobs => self.run_with_work(request, elsewhere).await,
            Wanted::Questions => match self.run_with_questions(request).await {
                Some(run) => Some(self.assigned(&run, elsewhere)),
                None if elsewhere => self.ask_all(request).await,
                None => None,
            },
        }
    }

    /// This run; the miner of another genomaster learns where it is.
    fn assigned(&self, run: &HostedRun, is_own_miner: bool) -> AssignmentReply {
        let cluster = self.cluster.as_ref().filter(|_| !is_own_miner);
        AssignmentReply::Run {
            run: run.id,
            genomaster: cluster.map(|cluster| cluster.address().to_owned()),
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
    async fn run_with_work(
        &self,
        request: &AssignmentRequest,
        elsewhere: bool,
    ) -> Option<AssignmentReply> {
        let runs = self.open_runs();
        let runs: Vec<&Arc<HostedRun>> = runs
            .iter()
            .filter(|run| self.may_work(request, run))
            .collect();
        let mut users: Vec<String> = runs.iter().map(|run| run.owner.clone()).collect();
        let cluster = self.cluster.as_ref().filter(|_| elsewhere);
        users.extend(cluster.into_iter().flat_map(Cluster::users_elsewhere));
        users.sort();
        users.dedup();
        let users = {
            let shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
            shares.order(users)
        };
        let mut asked = BTreeSet::new();
        for user in &users {
            for run in runs.iter().filter(|run| run.owner == *user) {
                let has_work = |state: Option<&RunState>| {
                    state.is_some_and(|state| has_work_for(state, &request.miner))
                };
                if run.coordinator.try_with_state(has_work).await {
                    return Some(self.assigned(run, elsewhere));
                }
            }
            let Some(cluster) = cluster else { continue };
            for leader in cluster.leaders_for(user) {
                if !asked.insert(leader.clone()) {
                    continue;
                }
                if let Some(found) = cluster.ask_for_work(&leader, request).await {
                    return Some(found);
                }
            }
        }
        None
    }

    /// Whether a miner may train a run.
    fn may_work(&self, request: &AssignmentRequest, run: &HostedRun) -> bool {
        run.status() == RunStatus::Running
            && !self.has_used_up_hours(&run.owner)
            && are_compatible(&run.coordinator.spec().versions, &request.versions)
            && !request.except.contains(&run.id)
            && run
                .access
                .check_may_join(Some(request.miner.as_str()))
                .is_ok()
    }

    /// Asks the other genomasters.
    async fn ask_all(&self, request: &AssignmentRequest) -> Option<AssignmentReply> {
        let cluster = self.cluster.as_ref()?;
        for id in cluster.others().into_keys() {
            if let Some(found) = cluster.ask_for_work(&id, request).await {
                return Some(found);
            }
        }
        None
    }
}

impl Cluster {
    /// The genomasters that lead runs of a user.
    fn leaders_for(&self, user: &str) -> BTreeSet<String> {
        let elsewhere = self.elsewhere.lock();
        let elsewhere = elsewhere.unwrap_or_else(PoisonError::into_inner);
        elsewhere.get(user).cloned().unwrap_or_default()
    }

    /// Asks another genomaster for a run with what a miner wants, unless it had none a moment ago.
    async fn ask_for_work(&self, id: &str, request: &AssignmentRequest) -> Option<AssignmentReply> {
        let address = self.address_of(id)?;
        let is_question = request.wanted == Wanted::Questions;
        let key = (id.to_owned(), request.miner.clone(), is_question);
        if !self.without_work.may_ask(&key) {
            return None;
        }
        let found = self.ask(&address, request).await;
        if found.is_none() {
            self.without_work.note(key);
        }
        found
    }

    async fn ask(&self, address: &str, request: &AssignmentRequest) -> Option<AssignmentReply> {
        let body = serde_json::to_vec(request).ok()?;
        let request = Request::post("/cluster/assignments")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body))
            .ok()?;
        let response = tokio::time::timeout(ASK_TIMEOUT, send(self, address, request)).await;
        let response = response.ok()?.ok()?;
        let body = axum::body::to_bytes(response.into_body(), MAX_REPLY_BYTES).await;
        let reply: AssignmentReply = serde_json::from_slice(&body.ok()?).ok()?;
        matches!(reply, AssignmentReply::Run { .. }).then_some(reply)
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
