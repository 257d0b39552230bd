//! Delivers answers, also those that an earlier process of the miner could not deliver.

use anyhow::Result;
use naschain_consensus::Row;
use naschain_run::{Job, RunSpec};

use crate::client::transport::TransportError;
use crate::miner::Miner;
use crate::miner::outbox;
use crate::miner::outbox::Answer;
use crate::miner::progress_line;

impl Miner {
    /// Delivers answers that an earlier process of this miner could not.
    pub(super) async fn deliver_pending(&mut self, spec: &RunSpec) -> Result<()> {
        let Some(dir) = self.outbox.clone() else {
            return Ok(());
        };
        for answer in outbox::pending(&dir, &self.name) {
            if answer.run == spec.digest() {
                tracing::info!(
                    "{}: delivering a pending answer for {}",
                    self.name,
                    answer.job
                );
                self.deliver(&answer).await?;
            }
        }
        Ok(())
    }

    /// Stores the answer in the outbox and delivers it, retrying while the genomaster is away.
    pub(super) async fn answer(&mut self, job: &Job, row: Row) -> Result<()> {
        if let Row::Measured(measurement) = &row {
            let accuracy = measurement.accuracy;
            progress_line::job_ended(&format!("{}: {} reached {accuracy} %", self.name, job.job));
        }
        let answer = Answer {
            miner: self.name.clone(),
            run: job.run,
            job: job.job,
            lease: job.lease,
            row,
        };
        // Before it is sent: a crash in between would otherwise lose the whole training.
        if let Some(Err(error)) = self.outbox.as_ref().map(|dir| answer.store(dir)) {
            tracing::warn!("{}: cannot store the answer: {error:#}", self.name);
        }
        self.deliver(&answer).await
    }

    pub(super) async fn deliver(&mut self, answer: &Answer) -> Result<()> {
        let (transport, name) = (self.transport.clone(), self.name.clone());
        let deliver = || async {
            match transport
                .submit(&name, answer.run, answer.lease, &answer.row)
                .await
            {
                Err(
                    TransportError::LeaseEnded(reason)
                    | TransportError::OtherRun(reason)
                // Not retried: a lease that has ended does not come back.
                    | TransportError::NotJoined(reason),
                ) => {
                    let job = answer.job;
                    // On a busy machine a search in one process has dozens, which cost nobody anything.
                    if transport.is_local() {
                        tracing::debug!("{name}: the answer for {job} is too late: {reason}");
                    } else {
                        tracing::warn!("{name}: the answer for {job} is too late: {reason}");
                    }
                    Ok(Ok(()))
                }
                Err(TransportError::Refused(reason)) => Ok(Err(reason)),
                other => other.map(Ok),
            }
        };
        // Without a reply, or if the miner has to stop, the answer stays in the outbox.
        let Some(reply) = self.persist(deliver).await? else {
            return Ok(());
        };
        if let Some(dir) = &self.outbox {
            answer.remove(dir);
        }
        reply.map_err(|reason| anyhow::anyhow!("the genomaster refused the answer: {reason}"))
    }
}
