//! Replay protection: the nonces of accepted requests.

use std::collections::BTreeSet;

use crate::btauth::{AuthError, MAX_AGE_NS};

/// The nonces of accepted requests, kept for as long as the requests would be fresh.
///
/// Nothing is stored: a genomaster that becomes leader rejects all requests signed before that, and
/// restores the nonces of senders whose clocks are ahead from the journal.
#[derive(Debug, Default)]
pub struct Nonces {
    /// Requests signed before this time are rejected.
    floor_ns: u64,
    seen: BTreeSet<(u64, String)>,
}

impl Nonces {
    /// Rejects all requests signed before `started_ns`.
    pub fn new(started_ns: u64) -> Nonces {
        Nonces {
            floor_ns: started_ns,
            seen: BTreeSet::new(),
        }
    }

    /// Records a nonce from the journal as used.
    pub fn remember(&mut self, hotkey: &str, nonce: u64) {
        self.seen.insert((nonce, hotkey.to_owned()));
    }

    /// Rejects nonces up to this one.
    pub fn refuse_up_to(&mut self, nonce: u64) {
        self.floor_ns = self.floor_ns.max(nonce.saturating_add(1));
    }

    /// Checks that a nonce could be accepted, without using it.
    ///
    /// # Errors
    /// As for [`Nonces::accept`].
    pub fn check(&self, hotkey: &str, nonce: u64) -> Result<(), AuthError> {
        if nonce < self.floor_ns {
            let problem = "before this genomaster started, or before its clock was set back";
            return Err(AuthError::Stale {
                problem: problem.to_owned(),
            });
        }
        let hotkey = hotkey.to_owned();
        if self.seen.contains(&(nonce, hotkey.clone())) {
            return Err(AuthError::Replayed { hotkey, nonce });
        }
        Ok(())
    }

    /// Accepts the nonce of a request whose signature was verified, once.
    ///
    /// # Errors
    /// [`AuthError::Replayed`] if it was used before, [`AuthError::Stale`] if it was signed before the
    /// start time.
    pub fn accept(&mut self, hotkey: &str, nonce: u64, now_ns: u64) -> Result<(), AuthError> {
        self.check(hotkey, nonce)?;
        let oldest = now_ns.saturating_sub(MAX_AGE_NS);
        while self.seen.first().is_some_and(|(nonce, _)| *nonce < oldest) {
            self.seen.pop_first();
            // The clock may be set back, and then a forgotten nonce would be fresh again.
            self.floor_ns = self.floor_ns.max(oldest);
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
    fn earlier_nonces_can_be_refused_whatever_the_clock_says() {
        let mut nonces = Nonces::new(100);
        nonces.refuse_up_to(150);
        nonces.refuse_up_to(120);
        assert!(nonces.accept("a", 150, 100).is_err());
        nonces.accept("a", 151, 100).unwrap();
    }

    #[test]
    fn a_nonce_counts_once_for_each_sender() {
        let mut nonces = Nonces::new(100);
        nonces.accept("a", 150, 200).unwrap();
        nonces.accept("b", 150, 200).unwrap();
        nonces.accept("a", 151, 200).unwrap();
        let again = nonces.accept("a", 150, 300).unwrap_err();
        assert!(matches!(again, AuthError::Replayed { .. }), "{again}");
        let old = nonces.accept("a", 99, 200).unwrap_err();
        assert!(matches!(old, AuthError::Stale { .. }), "{old}");
    }

    #[test]
    fn nonces_from_the_journal_are_rejected() {
        let mut nonces = Nonces::new(100);
        nonces.remember("a", 120);
        let again = nonces.accept("a", 120, 110).unwrap_err();
        assert!(matches!(again, AuthError::Replayed { .. }), "{again}");
    }

    #[test]
    fn a_clock_that_is_set_back_makes_no_nonce_fresh_again() {
        let second = 1_000_000_000;
        let mut nonces = Nonces::new(0);
        nonces.accept("a", 100 * second, 100 * second).unwrap();
        // Twelve seconds later the first nonce is forgotten; then the clock is set back.
        nonces.accept("b", 112 * second, 112 * second).unwrap();
        let again = nonces.accept("a", 100 * second, 100 * second).unwrap_err();
        assert!(matches!(again, AuthError::Stale { .. }), "{again}");
        nonces.accept("a", 103 * second, 100 * second).unwrap();
    }

    #[test]
    fn stale_nonces_are_removed() {
        let mut nonces = Nonces::new(0);
        for nonce in 0..1000 {
            let now = nonce * (MAX_AGE_NS / 100);
            nonces.accept("a", now, now).unwrap();
        }
        assert!(nonces.seen.len() <= 102, "{}", nonces.seen.len());
    }
}
