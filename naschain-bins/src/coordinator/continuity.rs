//! What a genomaster remembers while it does not lead, so that a lost journal or a pause of the
//! process is noticed.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::clock;
use crate::clock::RunClock;
use crate::coordinator::shared::SharedState;
use crate::journal::Journal;
use crate::journal::store::JournalPlace;
use naschain_run::{JournalHead, RunState};

/// Without commands the leader still looks for them twice a second; if it has not for this long, it
/// was stopped or waited for its disk.
const MIN_PAUSE: Duration = Duration::from_secs(2);

pub(crate) struct Continuity {
    /// The last entry that this genomaster has acknowledged, if any.
    pub(crate) acknowledged: Option<JournalHead>,
    /// When it last took commands.
    served: Instant,
}

impl Continuity {
    pub(crate) fn new() -> Continuity {
        Continuity {
            acknowledged: None,
            served: clock::now(),
        }
    }

    /// Opens the journal to lead. Where this genomaster has acknowledged events, or the run's folder
    /// has a history, a missing journal is an error, and so is one without these events.
    pub(crate) async fn open(
        &self,
        place: &JournalPlace,
        shared: &SharedState,
    ) -> Result<Option<Journal>> {
        let run = shared.rules.run;
        let has_begun = self.acknowledged.is_some() || shared.settings.history_jobs.is_some();
        let journal = if has_begun {
            Journal::lead_existing(place, run).await?
        } else {
            Journal::lead(place, run).await?
        };
        let Some(mut journal) = journal else {
            return Ok(None);
        };
        if let Some(head) = self.acknowledged {
            journal.check_has(head).await?;
        }
        Ok(Some(journal))
    }

    /// Starts measuring pauses; restoring the state does not count as one.
    pub(crate) fn restart(&mut self) {
        self.served = clock::now();
    }

    /// Takes the time in which this process was stopped, or waited for its disk, out of the run's
    /// time: nobody could send a heartbeat or an answer then. Called whenever commands are taken.
    pub(crate) fn leave_out_pause(&mut self, clock: &mut RunClock) {
        let pause = self.served.elapsed();
        self.restart();
        if pause >= MIN_PAUSE {
            tracing::warn!(
                "this genomaster was unresponsive for {:.1} s; all leases are extended by that time",
                pause.as_secs_f64()
            );
            clock.leave_out(pause);
        }
    }
}

/// Refuses a journal with fewer ended jobs than the history in the run's folder has.
pub(crate) fn check_history(
    state: &RunState,
    known: Option<usize>,
    place: &JournalPlace,
) -> Result<()> {
    let ended = state.ended_jobs().len();
    match known.filter(|known| *known > ended) {
        Some(known) => bail!(
            "{place} has {ended} ended jobs, and the history in the run's folder has {known}: restore the journal from a backup, or start a new run in another folder"
        ),
        None => Ok(()),
    }
}
