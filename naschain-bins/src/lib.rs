//! The NASChain programs `genomaster`, `miner` and `validator`: the
//! NASChain libraries with clock, network, disk and terminal.
//!
//! This crate is not published. To embed NASChain, use the libraries: `examples/embed.rs` runs a
//! genomaster, three miners and a validator in one program of fewer than 100 lines.
//!
//! In reading order:
//! - [`commands`]: one file per command;
//! - [`cli`]: flags, defaults, configuration files;
//! - [`coordinator`]: an active run: its state, its journal, and the task that writes both;
//! - [`journal`]: stores the events of a run in a file or a database; the run's folder;
//! - [`server`]: the HTTP interface; [`client`]: calls it;
//! - [`miner`]: a miner, in the genomaster's process or over the network;
//! - [`validator`]: checks a genomaster from outside, and sets weights;
//! - [`artifacts`]: the files of a run other than its journal.

pub mod artifacts;
pub mod cli;
pub mod client;
pub mod clock;
pub mod commands;
pub mod coordinator;
pub mod journal;
mod line_file;
pub mod miner;
pub mod server;
pub mod shutdown;
pub mod validator;
