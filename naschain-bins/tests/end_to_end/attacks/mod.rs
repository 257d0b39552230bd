//! Attacks on a genomaster and its clients that succeeded once. docs/threats.md lists them.

mod accepted_is_audited;
mod costs;
mod entrance;
mod growth;
mod journal;
mod memory;
mod old_network;
mod precomputed;
mod validators;
