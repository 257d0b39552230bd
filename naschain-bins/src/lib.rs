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
//! - [`run_spec`]: what a run is; [`cli`] and [`data`]: the flags that say it; [`presets`]: what
//!   they say when they are not given; [`config`]: flags from a file;
//! - [`state`]: search and job board joined; [`clock`]: the run's time;
//! - [`chain`], [`store`] and [`journal`]: the events they are the fold of, in a file or on a
//!   server;
//! - [`coordinator`]: all of these behind one lock, with one task that writes; [`feed`] and
//!   [`metrics`]: what is told of them;
//! - [`api`]: what goes over the wire; [`server`] and [`client`]: its two ends;
//!   [`caller`]: who calls;
//! - [`wallet`] and [`ss58`]: keys and addresses; [`btauth`] and [`nonces`]: signed requests;
//!   [`signed_request`] and [`batch_chain`]: what of them can be checked later;
//! - [`access`], [`access_args`], [`allow_list`], [`rate_limit`] and [`gate`]: who is let in; [`listen`] and
//!   [`tls`]: connections;
//! - [`legacy`], [`legacy_values`] and [`legacy_credentials`]: the reference network's endpoints;
//! - [`link`], [`trainer`], [`training_line`], [`shelf`], [`unsent`] and [`miner`]: a miner, in the
//!   same process or over the network;
//! - [`selftest`], [`speed`] and [`data_check`]: what a miner's machine can prove, how fast it is,
//!   and which data it has;
//! - [`validator`]: verdicts recomputed, scores, weights; [`epochs`] and [`on_chain`]: their way to
//!   a chain; [`senders`], [`auditor`], [`audit`] and [`public_journal`]: a whole run recomputed from its
//!   journal;
//! - [`report`], [`models`], [`plot`] and [`table`]: the run's folder and what is printed;
//! - [`search`], [`serve`], [`inspect`], [`export`], [`retrain`] and [`predict`]: the commands;
//!   [`run`]: how they start and end.

pub mod access;
pub mod access_args;
pub mod allow_list;
pub mod api;
pub mod audit;
pub mod auditor;
pub mod batch_chain;
pub mod btauth;
pub mod call_error;
pub mod caller;
pub mod chain;
pub mod cli;
pub mod client;
pub mod clock;
pub mod closed_batch;
pub mod conclude;
pub mod config;
pub mod coordinator;
pub mod data;
pub mod data_check;
pub mod epochs;
mod events;
pub mod export;
pub mod feed;
pub mod gate;
mod health;
pub mod inspect;
pub mod journal;
mod leader;
pub mod legacy;
pub mod legacy_credentials;
pub mod legacy_uid;
pub mod legacy_values;
pub mod link;
pub mod listen;
mod live;
pub mod metrics;
pub mod miner;
pub mod models;
pub mod nonces;
pub mod on_chain;
mod pages;
pub mod plot;
pub mod predict;
pub mod presets;
pub mod problem;
pub mod public_journal;
mod random_trainings;
pub mod rate_limit;
pub mod report;
pub mod requests;
pub mod retrain;
pub mod run;
pub mod run_spec;
pub mod search;
pub mod selftest;
pub mod senders;
pub mod serve;
pub mod server;
pub(crate) mod shared;
pub mod shelf;
pub mod shutdown;
pub mod signed_request;
mod spared;
pub mod speed;
pub mod ss58;
pub mod state;
pub mod store;
pub mod table;
pub mod tls;
pub mod trainer;
pub mod training_line;
pub mod unsent;
pub mod validator;
pub mod wallet;
