//! What is known of a miner from other runs.

use serde::{Deserialize, Serialize};

/// What the answers of a miner in other runs of the same genomaster say of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrackRecord {
    /// Number of valid answers in a row; 0 after a bad one.
    pub valid_in_a_row: u32,
    /// How far its accepted answers outweigh what it forgot and failed: 0, without a good record, to 10.
    pub credit: u32,
    /// Its speed in FLOP/s, as sizes of jobs are given; 0 if unknown.
    pub flops_per_second: u64,
}

impl TrackRecord {
    /// What two runs together say: the lower credit and speed, and the longer of both rows of valid answers,
    /// unless one of them ended with a bad one. Not the sum, because a run may have begun with what the
    /// other says.
    #[must_use]
    pub fn with(self, other: TrackRecord) -> TrackRecord {
        let is_broken = self.valid_in_a_row == 0 || other.valid_in_a_row == 0;
        let valid = self.valid_in_a_row.max(other.valid_in_a_row);
        let speeds = [self.flops_per_second, other.flops_per_second];
        let known = speeds.into_iter().filter(|speed| *speed > 0);
        TrackRecord {
            valid_in_a_row: if is_broken { 0 } else { valid },
            credit: self.credit.min(other.credit),
            flops_per_second: known.min().unwrap_or(0),
        }
    }
}
