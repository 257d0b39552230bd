//! The result of an event, as returned to the caller.

use naschain_consensus::{Action, Millis, TrainingPart};
use naschain_core::Genome;
use naschain_run::RunState;

/// What a miner has to train.
#[derive(Debug)]
pub(crate) struct LeasedTraining {
    pub(crate) genome: Genome,
    pub(crate) part: Option<TrainingPart>,
}

/// The result of an event.
#[derive(Debug)]
pub(crate) struct Applied {
    pub(crate) actions: Vec<Action>,
    /// The training that was leased by it, so that the miner's request need not lock the state again.
    pub(crate) leased: Option<LeasedTraining>,
    /// Whether the event is in the journal.
    pub(crate) is_journaled: bool,
}

impl Applied {
    /// The actions, with the training of a leased job.
    pub(crate) fn new(actions: Vec<Action>, state: &RunState, is_journaled: bool) -> Applied {
        let leased = actions.iter().find_map(|action| match action {
            Action::Leased { job, .. } => Some(LeasedTraining {
                genome: state.genome(*job)?.clone(),
                part: state.part(*job),
            }),
            _ => None,
        });
        Applied {
            actions,
            leased,
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
