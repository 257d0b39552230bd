//! A miner's way to the genomaster: a call in the same process, or HTTP.

use std::sync::Arc;
use std::time::Duration;

use naschain_consensus::{Event, LeaseId, MinerId, Rejected, Row};
use naschain_core::Digest;

use crate::api::JobReply;
use crate::client::{Client, ClientError};
use crate::coordinator::{CallError, Coordinator};
use crate::run_spec::RunSpec;

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
    /// It will never succeed.
    #[error("the genomaster refuses: {0}")]
    Refused(String),
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
                coordinator.handle(register).await?;
            }
            Link::Http(client) => client.join_with(miner, Some(jobs)).await?,
        }
        Ok(())
    }

    /// Asks for work and waits for it up to `wait_ms`.
    pub async fn request(&self, miner: &MinerId, wait_ms: u64) -> Result<JobReply, LinkError> {
        let wait = Duration::from_millis(wait_ms);
        match self {
            Link::Local(coordinator) => Ok(coordinator.request(miner, wait).await?),
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
            Link::Local(coordinator) => Ok(coordinator.heartbeat(miner, lease, epoch).await?),
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
            Link::Local(coordinator) => Ok(coordinator.submit(miner, lease, row.clone()).await?),
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
            CallError::Rejected(_) => LinkError::Refused(text),
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
            ClientError::Refused(_) => LinkError::Refused(text),
        }
    }
}
