//! What the public is told of a run as it happens; never an answer of a job that is still open.

use std::collections::BTreeSet;

use naschain_consensus::{Action, Event, Failure, Finding, Grant, JobId, Millis, MinerId, Row};
use naschain_core::{Genome, Measurement};
use naschain_nsga::CandidateId;
use serde::{Deserialize, Serialize};

use crate::state::RunState;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum PublicEvent {
    /// A miner takes part.
    MinerJoined {
        /// The miner.
        miner: MinerId,
    },
    /// A miner is silent, or left.
    MinerAway {
        /// The miner.
        miner: MinerId,
    },
    /// A genome is to be trained.
    #[serde(rename = "batch_opened")]
    JobOpened {
        /// Its job.
        #[serde(rename = "batch")]
        job: JobId,
        /// The genome.
        genome: Genome,
        /// How many miners are to train it.
        seats: usize,
    },
    /// A miner trains at a seat.
    SeatTaken {
        /// The job.
        #[serde(rename = "batch")]
        job: JobId,
        /// The seat, counted from 0.
        seat: usize,
        /// The miner.
        miner: MinerId,
        /// Whether it is a second miner beside one that lags.
        second: bool,
    },
    /// A miner works at a seat no more, without an answer.
    SeatLost {
        /// The job.
        #[serde(rename = "batch")]
        job: JobId,
        /// The seat, counted from 0.
        seat: usize,
        /// The miner.
        miner: MinerId,
        /// Whether its time ran out; else the work was not needed any more or the miner left.
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
        /// How many epochs.
        epoch: u32,
    },
    /// A miner has answered. What it answered is told with the verdict.
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
        /// Who answered what, and what was found of it.
        rows: Vec<JudgedRow>,
        /// What was agreed on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        consensus: Option<Measurement>,
        /// Why there is no result.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<Failure>,
    },
    /// The Pareto front has changed.
    FrontChanged {
        /// Networks that are on it now.
        entered: Vec<NewFrontMember>,
        /// Jobs whose networks are not any more.
        left: Vec<JobId>,
    },
    /// The search has gone on to a generation.
    Generation {
        /// Its number, counted from 1.
        number: usize,
        /// How many there will be.
        of: usize,
    },
    /// The search is finished.
    Finished,
}

/// An answer and what was found of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JudgedRow {
    /// Who answered.
    pub miner: MinerId,
    /// What.
    pub row: Row,
    /// Whether it is rewarded.
    pub agreed: bool,
    /// Why, or why not.
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

/// Turns accepted events and what followed from them into messages.
pub struct Publisher {
    generation: usize,
    front: BTreeSet<JobId>,
    finished: bool,
}

impl Publisher {
    /// One that has told everything up to this state.
    pub fn starting_at(state: &RunState) -> Publisher {
        Publisher {
            generation: state.search().generation(),
            front: front(state),
            finished: state.is_finished(),
        }
    }

    /// What is to be told of an event; `state` is the one after it.
    pub fn publish(
        &mut self,
        state: &RunState,
        event: &Event,
        actions: &[Action],
    ) -> Vec<PublicEvent> {
        let mut messages = Vec::new();
        if state.events() == 1 {
            messages = beginning(state);
        }
        if let Event::Join { miner } | Event::Register { miner, .. } = event {
            let miner = miner.clone();
            messages.push(PublicEvent::MinerJoined { miner });
        }
        if let Event::Leave { miner } = event {
            let miner = miner.clone();
            messages.push(PublicEvent::MinerAway { miner });
        }
        let mut ended = false;
        for action in actions {
            messages.extend(message(state, event, action));
            ended |= matches!(action, Action::Closed { .. } | Action::Failed { .. });
        }
        if ended {
            self.publish_search(state, &mut messages);
        }
        messages
    }

    fn publish_search(&mut self, state: &RunState, messages: &mut Vec<PublicEvent>) {
        let front = front(state);
        if front != self.front {
            let entered = front.difference(&self.front);
            let entered = entered.filter_map(|job| {
                let ended = state.closed_job(*job)?;
                Some(NewFrontMember {
                    job: *job,
                    genome: ended.genome.clone(),
                    measurement: ended.verdict.consensus?,
                })
            });
            messages.push(PublicEvent::FrontChanged {
                entered: entered.collect(),
                left: self.front.difference(&front).copied().collect(),
            });
            self.front = front;
        }
        let generation = state.search().generation();
        let of = state.spec().search.generations;
        if generation != self.generation && generation <= of {
            messages.push(PublicEvent::Generation {
                number: generation,
                of,
            });
        }
        self.generation = generation;
        if state.is_finished() && !self.finished {
            messages.push(PublicEvent::Finished);
        }
        self.finished = state.is_finished();
    }
}

/// The first generation is there before the first event, and is told with it.
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
    let ended = state.closed_job(job)?;
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

/// The place of a message in the feed: the number of its event in the journal, and its place
/// among the messages of that event, counted from 0. Written as `17.2`; `17` alone stands after
/// all of that event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// The number of the event.
    pub number: u64,
    /// The place of the message; the greatest number stands after all.
    pub part: u64,
}

impl std::str::FromStr for Cursor {
    type Err = String;

    fn from_str(text: &str) -> Result<Cursor, String> {
        let wrong = || format!("{text:?} is no place in the feed, such as 17.2 or 0");
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

/// The messages of one event after `cursor`, as server-sent events.
pub fn server_sent_events(
    number: u64,
    now: Millis,
    messages: &[PublicEvent],
    cursor: Cursor,
    text: &mut String,
) {
    for (part, message) in messages.iter().enumerate() {
        let place = Cursor {
            number,
            part: part as u64,
        };
        let now_ms = now.0;
        let Ok(data) = serde_json::to_string(&Timed { now_ms, message }) else {
            continue;
        };
        if place > cursor {
            text.push_str(&format!("id: {number}.{part}\ndata: {data}\n\n"));
        }
    }
}
