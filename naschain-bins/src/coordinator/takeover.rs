//! What a genomaster that takes the lead learns from the requests in the journal.

use std::sync::PoisonError;

use anyhow::{Context, Result, bail};

use crate::clock;
use crate::coordinator::active_run::{ActiveRun, PAGE};
use crate::coordinator::shared::Shared;
use naschain_identity::Nonces;
use naschain_run::Proof;

/// Number of latest events to restore nonces from. Only a nonce later than the start can be
/// accepted again, and a nonce is at most 2 s ahead of the clock when it is accepted, so the events
/// of the last seconds before the start are enough.
const NONCE_EVENTS: u64 = 50_000;

impl Shared {
    /// Rejects a journal with requests that were signed for another genomaster: its proofs name
    /// that one as the receiver, so later ones would not match.
    pub(crate) fn check_receiver(&self, proof: &Proof) -> Result<()> {
        let genomaster = self.settings.genomaster.as_ref();
        if let Some(address) = genomaster.filter(|address| **address != proof.receiver) {
            let receiver = &proof.receiver;
            bail!(
                "the journal has requests that were signed for {receiver}, and this genomaster is {address}: genomasters of one run must share a hotkey; select it with --wallet.name and --wallet.hotkey"
            );
        }
        Ok(())
    }

    /// Rejects requests signed before this genomaster leads, and restores from the journal the
    /// nonces of clients whose clocks are ahead. Nonces are not stored separately, so the
    /// genomasters of a run need no other shared table.
    pub(crate) async fn restore_nonces(&self, active: &mut ActiveRun) -> Result<()> {
        let mut nonces = Nonces::new(clock::unix_nanos());
        let mut after = active.state.events().saturating_sub(NONCE_EVENTS);
        let journal = active.journal.as_mut().context("the journal is closed")?;
        loop {
            let entries = journal.entries(after, PAGE).await?;
            let Some(last) = entries.last() else { break };
            after = last.number;
            let proofs = entries.iter().filter_map(|entry| entry.proof.as_deref());
            for proof in proofs.filter_map(|text| Proof::parse(text).ok()) {
                self.check_receiver(&proof)?;
                nonces.remember(&proof.hotkey, proof.nonce);
            }
        }
        let mut shared_nonces = self.nonces.lock().unwrap_or_else(PoisonError::into_inner);
        *shared_nonces = nonces;
        Ok(())
    }
}
