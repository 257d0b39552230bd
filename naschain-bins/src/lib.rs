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
//!   [`caller`]: who calls;
//! - [`wallet`] and [`ss58`]: keys and addresses; [`btauth`] and [`nonces`]: signed requests;
//!   [`signed_request`] and [`batch_chain`]: what of them can be checked later;
//! - [`access`], [`allow_list`], [`rate_limit`] and [`gate`]: who is let in; [`listen`] and
//!   [`tls`]: connections;
//! - [`legacy`], [`legacy_values`] and [`legacy_credentials`]: the reference network's endpoints;
//! - [`link`], [`trainer`] and [`miner`]: a miner, in the same process or over the network;
//! - [`selftest`] and [`speed`]: what a miner's machine can prove, and how fast it is;
//! - [`validator`]: verdicts recomputed, scores, weights; [`epochs`] and [`on_chain`]: their way to
//!   a chain;
//! - [`report`], [`models`], [`plot`] and [`table`]: the run's folder and what is printed;
//! - [`search`], [`serve`], [`inspect`], [`export`], [`retrain`] and [`predict`]: the commands;
//!   [`run`]: how they start and end.

pub mod access;
pub mod allow_list;
pub mod api;
pub mod batch_chain;
pub mod btauth;
pub mod caller;
pub mod cli;
pub mod client;
pub mod clock;
pub mod coordinator;
pub mod epochs;
pub mod export;
pub mod gate;
pub mod inspect;
pub mod journal;
pub mod legacy;
pub mod legacy_credentials;
pub mod legacy_values;
pub mod link;
pub mod listen;
pub mod miner;
pub mod models;
pub mod nonces;
pub mod on_chain;
pub mod plot;
pub mod predict;
pub mod rate_limit;
pub mod report;
pub mod retrain;
pub mod run;
pub mod run_spec;
pub mod search;
pub mod selftest;
pub mod serve;
pub mod server;
pub mod signed_request;
pub mod speed;
pub mod ss58;
pub mod state;
pub mod table;
pub mod tls;
pub mod trainer;
pub mod validator;
pub mod wallet;
