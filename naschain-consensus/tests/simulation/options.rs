//! What a world is made from.

use naschain_consensus::Rules;

use super::Behaviour;

/// What the network does to messages; shares of them, each independent of the others.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    /// They never arrive.
    pub(crate) loss: f64,
    /// They arrive twice.
    pub(crate) duplication: f64,
    /// They are held back for up to [`Faults::HELD_BACK_MS`], and later ones of the same miner
    /// may overtake them. All others arrive in the order in which they were sent.
    pub(crate) reordering: f64,
    /// Messages take up to this long.
    pub(crate) max_delay_ms: u64,
}

impl Faults {
    pub(crate) const HELD_BACK_MS: u64 = 30_000;
}

/// How fast those seem to be that do not train.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CheaterSpeed {
    /// As fast as they would be if they did.
    OwnSpeed,
    /// As fast as the fastest honest miner may be.
    TopSpeed,
    /// They answer at once.
    Instant,
}

/// What makes a world.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) seed: u64,
    pub(crate) rules: Rules,
    pub(crate) behaviours: Vec<Behaviour>,
    pub(crate) jobs: u64,
    /// So many jobs are open at a time.
    pub(crate) open_jobs: u64,
    /// The first jobs are opened before any miner has joined, so that nobody is drawn for them.
    pub(crate) opened_before_join: bool,
    /// The fastest miner is this many times as fast as the slowest.
    pub(crate) speed_ratio: f64,
    /// How long the slowest miner trains.
    pub(crate) slowest_ms: u64,
    pub(crate) faults: Faults,
    /// Every so many jobs one fails wherever it is trained; 0 for none.
    pub(crate) failing_job_every: u64,
    /// Every so many jobs one makes whoever trains it forget that it does; 0 for none.
    pub(crate) crashing_job_every: u64,
    /// Training gives the same digest everywhere; if not, accuracies scatter by 0.3 points.
    pub(crate) deterministic: bool,
    pub(crate) poll_ms: u64,
    /// How long after a deadline the board is told of it, if nothing else happens before.
    pub(crate) late_tick_ms: u64,
    /// How long those wait that do not train.
    pub(crate) cheater_speed: CheaterSpeed,
    /// All colluders are known to belong to one owner.
    pub(crate) owners: bool,
    /// Whether to keep the journal and all actions.
    pub(crate) keep: bool,
}
