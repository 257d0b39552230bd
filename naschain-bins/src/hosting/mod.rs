//! A genomaster with many runs: opens them, shares the miners among them, and serves them.
//!
//! In reading order: `settings.rs`, `host.rs` (the runs that are open), `hosted_run.rs` (one of them), `planning.rs`
//! (a run from the settings of a request), `assignments.rs` (which run a miner works for next);
//! `cluster.rs` and `spreading.rs` (several genomasters with one database); then the routes: `proxy.rs`
//! (what another genomaster has to answer), `routes.rs`, `caller.rs` (who sends a request), `run_routes.rs`, `forward.rs` (the routes
//! of one run), `run_creation.rs`, `run_changes.rs`, `artifact_routes.rs`, `account_routes.rs`, `data_routes.rs`, `upload_routes.rs` with
//! `upload_checks.rs`, `openapi.rs`.

pub(crate) mod account_routes;
pub(crate) mod artifact_routes;
mod assignments;
mod caller;
mod check_queue;
pub(crate) mod cluster;
mod data_pictures;
pub(crate) mod data_routes;
mod datasets;
mod deletion;
mod estimate_routes;
pub(crate) mod forward;
pub(crate) mod host;
pub(crate) mod hosted_run;
mod known_miners;
mod openapi;
mod operator_routes;
mod pages;
pub(crate) mod planning;
mod proxy;
mod result_files;
pub(crate) mod routes;
pub(crate) mod run_changes;
pub(crate) mod run_creation;
pub(crate) mod run_routes;
mod session_routes;
pub(crate) mod settings;
mod share_routes;
mod sign_ins;
mod spreading;
mod time_limits;
pub(crate) mod upload_checks;
pub(crate) mod upload_routes;
mod used_hours;
mod waiting_miners;
mod without_work;
