//! The NASChain programs `genomaster`, `miner` and `validator`: what joins the NASChain libraries
//! to clock, network, disk and screen.
//!
//! This crate is not published. To embed NASChain, use the libraries; `examples/embed.rs` runs a
//! genomaster, three miners and a validator in one program of less than 100 lines.
//!
//! In reading order:
//! - [`commands`]: what each program does, one file for each command;
//! - [`cli`]: flags, defaults, configuration files;
//! - [`coordinator`]: a run at work: one state, one journal, and the task that writes;
//! - [`journal`]: the events of a run, in a file or on a server, and the run's folder;
//! - [`server`]: the HTTP interface; [`client`]: its other end;
//! - [`miner`]: a miner, in the same process or over the network;
//! - [`validator`]: a genomaster checked from outside, and where weights go;
//! - [`artifacts`]: the files of a finished run.

pub mod artifacts;
pub mod cli;
pub mod client;
pub mod clock;
pub mod commands;
pub mod coordinator;
pub mod journal;
pub mod miner;
pub mod server;
pub mod shutdown;
pub mod validator;
