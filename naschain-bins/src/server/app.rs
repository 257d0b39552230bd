//! State shared by the routes.

use std::sync::{Arc, Mutex};

use axum::extract::{FromRef, State};
use naschain_consensus::MinerId;

use crate::coordinator::Coordinator;
use crate::server::auth::Authenticator;
use crate::server::budget::ResponseBudget;
use crate::server::problem::Failure;
use naschain_run::HistoryChain;

/// The answer of a route.
pub(crate) type Reply<T> = Result<T, Failure>;

/// State shared by the routes.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) coordinator: Arc<Coordinator>,
    pub(crate) auth: Arc<Authenticator>,
    /// Kept between requests, so that a request hashes only the jobs that have ended since the
    /// last.
    pub(crate) chain: Arc<Mutex<HistoryChain>>,
    pub(crate) budget: ResponseBudget,
}

impl FromRef<App> for ResponseBudget {
    fn from_ref(app: &App) -> ResponseBudget {
        app.budget.clone()
    }
}

impl FromRef<App> for Arc<Coordinator> {
    fn from_ref(app: &App) -> Arc<Coordinator> {
        app.coordinator.clone()
    }
}

impl App {
    pub(crate) async fn has_joined(&self, miner: &MinerId) -> bool {
        let has_joined = |state: &naschain_run::RunState| state.board().has_joined(miner);
        self.coordinator.with_state(has_joined).await
    }
}

pub(crate) type Shared = State<Arc<Coordinator>>;
