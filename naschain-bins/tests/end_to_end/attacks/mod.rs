//! Attacks on a genomaster and its clients that succeeded once. docs/threats.md lists them.

mod accepted_is_audited;
mod answers;
mod costs;
mod entrance;
mod growth;
mod hostile_genomaster;
mod journal;
mod memory;
mod old_network;
mod precomputed;
mod queued_requests;
mod readers;
mod validators;
