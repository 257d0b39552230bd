//! State shared by the routes.

use std::sync::Arc;

use axum::extract::{FromRef, State};
use naschain_consensus::MinerId;
use tokio::sync::Mutex;

use crate::artifacts::results::limit_of_guessing;
use crate::coordinator::Coordinator;
use crate::server::auth::Authenticator;
use crate::server::budget::ResponseBudget;
use crate::server::miner_programs::MinerPrograms;
use crate::server::problem::ErrorResponse;
use crate::server::recording::Recording;
use crate::server::served_run::ServedRun;
use crate::server::work_account::WorkAccount;
use naschain_run::HistoryChain;

/// The answer of a route.
pub(crate) type Reply<T> = Result<T, ErrorResponse>;

/// State shared by the routes.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) coordinator: Arc<Coordinator>,
    pub(crate) auth: Arc<Authenticator>,
    /// Whose work the jobs are, at a genomaster with many runs.
    pub(crate) account: Option<Arc<WorkAccount>>,
    /// Kept between requests, so that a request hashes only the jobs that have ended since the
    /// last. Held while waiting for the state, so it is an asynchronous lock.
    pub(crate) chain: Arc<Mutex<HistoryChain>>,
    pub(crate) budget: ResponseBudget,
    pub(crate) recording: Arc<Recording>,
    pub(crate) programs: Arc<MinerPrograms>,
    /// Missing in tests, and where nobody looks.
    pub(crate) served: Option<Arc<ServedRun>>,
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
    pub(crate) fn new(coordinator: Arc<Coordinator>, auth: Arc<Authenticator>) -> App {
        App {
            chain: Arc::new(Mutex::new(HistoryChain::new(coordinator.run()))),
            coordinator,
            auth,
            account: None,
            budget: ResponseBudget::default(),
            recording: Arc::default(),
            programs: Arc::default(),
            served: None,
        }
    }

    /// What the run is called.
    pub(crate) fn title(&self) -> String {
        let served = self.served.as_ref();
        served.map_or_else(
            || self.coordinator.spec().data.name.clone(),
            |served| served.title.clone(),
        )
    }

    /// The accuracy in percent that a network has to exceed to have learnt anything.
    pub(crate) fn guessing_limit(&self) -> f64 {
        let guessing = self.served.as_ref().and_then(|served| served.guessing);
        limit_of_guessing(self.coordinator.spec(), guessing)
    }

    /// Whether a miner has joined and not lost its place.
    pub(crate) async fn has_place(&self, miner: &MinerId) -> bool {
        let has_place = |state: &naschain_run::RunState| state.board().has_place(miner);
        self.coordinator.with_state(has_place).await
    }
}

/// The argument of a route that needs nothing but the coordinator.
pub(crate) type CoordinatorState = State<Arc<Coordinator>>;
