//! The parameters of a simulated world.

use naschain_consensus::Rules;

use super::Behaviour;

/// Faults of the network: independent probabilities for each message.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    /// The message is lost.
    pub(crate) loss: f64,
    /// The message arrives twice.
    pub(crate) duplication: f64,
    /// The message is held back for up to [`Faults::HELD_BACK_MS`], and later ones of the same
    /// miner may overtake it. All other messages arrive in order.
    pub(crate) reordering: f64,
    /// Maximum delay of a message.
    pub(crate) max_delay_ms: u64,
}

impl Faults {
    pub(crate) const HELD_BACK_MS: u64 = 30_000;
}

/// The apparent speed of miners that do not train.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CheaterSpeed {
    /// The speed at which they would train.
    OwnSpeed,
    /// The speed of the fastest honest miner.
    TopSpeed,
    /// They answer at once.
    Instant,
}

/// The parameters of a simulated world.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) seed: u64,
    pub(crate) rules: Rules,
    pub(crate) behaviours: Vec<Behaviour>,
    pub(crate) jobs: u64,
    /// Number of jobs that are open at a time.
    pub(crate) open_jobs: u64,
    /// Further jobs are opened only once all of these have ended, as in a generational search.
    pub(crate) in_waves: bool,
    /// The first jobs are opened before any miner has joined, so their seats are open.
    pub(crate) opened_before_join: bool,
    /// When the miners that are not honest join.
    pub(crate) strangers_join_ms: u64,
    /// Speed of the fastest miner divided by that of the slowest.
    pub(crate) speed_ratio: f64,
    /// Duration of a training by the slowest miner.
    pub(crate) slowest_ms: u64,
    pub(crate) faults: Faults,
    /// One in this many jobs fails wherever it is trained; 0 for none.
    pub(crate) failing_job_every: u64,
    /// One in this many jobs crashes every miner that trains it; 0 for none.
    pub(crate) crashing_job_every: u64,
    /// Trainings of a job are equal everywhere; otherwise accuracies vary by 0.3 points.
    pub(crate) deterministic: bool,
    pub(crate) poll_ms: u64,
    /// Delay of the tick after a deadline.
    pub(crate) late_tick_ms: u64,
    /// The apparent speed of miners that do not train.
    pub(crate) cheater_speed: CheaterSpeed,
    /// All colluders are registered with one owner.
    pub(crate) owners: bool,
    /// Whether to record the journal and all actions.
    pub(crate) keep: bool,
}
