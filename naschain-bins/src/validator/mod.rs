//! A validator's view of a genomaster, and the destinations of its weights.

pub mod btcli;
pub mod observed_run;
pub mod public_journal;
pub mod uids;
pub mod weight_files;
