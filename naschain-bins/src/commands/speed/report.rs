//! What `miner speed` has measured.

use naschain_core::Digest;
use serde::Serialize;

use crate::printable::counted;

/// What the command prints.
#[derive(Serialize)]
pub(super) struct SpeedReport {
    pub(super) device: String,
    pub(super) threads: usize,
    pub(super) genome: String,
    pub(super) params: u64,
    pub(super) flops: u64,
    pub(super) batch_size: usize,
    pub(super) at_once: u16,
    pub(super) images_per_second: f64,
    /// Whether all trainings have the same digest.
    pub(super) digests_equal: bool,
    /// That of the first training.
    pub(super) digest: Digest,
}

impl SpeedReport {
    /// The report as a line of text.
    pub(super) fn text(&self) -> String {
        format!(
            "{} images/s on {}, {} with {} each, batch size {}: {} ({} parameters, {} FLOPs)\n",
            self.images_per_second,
            self.device,
            counted(self.at_once, "concurrent training"),
            counted(self.threads, "thread"),
            self.batch_size,
            self.genome,
            self.params,
            self.flops
        )
    }
}
