//! Flags, their defaults, configuration files, and what every program does at its start and end.

pub mod access_args;
pub mod caller_args;
pub mod config;
pub mod data_args;
pub mod presets;
pub mod run;
pub mod run_args;
pub mod training_line;
pub mod wallet_args;
