//! Restores nonces and latest answers from the journal when a genomaster becomes leader.

use std::sync::PoisonError;

use anyhow::{Context, Result, bail};

use crate::clock;
use crate::coordinator::active_run::{ActiveRun, PAGE};
use crate::coordinator::shared::SharedState;
use naschain_identity::Nonces;
use naschain_run::Proof;

/// Number of latest events whose nonces and answers are restored one by one. Only a nonce later than
/// the start can be accepted again, and a nonce is at most 2 s ahead of the clock when it is accepted,
/// so the events of the last seconds before the start are enough, unless the clock was set back.
const RESTORED_EVENTS: u64 = 50_000;
/// Events before those, none of whose nonces can be accepted again. Nonces grow with the journal, but
/// for the differences between clocks, so no earlier event has a greater one.
const EARLIER_EVENTS: u64 = 10_000;

impl SharedState {
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
    /// nonces of clients whose clocks are ahead, and the latest answers. Neither is stored separately,
    /// so the genomasters of a run need no other shared table.
    pub(crate) async fn restore_requests(&self, active: &mut ActiveRun) -> Result<()> {
        let mut nonces = Nonces::new(clock::unix_nanos());
        let earlier = active.state.events().saturating_sub(RESTORED_EVENTS);
        let mut after = earlier.saturating_sub(EARLIER_EVENTS);
        let journal = active.journal.as_mut().context("the journal is closed")?;
        loop {
            let entries = journal.entries(after, PAGE).await?;
            let Some(last) = entries.last() else { break };
            after = last.number;
            for entry in entries {
                // A snapshot does not contain the answers before it; those after it were replayed.
                if entry.number <= active.snapshot
                    && let Ok(event) = serde_json::from_str(&entry.event)
                {
                    active.answers.remember(&event);
                }
                let proof = entry.proof.as_deref().map(Proof::parse);
                let Some(Ok(proof)) = proof else { continue };
                self.check_receiver(&proof)?;
                if entry.number <= earlier {
                    nonces.refuse_up_to(proof.nonce);
                } else {
                    nonces.remember(&proof.hotkey, proof.nonce);
                }
            }
        }
        let mut shared_nonces = self.nonces.lock().unwrap_or_else(PoisonError::into_inner);
        *shared_nonces = nonces;
        Ok(())
    }
}
