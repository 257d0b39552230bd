//! Jobs that end although miners without a good record still train.

use naschain_consensus::{MinerId, Row, judge};

use super::{Checker, Open, only_rows};

impl Checker {
    /// Whether a job may end without the answers that it lacks: they cannot change what more than half
    /// of its seats agree on.
    pub(super) fn is_certain(&self, rows: &[(MinerId, Row)], open: &Open) -> bool {
        let version = self.rules.reputation.map_or(0, |rules| rules.version);
        let verdict = judge(&only_rows(rows), &self.agreement());
        let agreed = verdict.agreed.iter().filter(|agreed| **agreed).count();
        version >= 3 && agreed * 2 > open.seats.len()
    }
}
