//! The limits on miners without a record.

use serde::{Deserialize, Serialize};

use crate::Error;

/// Limits on miners without a record: their number, back-off, the pace of heartbeats and the draw
/// of open seats.
///
/// A miner has a *good record* while accepted answers outweigh what it forgot and failed: each
/// accepted answer gives a credit, each lease that ends without an answer and each bad answer halves
/// the credits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Reputation {
    /// Maximum number of miners whose names are known.
    pub max_miners: u32,
    /// Once the board is full, a new miner takes the place of one that holds no lease and has not
    /// answered for this many milliseconds.
    pub place_ms: u64,
    /// First back-off after a lease without an answer or a bad answer, where no credits are left; at
    /// least the time that a lease was kept by heartbeats alone. Each further one doubles it; each
    /// accepted answer takes half of the doublings away.
    pub backoff_ms: u64,
    /// Maximum back-off.
    pub max_backoff_ms: u64,
    /// Speed of the slowest plausible machine, in FLOP/s. A lease ends when its heartbeats fall
    /// behind such a machine, or one ten times slower than the slowest that had answers accepted
    /// lately.
    pub min_flops_per_second: u64,
    /// Time in milliseconds to collect requests for work before the open seats are drawn among
    /// their miners; 0 gives an open seat to the first that requests work.
    pub draw_wait_ms: u64,
    /// What counts as a bad outcome. From 2 on also a seat that its miner never claimed, and a
    /// measurement in a verdict without consensus; a miner that has worked before is present only
    /// once it requests work, keeps its place only by accepted answers, and further seats of a job
    /// without agreement go to miners with a good record where there are any. From 3 on miners
    /// without a good record cannot hold jobs up: where enough others have one, they get a seat only
    /// when they request work, and a job that waits only for miners without one ends when they are
    /// late, more than half of its seats agree and a miner finds no other work. 1 in runs of earlier
    /// versions.
    #[serde(default = "first_version", skip_serializing_if = "is_first_version")]
    pub version: u32,
}

fn first_version() -> u32 {
    1
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_first_version(version: &u32) -> bool {
    *version == first_version()
}

impl Default for Reputation {
    /// 100,000 names, ten minutes, back-off from 30 seconds to an hour, 0.1 GFLOP/s, no draw, the
    /// latest version.
    fn default() -> Self {
        Reputation {
            max_miners: 100_000,
            place_ms: 600_000,
            backoff_ms: 30_000,
            max_backoff_ms: 3_600_000,
            min_flops_per_second: 100_000_000,
            draw_wait_ms: 0,
            version: 3,
        }
    }
}

impl Reputation {
    pub(crate) fn validate(&self) -> Result<(), Error> {
        for (name, value) in [
            ("reputation.max_miners", u64::from(self.max_miners)),
            ("reputation.place_ms", self.place_ms),
            ("reputation.backoff_ms", self.backoff_ms),
            ("reputation.min_flops_per_second", self.min_flops_per_second),
        ] {
            if value == 0 {
                return Err(Error::out_of_range(name, value, "at least 1"));
            }
        }
        if !(1..=3).contains(&self.version) {
            let found = u64::from(self.version);
            return Err(Error::out_of_range("reputation.version", found, "1 to 3"));
        }
        if self.max_backoff_ms < self.backoff_ms {
            let found = self.max_backoff_ms;
            return Err(Error::out_of_range(
                "reputation.max_backoff_ms",
                found,
                "at least reputation.backoff_ms",
            ));
        }
        Ok(())
    }
}
