//! Which signed requests came before.

use std::collections::BTreeSet;

use crate::btauth::{AuthError, MAX_AGE_NS};

/// The nonces of requests that were believed, for as long as they would be fresh.
///
/// Nothing is written anywhere: when a genomaster takes the lead, requests signed before are
/// refused from then on, and the nonces of a sender whose clock is ahead are found in the journal.
#[derive(Debug, Default)]
pub struct Nonces {
    /// Everything signed before this is refused.
    floor_ns: u64,
    seen: BTreeSet<(u64, String)>,
}

impl Nonces {
    /// Nothing signed before `started_ns` is believed.
    pub fn new(started_ns: u64) -> Nonces {
        Nonces {
            floor_ns: started_ns,
            seen: BTreeSet::new(),
        }
    }

    /// Remembers a nonce from the journal.
    pub fn remember(&mut self, hotkey: &str, nonce: u64) {
        self.seen.insert((nonce, hotkey.to_owned()));
    }

    /// Takes the nonce of a request whose signature holds.
    ///
    /// # Errors
    /// [`AuthError::Replayed`] when it came before, [`AuthError::Stale`] when it was signed
    /// before this genomaster started, which may be so.
    pub fn accept(&mut self, hotkey: &str, nonce: u64, now_ns: u64) -> Result<(), AuthError> {
        let oldest = now_ns.saturating_sub(MAX_AGE_NS);
        while self.seen.first().is_some_and(|(nonce, _)| *nonce < oldest) {
            self.seen.pop_first();
        }
        if nonce < self.floor_ns {
            let problem = "before this genomaster started".to_owned();
            return Err(AuthError::Stale { problem });
        }
        if !self.seen.insert((nonce, hotkey.to_owned())) {
            let hotkey = hotkey.to_owned();
            return Err(AuthError::Replayed { hotkey, nonce });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_counts_once_for_each_sender() {
        let mut nonces = Nonces::new(100);
        nonces.accept("a", 150, 200).unwrap();
        nonces.accept("b", 150, 200).unwrap();
        nonces.accept("a", 151, 200).unwrap();
        let again = nonces.accept("a", 150, 300).unwrap_err();
        assert_eq!(again.kind(), "replayed_request");
        assert_eq!(
            nonces.accept("a", 99, 200).unwrap_err().kind(),
            "stale_request"
        );
    }

    #[test]
    fn what_the_journal_knows_is_not_believed_again() {
        let mut nonces = Nonces::new(100);
        nonces.remember("a", 120);
        assert_eq!(
            nonces.accept("a", 120, 110).unwrap_err().kind(),
            "replayed_request"
        );
    }

    #[test]
    fn what_would_be_stale_is_forgotten() {
        let mut nonces = Nonces::new(0);
        for nonce in 0..1000 {
            let now = nonce * (MAX_AGE_NS / 100);
            nonces.accept("a", now, now).unwrap();
        }
        assert!(nonces.seen.len() <= 102, "{}", nonces.seen.len());
    }
}
