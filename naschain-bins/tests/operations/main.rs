//! What an operator relies on: the journal, standbys, audits, events, and what happens under
//! faults. One program, because each test program takes long to link.

mod audit;
mod audit_signed;
mod deploy;
mod disk_full;
mod failover;
mod faults;
mod feed;
mod growth;
mod journal;
mod keys;
mod miners;
#[path = "../programs/mod.rs"]
#[allow(dead_code)] // each test program uses its part
mod programs;
mod readers;
mod restart;
mod shutdown;
mod simulated;
mod stores;
