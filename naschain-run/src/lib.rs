#![doc = include_str!("../README.md")]

mod auditor;
mod differences;
mod ended_job;
mod epochs;
mod equivocation;
mod error;
mod events;
mod exam;
mod hash_chain;
mod history_chain;
mod latency;
mod latency_fit;
mod layer_latency;
mod limited_space;
mod limits;
mod problem;
mod proof;
mod provenance;
mod questions;
mod record;
mod replies;
mod requests;
mod sample;
mod scoring;
mod secret;
mod signed_requests;
mod spec;
mod state;

pub use auditor::{Auditor, Fault, RecordedRuling};
pub use differences::Difference;
pub use ended_job::{EndedJob, FrontMember};
pub use epochs::{EpochWeights, JudgedJob, epochs};
pub use equivocation::{Equivocation, NoEquivocation, SignedHead};
pub use error::Error;
pub use events::{Cursor, JudgedRow, NewFrontMember, PublicEvent, Publisher, server_sent_events};
pub use exam::Exam;
pub use hash_chain::{BrokenChain, Entry, JournalHead, next_entry_hash};
pub use history_chain::{HistoryChain, HistoryHead};
pub use latency::LatencyTable;
pub use layer_latency::LayerLatency;
pub use limited_space::LimitedSpace;
pub use limits::CostLimits;
pub use problem::{Problem, ProblemKind};
pub use proof::{Proof, ProofError, RequestRules, lease_in_path};
pub use provenance::{Signers, Unsigned};
pub use questions::{
    MinerQuestion, QuestionsReply, QuestionsRequest, ReceivedBytes, StatesRequest, question_in_path,
};
pub use record::{
    JobOutcome, MinerCounts, RecordColumns, RunRecord, SeatColumns, SeatFilter, SeatOutcome,
};
pub use replies::{AssignmentReply, EndedJobs, FrontEntry, Identity, Job, JobReply, JournalPage};
pub use requests::{
    AssignmentRequest, ExamRequest, HeartbeatRequest, JobRequest, JoinRequest, LeaveRequest,
    ResultRequest, Wanted,
};
pub use sample::{Sample, SampleSecret};
pub use scoring::{
    ForgedRow, ScoringReport, ScoringTerms, Standing, WrongRow, distrust, is_wrong_row, validate,
};
pub use secret::{RunSecret, seeded_recipe};
pub use signed_requests::{SignedRequests, Use};
pub use spec::{DataSpec, RunSpec, objectives};
pub use state::RunState;
