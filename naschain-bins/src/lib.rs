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
//! - [`state`]: search and job board joined; [`journal`]: the events they are the fold of;
//!   [`clock`]: the run's time;
//! - [`coordinator`]: all of these behind one lock;
//! - [`api`]: what goes over the wire; [`server`] and [`client`]: its two ends;
//! - [`link`], [`trainer`] and [`miner`]: a miner, in the same process or over the network;
//! - [`selftest`] and [`speed`]: what a miner's machine can prove, and how fast it is;
//! - [`validator`]: verdicts recomputed, scores, weights;
//! - [`report`], [`models`], [`plot`] and [`table`]: the run's folder and what is printed;
//! - [`search`], [`serve`], [`inspect`], [`export`], [`retrain`] and [`predict`]: the commands;
//!   [`run`]: how they start and end.

pub mod api;
pub mod cli;
pub mod client;
pub mod clock;
pub mod coordinator;
pub mod export;
pub mod inspect;
pub mod journal;
pub mod link;
pub mod miner;
pub mod models;
pub mod plot;
pub mod predict;
mod random_trainings;
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
pub mod table;
pub mod trainer;
pub mod validator;
