//! What the programs of miners say of themselves.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use axum::http::{HeaderMap, header};
use naschain_consensus::MinerId;

/// Most miners whose program is remembered.
const MAX_REMEMBERED: usize = 20_000;
/// Most characters that are kept of what a program says of itself.
const MAX_PROGRAM: usize = 100;

/// What the programs of miners say of themselves, in the header `User-Agent` of their joins; nothing
/// verifies it, and it is forgotten when the genomaster stops.
#[derive(Default)]
pub(crate) struct MinerPrograms(Mutex<BTreeMap<MinerId, String>>);

impl MinerPrograms {
    /// Notes what a miner has sent.
    pub(crate) fn note(&self, miner: &MinerId, headers: &HeaderMap) {
        let program = headers.get(header::USER_AGENT);
        let Some(program) = program.and_then(|text| text.to_str().ok()) else {
            return;
        };
        let mut programs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if programs.len() < MAX_REMEMBERED || programs.contains_key(miner) {
            programs.insert(miner.clone(), program.chars().take(MAX_PROGRAM).collect());
        }
    }

    /// The device in `naschain/0.1.0 (cuda:0)`.
    pub(super) fn device(&self, miner: &MinerId) -> Option<String> {
        let programs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let program = programs.get(miner)?;
        let (_, device) = program.split_once('(')?;
        Some(device.trim_end_matches(')').to_owned())
    }
}
