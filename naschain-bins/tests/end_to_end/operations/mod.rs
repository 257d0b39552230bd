//! What an operator relies on: the journal, standbys, audits, events, and behaviour under faults.

mod audit;
pub(crate) mod audit_signed;
mod deploy;
mod disk_full;
mod failover;
mod faults;
mod feed;
mod grafana;
mod growth;
mod journal;
mod keys;
mod miners;
mod readers;
mod restart;
mod shutdown;
pub(crate) mod simulated;
pub(crate) mod stores;
