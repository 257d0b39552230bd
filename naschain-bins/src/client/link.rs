//! A miner's way to the genomaster: a call in the same process, or HTTP.

use std::sync::Arc;
use std::time::Duration;

use naschain_consensus::{Event, LeaseId, MinerId, Rejected, Row};
use naschain_core::Digest;

use crate::client::{Client, ClientError};
use crate::coordinator::Coordinator;
use crate::coordinator::call_error::CallError;
use naschain_run::{JobReply, RunSpec};

/// Either way.
#[derive(Clone)]
pub enum Link {
    /// In the same process.
    Local(Arc<Coordinator>),
    /// Over the network.
    Http(Client),
}

/// Why a call did not succeed, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// Try again later.
    #[error("the genomaster is away: {0}")]
    Away(String),
    /// The lease has ended: drop the work and ask for new.
    #[error("{0}")]
    LeaseEnded(String),
    /// Join first.
    #[error("{0}")]
    NotJoined(String),
    /// What was said is refused, for good.
    #[error("the genomaster refuses: {0}")]
    Refused(String),
    /// Whoever says it is not believed or not let in, or the call met something else than a
    /// genomaster: what was said was not looked at.
    #[error("the genomaster does not listen: {0}")]
    NotHeard(String),
}

impl Link {
    /// What the run is.
    pub async fn run(&self) -> Result<RunSpec, LinkError> {
        match self {
            Link::Local(coordinator) => Ok(coordinator.spec().clone()),
            Link::Http(client) => Ok(client.run().await?),
        }
    }

    /// Takes part, with so many jobs at once.
    pub async fn join(&self, miner: &MinerId, jobs: u32) -> Result<(), LinkError> {
        match self {
            Link::Local(coordinator) => {
                let register = Event::Register {
                    miner: miner.clone(),
                    owner: None,
                    capacity: jobs,
                };
                coordinator.handle(register, None).await?;
            }
            Link::Http(client) => client.join_with(miner, Some(jobs)).await?,
        }
        Ok(())
    }

    /// Asks for work and waits for it up to `wait_ms`.
    pub async fn request(&self, miner: &MinerId, wait_ms: u64) -> Result<JobReply, LinkError> {
        let wait = Duration::from_millis(wait_ms);
        match self {
            Link::Local(coordinator) => Ok(coordinator.request(miner, wait, None).await?),
            Link::Http(client) => Ok(client.request(miner, wait_ms).await?),
        }
    }

    /// Says that the work goes on.
    pub async fn heartbeat(
        &self,
        miner: &MinerId,
        lease: LeaseId,
        epoch: u32,
    ) -> Result<(), LinkError> {
        match self {
            Link::Local(coordinator) => {
                Ok(coordinator.heartbeat(miner, lease, epoch, None).await?)
            }
            Link::Http(client) => Ok(client.heartbeat(miner, lease, epoch).await?),
        }
    }

    /// Answers in a run, the one that the job is of.
    pub async fn submit(
        &self,
        miner: &MinerId,
        run: Digest,
        lease: LeaseId,
        row: &Row,
    ) -> Result<(), LinkError> {
        match self {
            Link::Local(coordinator) => {
                Ok(coordinator.submit(miner, lease, row.clone(), None).await?)
            }
            Link::Http(client) => Ok(client.submit(miner, run, lease, row).await?),
        }
    }
}

impl From<CallError> for LinkError {
    fn from(error: CallError) -> LinkError {
        let text = error.to_string();
        match error {
            CallError::Rejected(Rejected::StaleLease { .. }) => LinkError::LeaseEnded(text),
            CallError::Rejected(Rejected::UnknownMiner { .. }) => LinkError::NotJoined(text),
            CallError::Away(_) => LinkError::Away(text),
            _ => LinkError::Refused(text),
        }
    }
}

impl From<ClientError> for LinkError {
    fn from(error: ClientError) -> LinkError {
        let text = error.to_string();
        match &error {
            ClientError::Away(_) => LinkError::Away(text),
            // A lease is unknown where another run has taken the address over.
            _ if ["stale_lease", "unknown_lease", "wrong_run"]
                .iter()
                .any(|kind| error.is(kind)) =>
            {
                LinkError::LeaseEnded(text)
            }
            _ if error.is("unknown_miner") => LinkError::NotJoined(text),
            _ if error.is("not_yours") => LinkError::Refused(text),
            ClientError::Refused(problem) => match problem.status {
                409 | 422 => LinkError::Refused(text),
                _ => LinkError::NotHeard(text),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use naschain_run::Problem;

    #[test]
    fn only_what_was_looked_at_is_refused_for_good() {
        let found = |status, kind: &str| {
            let problem = Problem {
                kind: kind.to_owned(),
                status,
                detail: "it".to_owned(),
            };
            LinkError::from(ClientError::Refused(problem))
        };
        for (status, kind) in [(409, "refused"), (422, "wrong_data"), (403, "not_yours")] {
            assert!(
                matches!(found(status, kind), LinkError::Refused(_)),
                "{kind}"
            );
        }
        for (status, kind) in [
            (401, "wrong_receiver"),
            (401, "unsigned"),
            (403, "not_allowed"),
            (403, "not_you"),
            (404, "not_found"),
            (413, "body_too_large"),
        ] {
            assert!(
                matches!(found(status, kind), LinkError::NotHeard(_)),
                "{kind}"
            );
        }
        assert!(matches!(
            found(409, "stale_lease"),
            LinkError::LeaseEnded(_)
        ));
        assert!(matches!(
            found(404, "unknown_lease"),
            LinkError::LeaseEnded(_)
        ));
        assert!(matches!(
            found(404, "unknown_miner"),
            LinkError::NotJoined(_)
        ));
    }
}
