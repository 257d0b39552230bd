//! Why the board did what it did.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{LeaseId, Millis, MinerId};

/// Why a miner was given a seat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Grant {
    /// The seat was dealt to it.
    #[serde(rename = "dealt")]
    Assigned,
    /// The seat was nobody's.
    Open,
    /// The seat was dealt to a miner that had not started on it.
    #[serde(rename = "taken_over")]
    Stolen {
        /// That miner.
        from: MinerId,
    },
    /// The seat's first miner lags; the first valid answer of the two counts.
    #[serde(rename = "copied")]
    Speculative {
        /// The miner that lags.
        from: MinerId,
    },
    /// The miner held the seat already and asked again, as after a crash; its old lease ended.
    #[serde(rename = "again")]
    Reissued {
        /// The old lease.
        old: LeaseId,
    },
}

/// Why a miner that asks is given nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NoWork {
    /// No seat waits for anybody.
    #[serde(rename = "nothing_waits")]
    NothingPending,
    /// Seats wait, but this miner may have none of them: they are dealt to others, and it or its
    /// owner has a seat of the job, or as many as may be were taken over.
    #[serde(rename = "not_for_this_miner")]
    NotEligible,
    /// Seats wait that it was not drawn for, but it has been given as much as the fastest miner
    /// that is believed could have done by now.
    TooFast {
        /// When it may ask again.
        until: Millis,
    },
    /// Seats wait that it was not drawn for, but half of the miners present have not answered yet,
    /// and before that nothing is known of the network's pace.
    PaceUnknown,
}

/// Why a lease ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Ending {
    /// Its answer came.
    Answered,
    /// No heartbeat came in time.
    Silent,
    /// It was held for too long, in spite of its heartbeats.
    TooLong,
    /// Its miner asked again and got the seat under a new lease.
    #[serde(rename = "asked_again")]
    Reissued,
    /// Its miner asked again, so it had forgotten the job, and the seat went to others.
    Forgotten,
    /// Its miner left.
    Left,
    /// Its job ended without it.
    #[serde(rename = "batch_ended")]
    JobEnded,
    /// Its job was dealt anew because nobody agreed.
    #[serde(rename = "redealt")]
    NewRound,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Ending::Answered => "its answer came",
            Ending::Silent => "no heartbeat came in time",
            Ending::TooLong => "it was held for too long",
            Ending::Reissued => "its miner asked again and got a new lease",
            Ending::Forgotten => "its miner asked again and the seat went to others",
            Ending::Left => "its miner left",
            Ending::JobEnded => "its job ended",
            Ending::NewRound => "its job was dealt anew",
        })
    }
}

/// Why a job ended without a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Failure {
    /// More than half of the seats report that the training failed.
    TrainingFailed {
        /// What they report, in the order of seats.
        reasons: Vec<String>,
    },
    /// No two rows agreed, however often the job was dealt.
    NoAgreement {
        /// How many dealings there were.
        #[serde(rename = "dealings")]
        rounds: u32,
    },
    /// Too many of its leases ended without an answer, and those that answered do not agree.
    Abandoned {
        /// How many.
        leases: u32,
        /// What the training failures among the answers report, in the order of seats.
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
