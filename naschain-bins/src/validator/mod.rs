//! A validator's view of a genomaster, and the destinations of its weights.

pub mod btcli;
pub mod observed_run;
pub mod peers;
pub mod public_journal;
pub mod retraining;
pub mod state_folder;
pub mod uids;
pub mod weight_files;
