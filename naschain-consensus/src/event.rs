use serde::{Deserialize, Serialize};

use crate::{
    Ending, Failure, Finding, Grant, JobId, LeaseId, Millis, MinerId, NoWork, Row, Verdict,
};

/// What the world tells the board.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Event {
    /// A miner takes part from now on. Joining again is harmless.
    Join {
        /// The miner.
        miner: MinerId,
    },
    /// A miner takes part from now on, with an owner and room for several jobs.
    Register {
        /// The miner.
        miner: MinerId,
        /// Who it belongs to; an owner gets one seat of a job at most. Without one the miner
        /// is its own owner.
        owner: Option<MinerId>,
        /// How many jobs it trains at once, at least 1.
        capacity: u32,
    },
    /// A new job is to be trained.
    Open {
        /// Its number, never used before.
        #[serde(rename = "batch")]
        job: JobId,
        /// Its size: FLOPs of the whole training, or any number proportional to its duration.
        flops: u64,
    },
    /// A miner asks for work.
    Request {
        /// The miner.
        miner: MinerId,
    },
    /// A miner is still at work.
    Heartbeat {
        /// The miner.
        miner: MinerId,
        /// The lease it works under.
        lease: LeaseId,
        /// Training epochs finished so far.
        epoch: u32,
    },
    /// A miner answers.
    Submit {
        /// The miner.
        miner: MinerId,
        /// The lease it worked under.
        lease: LeaseId,
        /// Its answer.
        row: Row,
    },
    /// A miner takes part no longer; its leases end.
    Leave {
        /// The miner.
        miner: MinerId,
    },
    /// Time has passed. One that returns no action has changed nothing.
    Tick,
}

/// What the board did, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Action {
    /// The seats of a new job were drawn; `None` stays open to whoever asks.
    #[serde(rename = "dealt")]
    Assigned {
        /// The job.
        #[serde(rename = "batch")]
        job: JobId,
        /// The miner drawn for each seat.
        miners: Vec<Option<MinerId>>,
    },
    /// The answer to a request: train this.
    Leased {
        /// The miner.
        miner: MinerId,
        /// The job.
        #[serde(rename = "batch")]
        job: JobId,
        /// The seat, counted from 0.
        seat: usize,
        /// The token to heartbeat and answer with.
        lease: LeaseId,
        /// When the lease ends without a heartbeat.
        expires: Millis,
        /// Why this seat.
        grant: Grant,
    },
    /// The answer to a request: nothing for this miner now.
    Idle {
        /// The miner.
        miner: MinerId,
        /// Why not.
        #[serde(rename = "why")]
        reason: NoWork,
    },
    /// The answer to a heartbeat.
    Renewed {
        /// The miner.
        miner: MinerId,
        /// Its lease.
        lease: LeaseId,
        /// When it now ends without a heartbeat.
        expires: Millis,
    },
    /// A second miner's answer came after its seat was filled; it is kept until the job ends.
    Late {
        /// The miner.
        miner: MinerId,
        /// The job.
        #[serde(rename = "batch")]
        job: JobId,
        /// The seat.
        seat: usize,
        /// The lease, which ends by this.
        lease: LeaseId,
    },
    /// A second miner's answer fills another seat of the job, for which there was nobody else.
    Moved {
        /// The miner.
        miner: MinerId,
        /// The job.
        #[serde(rename = "batch")]
        job: JobId,
        /// The seat whose first answer this one was to check.
        from: usize,
        /// The seat that it fills.
        seat: usize,
    },
    /// An answer without numbers came while a second miner still works at the seat: the seat
    /// waits for that one. Or an answer came when its lease had just been revoked, because of
    /// others that were due to end.
    Discarded {
        /// The miner.
        miner: MinerId,
        /// The job.
        #[serde(rename = "batch")]
        job: JobId,
        /// The seat.
        seat: usize,
        /// The lease, which ends by this.
        lease: LeaseId,
        /// The answer.
        row: Row,
    },
    /// The answer of a second miner was held against the consensus of its job. It is rewarded
    /// if it agrees and came before the job ended; afterwards anybody could have copied it.
    SpotChecked {
        /// The miner.
        miner: MinerId,
        /// The job.
        #[serde(rename = "batch")]
        job: JobId,
        /// The answer.
        row: Row,
        /// What was found of it.
        #[serde(rename = "reason")]
        finding: Finding,
        /// Whether it earns a point.
        rewarded: bool,
    },
    /// An answer was counted for its seat.
    Filled {
        /// The miner.
        miner: MinerId,
        /// The job.
        #[serde(rename = "batch")]
        job: JobId,
        /// The seat.
        seat: usize,
        /// The lease, which ends by this.
        lease: LeaseId,
    },
    /// A lease ended because its time was over. Unless a second miner works at its seat, that is
    /// drawn anew or, when there is nobody to draw, open to all.
    Expired {
        /// The miner that held it.
        miner: MinerId,
        /// The job.
        #[serde(rename = "batch")]
        job: JobId,
        /// The seat.
        seat: usize,
        /// The lease.
        lease: LeaseId,
        /// Which time was over.
        #[serde(rename = "why")]
        reason: Ending,
    },
    /// A lease ended because its work is not needed any more, or because its miner left it.
    Revoked {
        /// The miner that held it.
        miner: MinerId,
        /// The job.
        #[serde(rename = "batch")]
        job: JobId,
        /// The seat.
        seat: usize,
        /// The lease.
        lease: LeaseId,
        /// Which of these.
        #[serde(rename = "why")]
        reason: Ending,
    },
    /// A seat whose miner is gone, or has given it up, was dealt to another one drawn at random.
    /// Without this action it is open to all.
    #[serde(rename = "redrawn")]
    Reassigned {
        /// The job.
        #[serde(rename = "batch")]
        job: JobId,
        /// The seat.
        seat: usize,
        /// The miner drawn for it.
        miner: MinerId,
    },
    /// A miner has been silent too long and is dealt nothing until it speaks again.
    Away {
        /// The miner.
        miner: MinerId,
    },
    /// Nobody agreed, so the job got more seats; its rows stay. For the operator's log, not for
    /// publication.
    Escalated {
        /// The job.
        #[serde(rename = "batch")]
        job: JobId,
        /// Why the rows so far do not suffice.
        verdict: Verdict,
        /// The miner drawn for each new seat.
        miners: Vec<Option<MinerId>>,
    },
    /// A job with one seat was taken by a miner that is not trusted, or its answer cannot stand
    /// alone, so it got all its seats.
    Widened {
        /// The job.
        #[serde(rename = "batch")]
        job: JobId,
        /// The miner drawn for each new seat.
        miners: Vec<Option<MinerId>>,
    },
    /// Nobody agreed, so the job was dealt to other miners. The job is still open: this is
    /// for the operator's log, not for publication.
    #[serde(rename = "redealt")]
    NewRound {
        /// The job.
        #[serde(rename = "batch")]
        job: JobId,
        /// Which dealing this is; the first one was 0.
        #[serde(rename = "dealing")]
        round: u32,
        /// Why the rows before were rejected.
        verdict: Verdict,
        /// The miner drawn for each seat.
        miners: Vec<Option<MinerId>>,
    },
    /// A job ended with agreement.
    Closed {
        /// The job.
        #[serde(rename = "batch")]
        job: JobId,
        /// Who answered what, seat by seat.
        rows: Vec<(MinerId, Row)>,
        /// Who agreed, and on what; its consensus is never `None`.
        verdict: Verdict,
    },
    /// A job ended without a result.
    Failed {
        /// The job.
        #[serde(rename = "batch")]
        job: JobId,
        /// Why.
        failure: Failure,
        /// The answers of the last dealing.
        rows: Vec<(MinerId, Row)>,
        /// What was wrong with each of them.
        verdict: Verdict,
    },
}
