//! What joins the NASChain libraries to clock, network, disk and screen; the programs
//! `genomaster`, `miner` and `validator` are thin shells around it.
//!
//! ```
//! use naschain_bins::inspect::{InspectArgs, inspect};
//!
//! let args = InspectArgs {
//!     phases: 2,
//!     nodes: 3,
//!     input: "1x8x8".parse()?,
//!     init_channels: 8,
//!     classes: 10,
//!     json: false,
//!     genome: "1010-0001".to_owned(),
//! };
//! let text = inspect(&args)?;
//! assert!(text.contains("parameters  1,954"));
//! # Ok::<(), anyhow::Error>(())
//! ```
//!
//! In reading order:
//! - [`run_spec`]: what a run is; [`cli`]: the flags that say it;
//!   [`config`]: flags from a file;
//! - [`state`]: search and job board joined; [`clock`]: the run's time;
//! - [`chain`], [`store`] and [`journal`]: the events they are the fold of, in a file or on a
//!   server;
//! - [`coordinator`]: all of these behind one lock, with one task that writes; [`feed`] and
//!   [`metrics`]: what is told of them;
//! - [`api`]: what goes over the wire; [`server`] and [`client`]: its two ends;
//! - [`link`], [`trainer`], [`unsent`] and [`miner`]: a miner, in the same process or over the
//!   network;
//! - [`selftest`] and [`speed`]: what a miner's machine can prove, and how fast it is;
//! - [`validator`]: verdicts recomputed, scores, weights; [`auditor`], [`audit`] and [`proof`]: a
//!   whole run recomputed from its journal;
//! - [`report`], [`models`], [`plot`] and [`table`]: the run's folder and what is printed;
//! - [`search`], [`serve`], [`inspect`], [`export`], [`retrain`] and [`predict`]: the commands;
//!   [`run`]: how they start and end.

pub mod api;
pub mod audit;
pub mod auditor;
pub mod chain;
pub mod cli;
pub mod client;
pub mod clock;
pub mod config;
pub mod coordinator;
mod events;
pub mod export;
pub mod feed;
mod health;
pub mod inspect;
pub mod journal;
mod leader;
pub mod link;
mod live;
pub mod metrics;
pub mod miner;
pub mod models;
pub mod plot;
pub mod predict;
pub mod proof;
pub mod report;
pub mod retrain;
pub mod run;
pub mod run_spec;
pub mod search;
pub mod selftest;
pub mod serve;
pub mod server;
pub mod speed;
pub mod state;
pub mod store;
pub mod table;
pub mod trainer;
pub mod unsent;
pub mod validator;
