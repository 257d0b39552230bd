//! A run recomputed from its journal alone, entry by entry, until something is wrong.

use naschain_consensus::{Finding, JobId, Rejected, judge};

use crate::closed_job::ClosedJob;
use crate::error::Error;
use crate::events::{PublicEvent, Publisher};
use crate::hash_chain::{BrokenChain, Entry, JournalHead, next_entry_hash};
use crate::proof::Proof;
use crate::provenance::{Provenance, Signers, Source};
use crate::spec::RunSpec;
use crate::state::RunState;

/// What is wrong with a journal, or with what is said of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The chain of digests does not hold.
    #[error(transparent)]
    JournalHead(#[from] BrokenChain),
    /// An event stands at another place than it was written at.
    #[error("event {number} was moved: what stands at {found} belongs there")]
    Moved {
        /// Where it belongs.
        number: u64,
        /// Where it stands.
        found: u64,
    },
    /// The event is whole and its link is not.
    #[error("the link of event {number} was changed")]
    Link {
        /// The number of the event.
        number: u64,
    },
    /// The rules do not allow the event.
    #[error("event {number} is against the rules: {rejected}")]
    Refused {
        /// The number of the event.
        number: u64,
        /// What the job board says.
        rejected: Rejected,
    },
    /// The event follows from nothing, so that the genomaster must not have written it.
    #[error("event {number} changes nothing, and should not be in the journal")]
    Void {
        /// The number of the event.
        number: u64,
    },
    /// Whoever the event names did not send it, or not now.
    #[error("event {number}: {reason}")]
    Proof {
        /// The number of the event.
        number: u64,
        /// What is wrong.
        reason: String,
    },
    /// What was told to the public does not follow from the journal.
    #[error("what was told of event {number} does not follow from the journal")]
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

/// Follows a journal from the run's specification on.
pub struct Auditor {
    chain: JournalHead,
    provenance: Provenance,
    state: RunState,
    publisher: Publisher,
    /// Whether something was told of an event so far.
    has_feed: bool,
    /// Events whose sender signed the request for them.
    pub signed: u64,
    /// Events that name a sender without a proof.
    pub unsigned: u64,
}

impl Auditor {
    /// One that stands before the first entry.
    ///
    /// # Errors
    /// Where the specification is invalid.
    pub fn new(spec: RunSpec, signers: Signers) -> Result<Auditor, Error> {
        let run = spec.digest();
        let state = RunState::new(spec)?;
        Ok(Auditor {
            chain: JournalHead::root(run),
            provenance: Provenance::new(run, signers),
            publisher: Publisher::starting_at(&state),
            state,
            has_feed: false,
            signed: 0,
            unsigned: 0,
        })
    }

    /// How far it has come.
    pub fn head(&self) -> JournalHead {
        self.chain
    }

    /// The state that follows from the entries so far.
    pub fn state(&self) -> &RunState {
        &self.state
    }

    /// Takes the next entry. `following` are those after it, as many as are at hand: they tell a
    /// changed event from a moved one.
    ///
    /// # Errors
    /// The first thing that is wrong; nothing after it can be verified.
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
            Source::Tick => {}
            Source::Unsigned => self.unsigned += 1,
            Source::Signed(..) | Source::Repeated(..) => self.signed += 1,
        }
        let ended = self.state.closed().len();
        let actions = self
            .state
            .apply(now, event.clone(), proof)
            .map_err(|rejected| Fault::Refused { number, rejected })?;
        if self.state.events() != number {
            return Err(Fault::Void { number });
        }
        let after = self.provenance.record(now, sent, &event, &actions);
        after.map_err(wrong)?;
        let messages = self.publisher.publish(&self.state, &event, &actions);
        self.check_feed(entry, &messages)?;
        for closed in &self.state.closed()[ended..] {
            self.verdict(closed)?;
        }
        Ok(())
    }

    /// Holds what was told against what follows. Journals of earlier versions, and those that a
    /// genomaster shows, have no such column at all.
    fn check_feed(&mut self, entry: &Entry, messages: &[PublicEvent]) -> Result<(), Fault> {
        let right = match &entry.feed {
            Some(published) => serde_json::to_string(messages).ok().as_ref() == Some(published),
            None => messages.is_empty() || !self.has_feed,
        };
        self.has_feed |= entry.feed.is_some();
        match right {
            true => Ok(()),
            false => Err(Fault::Feed {
                number: entry.number,
            }),
        }
    }

    /// Reaches the verdict again by the rules of the run.
    fn verdict(&self, closed: &ClosedJob) -> Result<(), Fault> {
        let rules = &self.state.spec().rules;
        if rules.trust.is_some() && closed.verdict.findings == [Finding::Trusted] {
            return Ok(());
        }
        let rows: Vec<_> = closed.rows.iter().map(|(_, row)| row.clone()).collect();
        match judge(&rows, &rules.agreement) == closed.verdict {
            true => Ok(()),
            false => Err(Fault::Verdict { job: closed.job }),
        }
    }
}

/// Says as exactly as can be known what broke the chain.
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
        Some(next) if hash_of(next, whole) == next.hash => Fault::Link { number },
        _ => Fault::JournalHead(broken),
    }
}
