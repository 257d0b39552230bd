//! Recomputes a run from its journal, entry by entry, and reports the first fault.

use std::collections::BTreeMap;

use naschain_consensus::{Action, Finding, JobId, RefereeTask, Rejected, Ruling, judge};

use crate::ended_job::EndedJob;
use crate::error::Error;
use crate::events::{PublicEvent, Publisher};
use crate::hash_chain::{BrokenChain, Entry, JournalHead, next_entry_hash};
use crate::proof::Proof;
use crate::provenance::{Provenance, Signers, Source};
use crate::spec::RunSpec;
use crate::state::RunState;

/// Why a journal is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The hash chain is broken.
    #[error(transparent)]
    JournalHead(#[from] BrokenChain),
    /// An event is not at its original position.
    #[error("event {number} was moved: the event at position {found} belongs there")]
    Moved {
        /// Its original position.
        number: u64,
        /// The position where it was found.
        found: u64,
    },
    /// The event is unchanged, but its stored hash is not.
    #[error("the entry hash of event {number} was changed")]
    EntryHash {
        /// The number of the event.
        number: u64,
    },
    /// The job board rejects the event.
    #[error("event {number} violates the rules: {rejected}")]
    Refused {
        /// The number of the event.
        number: u64,
        /// The error of the job board.
        rejected: Rejected,
    },
    /// The event changes nothing; a genomaster does not journal such events.
    #[error("event {number} changes nothing and must not be in the journal")]
    Void {
        /// The number of the event.
        number: u64,
    },
    /// The miner that the event names did not send it, or the request is not valid now.
    #[error("event {number}: {reason}")]
    Proof {
        /// The number of the event.
        number: u64,
        /// What is wrong.
        reason: String,
    },
    /// The stored public events do not match the recomputed ones.
    #[error("the public events of event {number} do not follow from the journal")]
    Feed {
        /// The number of the event.
        number: u64,
    },
    /// A verdict does not follow from its rows.
    #[error("the verdict on {job} does not follow from its rows")]
    Verdict {
        /// The job.
        job: JobId,
    },
}

/// A decision of the referee, with what it was called for: everything that is needed to repeat it,
/// except the checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordedRuling {
    /// The job.
    pub job: JobId,
    /// What the referee was called for.
    pub task: RefereeTask,
    /// What the genomaster says it found.
    pub ruling: Ruling,
}

/// Verifies a journal from its first entry on.
pub struct Auditor {
    chain: JournalHead,
    provenance: Provenance,
    state: RunState,
    publisher: Publisher,
    /// Whether an entry had public events so far.
    has_feed: bool,
    /// What the referee is called for, by job.
    called: BTreeMap<JobId, RefereeTask>,
    rulings: Vec<RecordedRuling>,
    /// Number of events with a signed request.
    pub signed: u64,
    /// Number of events of miners without a signed request.
    pub unsigned: u64,
}

impl Auditor {
    /// An auditor at the position before the first entry.
    ///
    /// # Errors
    /// Where the specification is invalid.
    pub fn new(spec: RunSpec, signers: Signers) -> Result<Auditor, Error> {
        let rules = spec.request_rules();
        let state = RunState::new(spec)?;
        Ok(Auditor {
            chain: JournalHead::root(rules.run),
            provenance: Provenance::new(rules, signers),
            publisher: Publisher::starting_at(&state),
            state,
            has_feed: false,
            called: BTreeMap::new(),
            rulings: Vec::new(),
            signed: 0,
            unsigned: 0,
        })
    }

    /// The position of the last verified entry.
    pub fn head(&self) -> JournalHead {
        self.chain
    }

    /// The state after the last verified entry.
    pub fn state(&self) -> &RunState {
        &self.state
    }

    /// Verifies the next entry. `following` are the entries after it, as far as available; they are
    /// used to distinguish a changed event from a moved one.
    ///
    /// # Errors
    /// The first fault; later entries cannot be verified after it.
    pub fn verify_next(&mut self, entry: &Entry, following: &[Entry]) -> Result<(), Fault> {
        let number = entry.number;
        let before = self.chain;
        let (now, event) = self
            .chain
            .follow(entry)
            .map_err(|broken| locate(before, entry, following, broken))?;
        let wrong = |reason| Fault::Proof { number, reason };
        let proof = entry.proof.as_deref().map(Proof::parse).transpose();
        let proof = proof.map_err(|error| wrong(error.to_string()))?;
        let proof = proof.as_ref();
        let sent = self
            .provenance
            .check(number, now, &event, proof)
            .map_err(wrong)?;
        match &sent {
            Source::Genomaster => {}
            Source::Unsigned => self.unsigned += 1,
            Source::Signed(_) => self.signed += 1,
        }
        let before = self.state.ended_jobs().len();
        let actions = self
            .state
            .apply(now, event.clone(), proof)
            .map_err(|rejected| Fault::Refused { number, rejected })?;
        if self.state.events() != number {
            return Err(Fault::Void { number });
        }
        self.note_rulings(&actions);
        let recorded = self.provenance.record(now, &sent, &event, proof, &actions);
        recorded.map_err(wrong)?;
        let public_events = self.publisher.publish(&self.state, &event, &actions);
        self.check_feed(entry, &public_events)?;
        for ended in &self.state.ended_jobs()[before..] {
            self.verdict(ended)?;
        }
        Ok(())
    }

    /// The decisions of the referee so far. The board checked that they decide what was asked; whether
    /// they are right, only somebody who repeats the step can tell.
    pub fn rulings(&self) -> &[RecordedRuling] {
        &self.rulings
    }

    fn note_rulings(&mut self, actions: &[Action]) {
        for action in actions {
            match action {
                Action::RefereeCalled { job, task } => {
                    self.called.insert(*job, *task);
                }
                Action::Ruled { job, ruling, .. } => {
                    let task = self.called.remove(job);
                    self.rulings.extend(task.map(|task| RecordedRuling {
                        job: *job,
                        task,
                        ruling: *ruling,
                    }));
                }
                _ => {}
            }
        }
    }

    /// Compares the stored public events with the recomputed ones. Journals of earlier versions,
    /// and entries served by a genomaster, have none.
    fn check_feed(&mut self, entry: &Entry, public_events: &[PublicEvent]) -> Result<(), Fault> {
        let right = match &entry.feed {
            Some(published) => {
                serde_json::to_string(public_events).ok().as_ref() == Some(published)
            }
            None => public_events.is_empty() || !self.has_feed,
        };
        self.has_feed |= entry.feed.is_some();
        if right {
            Ok(())
        } else {
            Err(Fault::Feed {
                number: entry.number,
            })
        }
    }

    /// What is wrong with a finished run whose secret is not revealed. A genomaster reveals it in the
    /// transaction that finishes the run; without it nobody can check the seeds of the trainings.
    pub fn missing_secret(&self) -> Option<String> {
        let state = self.state();
        let is_missing = state.spec().secret_hash.is_some() && state.secret().is_none();
        let text = "the run is finished, but its secret is not revealed: its training seeds cannot be checked";
        (is_missing && state.is_finished()).then(|| text.to_owned())
    }

    /// Recomputes the verdict by the run's rules and compares it.
    fn verdict(&self, ended: &EndedJob) -> Result<(), Fault> {
        let rules = &self.state.spec().rules;
        // The referee's verdict does not follow from the rows alone. The state, which is recomputed from
        // the journal with the testimonies and rulings, has reached it.
        if rules.referee.is_some() {
            return Ok(());
        }
        let may_be_single = rules.trust.is_some() || rules.seats == 1;
        if may_be_single && ended.verdict.findings == [Finding::Trusted] {
            return Ok(());
        }
        let rows: Vec<_> = ended.rows.iter().map(|(_, row)| row.clone()).collect();
        if judge(&rows, &rules.agreement) == ended.verdict {
            Ok(())
        } else {
            Err(Fault::Verdict { job: ended.job })
        }
    }
}

/// Determines as precisely as possible what broke the chain.
fn locate(chain: JournalHead, entry: &Entry, following: &[Entry], broken: BrokenChain) -> Fault {
    let BrokenChain::Changed { number } = broken else {
        return Fault::JournalHead(broken);
    };
    let hash_of = |content: &Entry, before| {
        let now = naschain_consensus::Millis(content.now_ms);
        next_entry_hash(before, now, &content.event, content.proof.as_deref())
    };
    let moved = following.iter().find(|other| {
        let hash = hash_of(other, chain.hash);
        hash == other.hash || hash == entry.hash
    });
    if let Some(moved) = moved {
        let found = moved.number;
        return Fault::Moved { number, found };
    }
    let whole = hash_of(entry, chain.hash);
    match following.first() {
        Some(next) if hash_of(next, whole) == next.hash => Fault::EntryHash { number },
        _ => Fault::JournalHead(broken),
    }
}
