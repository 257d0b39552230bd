//! Flags and their defaults, configuration files, logs and exit codes.

pub(crate) mod access_args;
pub(crate) mod caller_args;
pub(crate) mod chain_args;
pub(crate) mod common_args;
pub(crate) mod config;
pub(crate) mod data_args;
pub(crate) mod data_cache_args;
pub(crate) mod data_folder;
pub(crate) mod genome_args;
mod limit_args;
pub(crate) mod machine_memory;
pub(crate) mod presets;
pub(crate) mod program;
pub(crate) mod retraining_args;
pub(crate) mod run_args;
pub(crate) mod run_place;
mod run_values;
pub(crate) mod shell;
pub(crate) mod space_args;
pub(crate) mod suggesting;
pub(crate) mod tls_args;
pub(crate) mod training_args;
pub(crate) mod user_args;
pub(crate) mod wallet_args;
