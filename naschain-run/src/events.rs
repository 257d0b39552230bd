//! The public events of a run, as they happen. Answers of open jobs are never published.

use std::collections::BTreeSet;

use naschain_consensus::{Action, Event, Failure, Finding, Grant, JobId, Millis, MinerId, Row};
use naschain_core::{Genome, Measurement};
use naschain_nsga::CandidateId;
use serde::{Deserialize, Serialize};

use crate::state::RunState;

/// An event as it is published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum PublicEvent {
    /// A miner has joined.
    MinerJoined {
        /// The miner.
        miner: MinerId,
    },
    /// A miner has been silent for too long, or has left.
    MinerAway {
        /// The miner.
        miner: MinerId,
    },
    /// A job was opened: a genome to train.
    #[serde(rename = "batch_opened")]
    JobOpened {
        /// The job.
        #[serde(rename = "batch")]
        job: JobId,
        /// The genome.
        genome: Genome,
        /// The number of miners that train it.
        seats: usize,
    },
    /// A miner got a lease for a seat.
    SeatTaken {
        /// The job.
        #[serde(rename = "batch")]
        job: JobId,
        /// The seat, counted from 0.
        seat: usize,
        /// The miner.
        miner: MinerId,
        /// Whether this is speculative execution of a straggler's seat.
        second: bool,
    },
    /// A miner's lease ended without an answer.
    SeatLost {
        /// The job.
        #[serde(rename = "batch")]
        job: JobId,
        /// The seat, counted from 0.
        seat: usize,
        /// The miner.
        miner: MinerId,
        /// Whether the lease expired; otherwise its work was no longer needed, or the miner left.
        expired: bool,
    },
    /// A miner has finished epochs.
    Progress {
        /// The job.
        #[serde(rename = "batch")]
        job: JobId,
        /// The seat, counted from 0.
        seat: usize,
        /// The miner.
        miner: MinerId,
        /// The number of finished epochs.
        epoch: u32,
    },
    /// A miner has answered. The answer is published with the verdict.
    Answered {
        /// The job.
        #[serde(rename = "batch")]
        job: JobId,
        /// The seat, counted from 0.
        seat: usize,
        /// The miner.
        miner: MinerId,
    },
    /// A job has ended.
    Verdict {
        /// The job.
        #[serde(rename = "batch")]
        job: JobId,
        /// Its genome.
        genome: Genome,
        /// The answers, with the finding on each.
        rows: Vec<JudgedRow>,
        /// The consensus, if there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        consensus: Option<Measurement>,
        /// Why there is no consensus.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<Failure>,
    },
    /// The Pareto front has changed.
    FrontChanged {
        /// The networks that were added.
        entered: Vec<NewFrontMember>,
        /// The jobs whose networks were removed.
        left: Vec<JobId>,
    },
    /// The search has started a new generation.
    Generation {
        /// Its number, counted from 1.
        number: usize,
        /// The total number of generations.
        of: usize,
    },
    /// The search is finished.
    Finished,
}

/// An answer with the finding on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JudgedRow {
    /// The miner.
    pub miner: MinerId,
    /// Its answer.
    pub row: Row,
    /// Whether it is rewarded.
    pub agreed: bool,
    /// Why it is rewarded, or why not.
    #[serde(rename = "reason")]
    pub finding: Finding,
}

/// A network that came to the front.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewFrontMember {
    /// Its job.
    #[serde(rename = "batch")]
    pub job: JobId,
    /// Its genome.
    pub genome: Genome,
    /// What the miners agreed on.
    pub measurement: Measurement,
}

/// Turns accepted events and what followed from them into public events.
pub struct Publisher {
    generation: usize,
    front: BTreeSet<JobId>,
    finished: bool,
}

impl Publisher {
    /// A publisher that has published everything up to this state.
    pub fn starting_at(state: &RunState) -> Publisher {
        Publisher {
            generation: state.search().generation(),
            front: front(state),
            finished: state.is_finished(),
        }
    }

    /// Returns the public events that an event caused; `state` is the state after it.
    pub fn publish(
        &mut self,
        state: &RunState,
        event: &Event,
        actions: &[Action],
    ) -> Vec<PublicEvent> {
        let mut public_events = Vec::new();
        if state.events() == 1 {
            public_events = beginning(state);
        }
        if let Event::Join { miner } | Event::Register { miner, .. } = event {
            let miner = miner.clone();
            public_events.push(PublicEvent::MinerJoined { miner });
        }
        if let Event::Leave { miner } = event {
            let miner = miner.clone();
            public_events.push(PublicEvent::MinerAway { miner });
        }
        let mut ended = false;
        for action in actions {
            public_events.extend(message(state, event, action));
            ended |= matches!(action, Action::Closed { .. } | Action::Failed { .. });
        }
        if ended {
            self.publish_search(state, &mut public_events);
        }
        public_events
    }

    fn publish_search(&mut self, state: &RunState, public_events: &mut Vec<PublicEvent>) {
        let front = front(state);
        if front != self.front {
            let entered = front.difference(&self.front);
            let entered = entered.filter_map(|job| {
                let ended = state.ended_job(*job)?;
                Some(NewFrontMember {
                    job: *job,
                    genome: ended.genome.clone(),
                    measurement: ended.verdict.consensus?,
                })
            });
            public_events.push(PublicEvent::FrontChanged {
                entered: entered.collect(),
                left: self.front.difference(&front).copied().collect(),
            });
            self.front = front;
        }
        let generation = state.search().generation();
        let of = state.search().config().generations;
        if generation != self.generation && generation <= of {
            public_events.push(PublicEvent::Generation {
                number: generation,
                of,
            });
        }
        self.generation = generation;
        if state.is_finished() && !self.finished {
            public_events.push(PublicEvent::Finished);
        }
        self.finished = state.is_finished();
    }
}

/// The first generation exists before the first event, and is published with it.
fn beginning(state: &RunState) -> Vec<PublicEvent> {
    let first = PublicEvent::Generation {
        number: state.search().generation(),
        of: state.spec().search.generations,
    };
    let opened = state.genomes().map(|(job, genome)| PublicEvent::JobOpened {
        job,
        genome: genome.clone(),
        seats: state.spec().rules.seats,
    });
    std::iter::once(first).chain(opened).collect()
}

fn front(state: &RunState) -> BTreeSet<JobId> {
    let front = state.search().front();
    let job = |CandidateId(id): CandidateId| JobId(id);
    front.iter().map(|point| job(point.id)).collect()
}

fn message(state: &RunState, event: &Event, action: &Action) -> Option<PublicEvent> {
    Some(match action.clone() {
        Action::Assigned { job, miners } => PublicEvent::JobOpened {
            job,
            genome: state.genome(job)?.clone(),
            seats: miners.len(),
        },
        Action::Leased {
            miner,
            job,
            seat,
            grant,
            ..
        } => PublicEvent::SeatTaken {
            job,
            seat,
            miner,
            second: matches!(grant, Grant::Speculative { .. }),
        },
        Action::Renewed { miner, lease, .. } => {
            let Event::Heartbeat { epoch, .. } = event else {
                return None;
            };
            let (job, seat) = state.board().seat_of(lease)?;
            PublicEvent::Progress {
                job,
                seat,
                miner,
                epoch: *epoch,
            }
        }
        Action::Filled {
            miner, job, seat, ..
        }
        | Action::Late {
            miner, job, seat, ..
        }
        | Action::Moved {
            miner, job, seat, ..
        }
        | Action::Discarded {
            miner, job, seat, ..
        } => PublicEvent::Answered { job, seat, miner },
        Action::Expired {
            miner, job, seat, ..
        } => PublicEvent::SeatLost {
            job,
            seat,
            miner,
            expired: true,
        },
        Action::Revoked {
            miner, job, seat, ..
        } => PublicEvent::SeatLost {
            job,
            seat,
            miner,
            expired: false,
        },
        Action::Away { miner } => PublicEvent::MinerAway { miner },
        Action::Closed { job, .. } | Action::Failed { job, .. } => verdict(state, job)?,
        // Idle miners are no news; the others say that answers of an open job differ.
        _ => return None,
    })
}

fn verdict(state: &RunState, job: JobId) -> Option<PublicEvent> {
    let ended = state.ended_job(job)?;
    let verdict = &ended.verdict;
    let judged = ended
        .rows
        .iter()
        .zip(verdict.agreed.iter().zip(&verdict.findings));
    let judged = judged.map(|((miner, row), (agreed, finding))| JudgedRow {
        miner: miner.clone(),
        row: row.clone(),
        agreed: *agreed,
        finding: *finding,
    });
    Some(PublicEvent::Verdict {
        job,
        genome: ended.genome.clone(),
        rows: judged.collect(),
        consensus: verdict.consensus,
        failure: ended.failure.clone(),
    })
}

/// A position in the stream of public events: the number of the journal's event, and the index of
/// the public event among those that it caused. Written as `17.2`; `17` means after all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// The number of the event.
    pub number: u64,
    /// The index of the public event, from 0; the maximum means after all of them.
    pub part: u64,
}

impl std::str::FromStr for Cursor {
    type Err = String;

    fn from_str(text: &str) -> Result<Cursor, String> {
        let wrong =
            || format!("{text:?} is not a position in the event stream; use one such as 17.2 or 0");
        let (number, part) = match text.split_once('.') {
            Some((number, part)) => (number, part.parse().map_err(|_| wrong())?),
            None => (text, u64::MAX),
        };
        let number = number.parse().map_err(|_| wrong())?;
        Ok(Cursor { number, part })
    }
}

#[derive(Serialize)]
struct Timed<'a> {
    now_ms: u64,
    #[serde(flatten)]
    message: &'a PublicEvent,
}

/// Appends the public events of one event after `cursor` as server-sent events, until the text has at
/// least `max_bytes`. Returns the cursor of the last one that was appended if others are left.
pub fn server_sent_events(
    number: u64,
    now: Millis,
    public_events: &[PublicEvent],
    cursor: Cursor,
    max_bytes: usize,
    text: &mut String,
) -> Option<Cursor> {
    for (part, message) in public_events.iter().enumerate() {
        let place = Cursor {
            number,
            part: part as u64,
        };
        let now_ms = now.0;
        if place <= cursor {
            continue;
        }
        let Ok(data) = serde_json::to_string(&Timed { now_ms, message }) else {
            continue;
        };
        text.push_str(&format!("id: {number}.{part}\ndata: {data}\n\n"));
        if text.len() >= max_bytes && part + 1 < public_events.len() {
            return Some(place);
        }
    }
    None
}
