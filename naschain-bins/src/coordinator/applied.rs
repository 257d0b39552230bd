//! The result of an event, as returned to the caller.

use naschain_consensus::{Action, Millis};
use naschain_core::Genome;
use naschain_run::RunState;

/// The result of an event.
#[derive(Debug)]
pub(crate) struct Applied {
    pub(crate) actions: Vec<Action>,
    /// The genome of the job that was leased by it, so that the miner's request need not lock the
    /// state again.
    pub(crate) genome: Option<Genome>,
    /// Whether the event is in the journal.
    pub(crate) is_journaled: bool,
}

impl Applied {
    /// The actions, with the genome of a leased job.
    pub(crate) fn new(actions: Vec<Action>, state: &RunState, is_journaled: bool) -> Applied {
        let genome = actions.iter().find_map(|action| match action {
            Action::Leased { job, .. } => state.genome(*job).cloned(),
            _ => None,
        });
        Applied {
            actions,
            genome,
            is_journaled,
        }
    }
}

/// When a miner that got no work should ask again although no event announces it.
pub(crate) fn eligible_at(actions: &[Action]) -> Option<Millis> {
    actions.iter().find_map(|action| match action {
        Action::Idle { reason, .. } => reason.until(),
        _ => None,
    })
}
