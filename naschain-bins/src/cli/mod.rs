//! Flags and their defaults, configuration and line files, logs and exit codes.

pub mod access_args;
pub mod caller_args;
pub mod config;
pub mod data_args;
pub mod machine_memory;
pub mod presets;
pub mod printable;
pub mod program;
pub mod progress_line;
pub mod run_args;
pub mod wallet_args;
