//! What a world is made from.

use naschain_consensus::Rules;

use super::Conduct;

/// What the network does to messages, each with its probability.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    pub(crate) loss: f64,
    pub(crate) duplication: f64,
    /// Messages take up to this long; so they overtake each other.
    pub(crate) max_delay_ms: u64,
}

/// What makes a world.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) seed: u64,
    pub(crate) rules: Rules,
    pub(crate) conducts: Vec<Conduct>,
    pub(crate) jobs: u64,
    /// So many jobs are open at a time.
    pub(crate) open_jobs: u64,
    /// The fastest miner is this many times as fast as the slowest.
    pub(crate) speed_ratio: f64,
    /// How long the slowest miner trains.
    pub(crate) slowest_ms: u64,
    pub(crate) faults: Faults,
    /// Every so many jobs one fails wherever it is trained; 0 for none.
    pub(crate) failing_job_every: u64,
    /// Training gives the same digest everywhere; if not, accuracies scatter by 0.3 points.
    pub(crate) deterministic: bool,
    pub(crate) poll_ms: u64,
    /// Who does not train waits as long as it would take, so as not to stand out.
    pub(crate) patient: bool,
    /// All colluders are known to belong to one owner.
    pub(crate) owners: bool,
    /// Every so many jobs one has an answer that is known; 0 for none.
    pub(crate) known_job_every: u64,
    /// Whether to keep the journal and all actions.
    pub(crate) keep: bool,
}
