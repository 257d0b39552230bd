//! Each signed request is used once, except a request for work, which may be repeated while it waits.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use naschain_consensus::{Action, Ending, Event, Grant, Millis, MinerId};

use crate::proof::Proof;

/// How long after its first use a signed request for work may be reused. The genomaster repeats a
/// waiting request for up to 30 s; the rest is a margin for a busy genomaster.
const WAITING_MS: u64 = 60_000;

/// The signed requests that were used so far, by hotkey and nonce.
///
/// A genomaster applies the same rules before it writes an event as an auditor when it reads it.
#[derive(Debug, Default)]
pub struct SignedRequests {
    /// Used requests: nonce and hotkey.
    used: BTreeSet<(u64, String)>,
    /// Requests for work that have not been granted yet, with the run time of their first use.
    waiting: BTreeMap<(u64, String), Millis>,
    /// The same requests, oldest first; may contain requests that no longer wait.
    oldest: VecDeque<(Millis, (u64, String))>,
}

/// How a signed request is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Use {
    /// For the first time.
    First,
    /// Again: a request for work that still waits.
    Repeated,
}

impl SignedRequests {
    /// Uses a request for this event at this run time. The error describes what is wrong.
    pub fn take(&mut self, now: Millis, event: &Event, proof: &Proof) -> Result<Use, String> {
        let key = (proof.nonce, proof.hotkey.clone());
        let first = self.waiting.get(&key).copied();
        if self.used.insert(key) {
            return Ok(Use::First);
        }
        let waits = first.is_some_and(|first| now.since(first) <= WAITING_MS);
        match event {
            Event::Request { .. } if waits => Ok(Use::Repeated),
            _ => Err(format!(
                "{} used nonce {} before; each nonce is valid once",
                proof.hotkey, proof.nonce
            )),
        }
    }

    /// Records the actions that followed from the event.
    ///
    /// # Errors
    /// If a repeated request ended a lease: its miner sent it before it got that lease, so it did
    /// not give the lease up.
    pub fn record(
        &mut self,
        now: Millis,
        taken: &Use,
        proof: &Proof,
        event: &Event,
        actions: &[Action],
    ) -> Result<(), String> {
        let Event::Request { miner } = event else {
            return Ok(());
        };
        let again = *taken == Use::Repeated;
        if again && actions.iter().any(|action| ends_own_lease(action, miner)) {
            return Err(format!(
                "the request of {} with nonce {} is a repetition; it ended a lease, which only the first may do",
                proof.hotkey, proof.nonce
            ));
        }
        let key = (proof.nonce, proof.hotkey.clone());
        let idle = |action: &Action| matches!(action, Action::Idle { .. });
        if !actions.iter().any(idle) {
            self.waiting.remove(&key);
        } else if !again {
            self.oldest.push_back((now, key.clone()));
            self.waiting.insert(key, now);
        }
        while let Some((_, key)) = self
            .oldest
            .pop_front_if(|(first, _)| now.since(*first) > WAITING_MS)
        {
            self.waiting.remove(&key);
        }
        Ok(())
    }

    /// Forgets requests with nonces before this one, up to the first that still waits. For a
    /// genomaster, which refuses such requests because of their age; an auditor cannot forget any.
    pub fn forget_before(&mut self, nonce: u64) {
        let is_over = |key: &(u64, String)| key.0 < nonce && !self.waiting.contains_key(key);
        while self.used.first().is_some_and(is_over) {
            self.used.pop_first();
        }
    }
}

/// Whether a lease of the requesting miner was ended because it requested work without free capacity.
fn ends_own_lease(action: &Action, requester: &MinerId) -> bool {
    match action {
        Action::Leased { miner, grant, .. } => {
            miner == requester && matches!(grant, Grant::Reissued { .. })
        }
        Action::Revoked { miner, reason, .. } => miner == requester && *reason == Ending::Forgotten,
        _ => false,
    }
}
