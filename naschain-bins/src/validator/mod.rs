//! A validator's view of a genomaster, and the destinations of its weights.

pub(crate) mod btcli;
pub(crate) mod chain;
pub(crate) mod chain_scores;
pub(crate) mod observed_run;
pub(crate) mod outlets;
pub(crate) mod peers;
pub(crate) mod public_journal;
pub(crate) mod retraining;
pub(crate) mod state_folder;
pub(crate) mod uids;
pub(crate) mod weight_files;
