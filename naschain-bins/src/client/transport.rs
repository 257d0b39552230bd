//! A miner's connection to the genomaster: calls in the same process, or HTTP.

use std::sync::Arc;
use std::time::Duration;

use naschain_consensus::{Event, LeaseId, MinerId, QuestionId, Rejected, Row};
use naschain_core::{Digest, StepState};

use crate::client::{Client, ClientError, Joined};
use crate::coordinator::Coordinator;
use crate::coordinator::call_error::CallError;
use crate::coordinator::received::FilePart;
use naschain_run::{Exam, JobReply, ProblemKind, QuestionsReply, RunSpec};

/// A connection to the genomaster.
#[derive(Clone)]
pub enum Transport {
    /// In the same process.
    Local(Arc<Coordinator>),
    /// Over the network.
    Http(Client),
}

/// Why a call failed; the variants differ in how to react.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// Try again later.
    #[error("the genomaster is unavailable: {0}")]
    Unavailable(String),
    /// The lease has ended: stop the training and request new work.
    #[error("{0}")]
    LeaseEnded(String),
    /// The genomaster has another run: fetch its specification and join it.
    #[error("{0}")]
    OtherRun(String),
    /// Join first.
    #[error("{0}")]
    NotJoined(String),
    /// The request was processed and rejected; do not repeat it.
    #[error("the genomaster rejected the request: {0}")]
    Refused(String),
    /// The request was not processed: its sender is not authenticated or not allowed, or the server
    /// is not a genomaster.
    #[error("the genomaster did not process the request: {0}")]
    NotProcessed(String),
}

impl Transport {
    /// Whether the genomaster is in the same process.
    pub fn is_local(&self) -> bool {
        matches!(self, Transport::Local(_))
    }

    /// The run's specification.
    pub async fn run(&self) -> Result<RunSpec, TransportError> {
        match self {
            Transport::Local(coordinator) => Ok(coordinator.spec().clone()),
            Transport::Http(client) => Ok(client.run().await?),
        }
    }

    /// Joins the run with this number of concurrent jobs.
    pub async fn join(
        &self,
        miner: &MinerId,
        run: Digest,
        jobs: u32,
    ) -> Result<Joined, TransportError> {
        match self {
            Transport::Local(coordinator) => {
                let register = Event::Register {
                    miner: miner.clone(),
                    owner: None,
                    capacity: jobs,
                };
                coordinator.handle(register, None).await?;
                Ok(Joined::Admitted)
            }
            Transport::Http(client) => Ok(client.join_with(miner, run, Some(jobs)).await?),
        }
    }

    /// Sends the result of an entrance examination.
    pub async fn pass_exam(
        &self,
        miner: &MinerId,
        exam: &Exam,
        digest: Digest,
    ) -> Result<(), TransportError> {
        match self {
            // In one process there is no entrance examination.
            Transport::Local(_) => Ok(()),
            Transport::Http(client) => Ok(client.pass_exam(miner, exam, digest).await?),
        }
    }

    /// Leaves the run.
    pub async fn leave(&self, miner: &MinerId, run: Digest) -> Result<(), TransportError> {
        match self {
            Transport::Local(coordinator) => {
                let miner = miner.clone();
                coordinator.handle(Event::Leave { miner }, None).await?;
            }
            Transport::Http(client) => client.leave(miner, run).await?,
        }
        Ok(())
    }

    /// Requests work and waits for it, at most `wait_ms` milliseconds.
    pub async fn request(
        &self,
        miner: &MinerId,
        run: Digest,
        wait_ms: u64,
    ) -> Result<JobReply, TransportError> {
        let wait = Duration::from_millis(wait_ms);
        match self {
            Transport::Local(coordinator) => Ok(coordinator.request(miner, wait, None).await?),
            Transport::Http(client) => Ok(client.request(miner, run, wait_ms).await?),
        }
    }

    /// Reports that `epoch` epochs are finished and the training continues.
    pub async fn heartbeat(
        &self,
        miner: &MinerId,
        run: Digest,
        lease: LeaseId,
        epoch: u32,
    ) -> Result<(), TransportError> {
        match self {
            Transport::Local(coordinator) => {
                Ok(coordinator.heartbeat(miner, lease, epoch, None).await?)
            }
            Transport::Http(client) => Ok(client.heartbeat(miner, run, lease, epoch).await?),
        }
    }

    /// Submits the answer to a job of this run.
    pub async fn submit(
        &self,
        miner: &MinerId,
        run: Digest,
        lease: LeaseId,
        row: &Row,
    ) -> Result<(), TransportError> {
        match self {
            Transport::Local(coordinator) => {
                coordinator.submit(miner, lease, row.clone(), None).await?;
                Ok(())
            }
            Transport::Http(client) => Ok(client.submit(miner, run, lease, row).await?),
        }
    }

    /// The questions that the miner has to answer; waits for one, at most `wait_ms` milliseconds.
    pub async fn questions(
        &self,
        miner: &MinerId,
        run: Digest,
        wait_ms: u64,
    ) -> Result<QuestionsReply, TransportError> {
        let wait = Duration::from_millis(wait_ms);
        match self {
            Transport::Local(coordinator) => Ok(coordinator.questions(miner, wait).await?),
            Transport::Http(client) => Ok(client.questions(miner, run, wait_ms).await?),
        }
    }

    /// A file that a miner has delivered; `None` in the same process, where miners share checkpoints.
    pub(crate) async fn file(
        &self,
        digest: Digest,
        max_bytes: usize,
    ) -> Result<Option<Vec<u8>>, TransportError> {
        match self {
            Transport::Local(_) => Ok(None),
            Transport::Http(client) => Ok(Some(client.file(digest, max_bytes).await?)),
        }
    }

    /// Answers a question about the states of a training.
    pub async fn testify(
        &self,
        miner: &MinerId,
        run: Digest,
        question: QuestionId,
        states: Vec<StepState>,
    ) -> Result<(), TransportError> {
        match self {
            Transport::Local(coordinator) => {
                Ok(coordinator.testify(miner, question, states, None).await?)
            }
            Transport::Http(client) => Ok(client.testify(miner, run, question, states).await?),
        }
    }

    /// How many bytes of a file were received.
    pub async fn received(
        &self,
        miner: &MinerId,
        question: QuestionId,
    ) -> Result<u64, TransportError> {
        let received = match self {
            Transport::Local(coordinator) => coordinator.received(Some(miner), question).await?,
            Transport::Http(client) => client.received(miner, question).await?,
        };
        Ok(received.received)
    }

    /// Sends a part of a file of `size` bytes, from `offset` on; returns how many bytes were received.
    pub async fn put_part(
        &self,
        miner: &MinerId,
        question: QuestionId,
        offset: u64,
        size: u64,
        bytes: Vec<u8>,
    ) -> Result<u64, TransportError> {
        let received = match self {
            Transport::Local(coordinator) => {
                let part = FilePart {
                    offset,
                    size,
                    bytes,
                };
                coordinator.receive(Some(miner), question, part).await?
            }
            Transport::Http(client) => {
                client
                    .put_part(miner, question, offset, size, bytes)
                    .await?
            }
        };
        Ok(received.received)
    }
}

impl From<CallError> for TransportError {
    fn from(error: CallError) -> TransportError {
        let text = error.to_string();
        match error {
            CallError::Rejected(Rejected::StaleLease { .. }) => TransportError::LeaseEnded(text),
            CallError::Rejected(Rejected::UnknownMiner { .. }) => TransportError::NotJoined(text),
            CallError::Unavailable(_) => TransportError::Unavailable(text),
            _ => TransportError::Refused(text),
        }
    }
}

impl From<ClientError> for TransportError {
    fn from(error: ClientError) -> TransportError {
        let text = error.to_string();
        let ClientError::Refused(problem) = error else {
            return TransportError::Unavailable(text);
        };
        match problem.kind {
            // A lease is unknown if another run has taken over the address.
            ProblemKind::StaleLease | ProblemKind::UnknownLease => TransportError::LeaseEnded(text),
            ProblemKind::WrongRun => TransportError::OtherRun(text),
            ProblemKind::UnknownMiner => TransportError::NotJoined(text),
            kind if kind.was_processed() => TransportError::Refused(text),
            // The result stays in the outbox, to be delivered when the problem is solved.
            _ => TransportError::NotProcessed(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use naschain_run::Problem;

    #[test]
    fn only_processed_requests_are_rejected_for_good() {
        let found = |status, kind: ProblemKind| {
            let problem = Problem {
                kind,
                status,
                detail: "it".to_owned(),
            };
            TransportError::from(ClientError::Refused(problem))
        };
        for (status, kind) in [
            (409, ProblemKind::Refused),
            (422, ProblemKind::WrongData),
            (403, ProblemKind::NotYours),
        ] {
            assert!(
                matches!(found(status, kind.clone()), TransportError::Refused(_)),
                "{kind}"
            );
        }
        for (status, kind) in [
            (401, ProblemKind::WrongReceiver),
            (401, ProblemKind::Unsigned),
            (403, ProblemKind::NotAllowed),
            (403, ProblemKind::NotYou),
            (404, ProblemKind::NotFound),
            (413, ProblemKind::BodyTooLarge),
        ] {
            assert!(
                matches!(found(status, kind.clone()), TransportError::NotProcessed(_)),
                "{kind}"
            );
        }
        assert!(matches!(
            found(409, ProblemKind::StaleLease),
            TransportError::LeaseEnded(_)
        ));
        assert!(matches!(
            found(404, ProblemKind::UnknownLease),
            TransportError::LeaseEnded(_)
        ));
        assert!(matches!(
            found(404, ProblemKind::UnknownMiner),
            TransportError::NotJoined(_)
        ));
    }
}
