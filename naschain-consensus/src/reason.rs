//! The reasons that actions give.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{LeaseId, Millis, MinerId};

/// Why a miner got a seat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Grant {
    /// The seat was assigned to it.
    #[serde(rename = "dealt")]
    Assigned,
    /// The seat was open.
    Open,
    /// Work stealing: the seat was assigned to a miner that had not started.
    #[serde(rename = "taken_over")]
    Stolen {
        /// That miner.
        from: MinerId,
    },
    /// The seat was assigned to a miner that had not started, and was drawn for this one, which has no
    /// good record yet.
    Trial {
        /// That miner.
        from: MinerId,
    },
    /// Speculative execution: the seat's miner is a straggler; the first valid answer of the two
    /// counts.
    #[serde(rename = "copied")]
    Speculative {
        /// The straggler.
        from: MinerId,
    },
    /// The miner held the seat already and requested work again, as after a crash; its old lease
    /// ended.
    #[serde(rename = "again")]
    Reissued {
        /// The old lease.
        old: LeaseId,
    },
}

/// Why a miner that requests work gets none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NoWork {
    /// No seat waits for a miner.
    #[serde(rename = "nothing_waits")]
    NothingPending,
    /// Seats wait, but this miner may take none of them: they are assigned to others, and its owner
    /// has a seat of the job or the job has the maximum number of self-selected miners.
    #[serde(rename = "not_for_this_miner")]
    NotEligible,
    /// Seats wait that it was not drawn for, but it was given as much as the fastest plausible
    /// miner could have trained by now.
    TooFast {
        /// When it may get such a seat again.
        until: Millis,
    },
    /// Seats wait that it was not drawn for, but the network's pace is unknown until half of the
    /// present miners have answered.
    PaceUnknown,
    /// It, or its owner, lost leases or gave bad answers.
    BackOff {
        /// When it may get a seat again.
        until: Millis,
    },
    /// It holds as many leases as its record allows, or its latest answer has lost a dispute; accepted
    /// answers raise that number.
    Probation,
    /// Open seats are about to be drawn among the miners that request work.
    Draw {
        /// When.
        until: Millis,
    },
    /// Jobs wait for miners without a good record.
    HeldUp {
        /// When the first of these jobs is not waited for any more.
        until: Millis,
    },
}

impl NoWork {
    /// When the miner should request work again although no event announces it.
    pub fn until(self) -> Option<Millis> {
        match self {
            NoWork::TooFast { until }
            | NoWork::BackOff { until }
            | NoWork::Draw { until }
            | NoWork::HeldUp { until } => Some(until),
            NoWork::NothingPending
            | NoWork::NotEligible
            | NoWork::PaceUnknown
            | NoWork::Probation => None,
        }
    }
}

/// Why a lease ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Ending {
    /// The answer came.
    Answered,
    /// No heartbeat came in time.
    Silent,
    /// It reached its maximum duration in spite of heartbeats.
    TooLong,
    /// Its miner requested work again and got the seat under a new lease.
    #[serde(rename = "asked_again")]
    Reissued,
    /// Its miner requested work again after having lost the job several times; the seat went to
    /// others.
    Forgotten,
    /// Its miner left.
    Left,
    /// Its job ended.
    #[serde(rename = "batch_ended")]
    JobEnded,
    /// A new round of its job started because no answers agreed.
    #[serde(rename = "redealt")]
    NewRound,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Ending::Answered => "its answer came",
            Ending::Silent => "no heartbeat came in time",
            Ending::TooLong => "it reached its maximum duration",
            Ending::Reissued => "its miner requested work again and got a new lease",
            Ending::Forgotten => "its miner requested work again and the seat went to others",
            Ending::Left => "its miner left",
            Ending::JobEnded => "its job ended",
            Ending::NewRound => "its job started a new round",
        })
    }
}

/// Why a job ended without a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Failure {
    /// More than half of the seats report a failed training.
    TrainingFailed {
        /// The reported reasons, in the order of seats.
        reasons: Vec<String>,
    },
    /// No two answers agreed in any round.
    NoAgreement {
        /// Number of rounds.
        #[serde(rename = "dealings")]
        rounds: u32,
    },
    /// Too many leases ended without an answer, and the answers do not agree.
    Abandoned {
        /// Number of these leases.
        leases: u32,
        /// The reasons of failed trainings among the answers, in the order of seats.
        reasons: Vec<String>,
    },
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::TrainingFailed { reasons } => f.write_str(&reasons.join("; ")),
            Failure::NoAgreement { .. } => f.write_str("no two miners agreed"),
            Failure::Abandoned { leases, reasons } => {
                write!(f, "{leases} leases ended without an answer")?;
                reasons
                    .iter()
                    .try_for_each(|reason| write!(f, "; {reason}"))
            }
        }
    }
}
