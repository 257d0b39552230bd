//! The record of a miner or an owner, from which its back-off and its seats follow.

use serde::{Deserialize, Serialize};

use crate::Millis;

/// 2¹⁰ seats, the maximum capacity of a miner.
const MAX_CREDIT: u32 = 10;
/// 2¹² times the first back-off is above any useful maximum; further strikes would only prolong
/// recovery.
const MAX_STRIKES: u32 = 12;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    credit: u32,
    /// Bad outcomes without a good record, halved by each accepted answer.
    strikes: u32,
    blocked_until: Millis,
}

impl Record {
    pub(super) fn is_good(&self) -> bool {
        self.credit > 0
    }

    /// Maximum number of leases at once: doubles with each credit.
    pub(super) fn max_leases(&self) -> usize {
        1 << self.credit
    }

    pub(super) fn credit(&self) -> u32 {
        self.credit
    }

    /// Begins with as many credits.
    pub(super) fn begin_with(&mut self, credit: u32) {
        self.credit = credit.min(MAX_CREDIT);
    }

    pub(super) fn blocked_until(&self) -> Millis {
        self.blocked_until
    }

    pub(super) fn accept(&mut self) {
        self.credit = (self.credit + 1).min(MAX_CREDIT);
        self.strikes /= 2;
    }

    /// Takes all credits away.
    pub(super) fn forfeit(&mut self) {
        self.credit = 0;
    }

    /// Counts a bad outcome, which a good record absorbs. Otherwise the first `free` in a row cause
    /// no back-off, the others one that doubles.
    pub(super) fn strike(&mut self, now: Millis, free: u32, base_ms: u64, max_ms: u64) {
        if self.is_good() {
            self.credit /= 2;
            return;
        }
        // The maximum counts strikes beyond the free ones: an owner of many miners has many of those.
        self.strikes = (self.strikes + 1).min(free.saturating_add(MAX_STRIKES));
        if let Some(doublings) = self.strikes.checked_sub(free + 1) {
            let ms = base_ms.saturating_mul(1 << doublings).min(max_ms);
            self.blocked_until = self.blocked_until.max(now.plus(ms));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_up_to_its_maximum_and_accepted_answers_shorten_it() {
        let mut record = Record::default();
        let mut blocked_ms = Vec::new();
        for _ in 0..6 {
            record.strike(Millis(0), 0, 10, 100);
            blocked_ms.push(record.blocked_until().0);
        }
        assert_eq!(blocked_ms, [10, 20, 40, 80, 100, 100]);
        // Six strikes, halved to three; the credit absorbs the next bad outcome.
        record.accept();
        let now = Millis(1_000);
        record.strike(now, 0, 10, 100);
        assert_eq!(record.blocked_until(), Millis(100));
        record.strike(now, 0, 10, 100);
        assert_eq!(record.blocked_until().since(now), 80);
    }

    #[test]
    fn credits_double_the_seats_and_bad_outcomes_halve_the_credits() {
        let mut record = Record::default();
        assert_eq!((record.is_good(), record.max_leases()), (false, 1));
        (0..20).for_each(|_| record.accept());
        assert_eq!(record.max_leases(), 1_024);
        record.strike(Millis(0), 0, 10, 100);
        assert_eq!(record.max_leases(), 32);
        (0..3).for_each(|_| record.strike(Millis(0), 0, 10, 100));
        assert_eq!((record.is_good(), record.max_leases()), (false, 1));
        assert_eq!(record.blocked_until(), Millis(0));
    }

    #[test]
    fn an_owner_of_many_miners_has_as_many_free_outcomes() {
        let mut record = Record::default();
        (0..20).for_each(|_| record.strike(Millis(0), 20, 10, 100));
        assert_eq!(record.blocked_until(), Millis(0));
        record.strike(Millis(0), 20, 10, 100);
        assert_eq!(record.blocked_until(), Millis(10));
    }
}
