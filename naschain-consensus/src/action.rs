//! Outputs of a job board.

use serde::{Deserialize, Serialize};

use crate::{
    Ending, Failure, Finding, Grant, JobId, LeaseId, Millis, MinerId, NoWork, Question, QuestionId,
    RefereeTask, Row, Ruling, Verdict,
};

/// A consequence of an event.
///
/// Serialised names as for [`Event`](crate::Event).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Action {
    /// The seats of a new job were assigned.
    #[serde(rename = "dealt")]
    Assigned {
        /// The job.
        #[serde(rename = "batch")]
        job: JobId,
        /// The miner drawn for each seat; `None` for an open seat.
        miners: Vec<Option<MinerId>>,
    },
    /// The answer to a request: train this job.
    Leased {
        /// The miner.
        miner: MinerId,
        /// The job.
        #[serde(rename = "batch")]
        job: JobId,
        /// The seat, counted from 0.
        seat: usize,
        /// The token for heartbeats and the answer.
        lease: LeaseId,
        /// When the lease expires without a heartbeat.
        expires: Millis,
        /// Why this seat.
        grant: Grant,
    },
    /// The answer to a request: no work for this miner now.
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
        /// When it now expires without a heartbeat.
        expires: Millis,
    },
    /// A late answer came: the seat was filled by the other miner that trained for it. The answer
    /// is kept until the job ends.
    Late {
        /// The miner.
        miner: MinerId,
        /// The job.
        #[serde(rename = "batch")]
        job: JobId,
        /// The seat.
        seat: usize,
        /// The lease, which has ended.
        lease: LeaseId,
    },
    /// A late answer fills another seat of the job, for which no miner could be drawn.
    Moved {
        /// The miner.
        miner: MinerId,
        /// The job.
        #[serde(rename = "batch")]
        job: JobId,
        /// The seat that the answer was late for.
        from: usize,
        /// The seat that it now fills.
        seat: usize,
    },
    /// An answer does not count: it is no measurement and a speculative miner still works at the seat,
    /// which waits for that one; or its lease was revoked just before, because of other leases that
    /// were due.
    Discarded {
        /// The miner.
        miner: MinerId,
        /// The job.
        #[serde(rename = "batch")]
        job: JobId,
        /// The seat.
        seat: usize,
        /// The lease, which has ended.
        lease: LeaseId,
        /// The answer.
        row: Row,
    },
    /// A late answer was compared with the consensus of its job. It is rewarded if it agrees and
    /// came before the job ended; afterwards it could have been copied.
    #[serde(rename = "spot_checked")]
    LateJudged {
        /// The miner.
        miner: MinerId,
        /// The job.
        #[serde(rename = "batch")]
        job: JobId,
        /// The answer.
        row: Row,
        /// How it compares with the consensus.
        #[serde(rename = "reason")]
        finding: Finding,
        /// Whether it earns a point.
        rewarded: bool,
    },
    /// An answer fills its seat.
    Filled {
        /// The miner.
        miner: MinerId,
        /// The job.
        #[serde(rename = "batch")]
        job: JobId,
        /// The seat.
        seat: usize,
        /// The lease, which has ended.
        lease: LeaseId,
    },
    /// A lease exceeded a time limit. Unless a speculative miner works at its seat, the seat is
    /// reassigned or, if no miner can be drawn, open.
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
        /// Which time limit it exceeded.
        #[serde(rename = "why")]
        reason: Ending,
    },
    /// A lease ended because its work is not needed any more, or because its miner gave it up.
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
        /// Why it ended.
        #[serde(rename = "why")]
        reason: Ending,
    },
    /// A seat whose miner is away, or has given it up, was assigned to another miner drawn at
    /// random. Without this action the seat is open.
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
    /// A miner was silent for too long; it gets no assignments until it sends a message.
    Away {
        /// The miner.
        miner: MinerId,
    },
    /// No answers agree, so the job got additional seats; its answers are kept. For the operator's
    /// log; not to be published while the job is open.
    Escalated {
        /// The job.
        #[serde(rename = "batch")]
        job: JobId,
        /// The verdict on the answers so far.
        verdict: Verdict,
        /// The miner drawn for each additional seat; `None` for an open seat.
        miners: Vec<Option<MinerId>>,
    },
    /// A job with a single seat got all its seats: its miner is not trusted, or its answer is no
    /// measurement.
    Widened {
        /// The job.
        #[serde(rename = "batch")]
        job: JobId,
        /// The miner drawn for each additional seat; `None` for an open seat.
        miners: Vec<Option<MinerId>>,
    },
    /// No answers agree, so a new round of the job started with other miners. For the operator's
    /// log; not to be published while the job is open.
    #[serde(rename = "redealt")]
    NewRound {
        /// The job.
        #[serde(rename = "batch")]
        job: JobId,
        /// The number of the new round; the first one was 0.
        #[serde(rename = "dealing")]
        round: u32,
        /// The verdict on the answers of the previous round.
        verdict: Verdict,
        /// The miner drawn for each seat; `None` for an open seat.
        miners: Vec<Option<MinerId>>,
    },
    /// The answers of a job differ, and the referee will decide between them. For the operator's log;
    /// not to be published while the job is open.
    Disputed {
        /// The job.
        #[serde(rename = "batch")]
        job: JobId,
        /// The miners of each group of equal measurements.
        claims: Vec<Vec<MinerId>>,
    },
    /// A job got one more seat: it was drawn for a spot check, or the only answer left of a dispute is
    /// that of a single miner because others were silent.
    SeatAdded {
        /// The job.
        #[serde(rename = "batch")]
        job: JobId,
        /// The seat.
        seat: usize,
        /// The miner drawn for it; `None` for an open seat.
        miner: Option<MinerId>,
    },
    /// A miner is asked a question about a training that it has answered.
    Asked {
        /// The miner.
        miner: MinerId,
        /// The job.
        #[serde(rename = "batch")]
        job: JobId,
        /// The token for the answer.
        question: QuestionId,
        /// The question.
        what: Question,
        /// When the time to answer is over.
        until: Millis,
    },
    /// A miner has not answered a question in time, or has left. Somebody else is asked if there is
    /// anybody.
    Unanswered {
        /// The miner.
        miner: MinerId,
        /// The job.
        #[serde(rename = "batch")]
        job: JobId,
        /// The question.
        question: QuestionId,
    },
    /// The caller should compute what the referee needs, and report it by [`Event::Ruled`](crate::Event::Ruled).
    RefereeCalled {
        /// The job.
        #[serde(rename = "batch")]
        job: JobId,
        /// What to compute.
        task: RefereeTask,
    },
    /// The referee's result decided between answers of a job.
    Ruled {
        /// The job.
        #[serde(rename = "batch")]
        job: JobId,
        /// What it found.
        ruling: Ruling,
        /// The miners whose answers it refutes.
        refuted: Vec<MinerId>,
    },
    /// A miner has delivered the trained weights of a job.
    Collected {
        /// The job.
        #[serde(rename = "batch")]
        job: JobId,
        /// The miner.
        miner: MinerId,
    },
    /// None of the miners that were asked delivered the trained weights of a job.
    NotCollected {
        /// The job.
        #[serde(rename = "batch")]
        job: JobId,
    },
    /// A job ended with agreement.
    Closed {
        /// The job.
        #[serde(rename = "batch")]
        job: JobId,
        /// The answers with their miners, in the order of seats.
        rows: Vec<(MinerId, Row)>,
        /// The verdict on them; its consensus is never `None`.
        verdict: Verdict,
    },
    /// A job ended without a result.
    Failed {
        /// The job.
        #[serde(rename = "batch")]
        job: JobId,
        /// Why.
        failure: Failure,
        /// The answers of the last round.
        rows: Vec<(MinerId, Row)>,
        /// The verdict on them.
        verdict: Verdict,
    },
}
