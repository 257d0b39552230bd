//! What miners report about their leases: heartbeats and answers.

use naschain_consensus::{Event, LeaseId, MinerId, Rejected, Row, TrackRecord};
use naschain_run::{Proof, RunState};

use crate::coordinator::Coordinator;
use crate::coordinator::call_error::CallError;

impl Coordinator {
    /// Reports that a miner has finished `epoch` epochs and continues.
    pub async fn heartbeat(
        &self,
        miner: &MinerId,
        lease: LeaseId,
        epoch: u32,
        proof: Option<Proof>,
    ) -> Result<(), CallError> {
        let miner = miner.clone();
        let event = Event::Heartbeat {
            miner,
            lease,
            epoch,
        };
        self.handle(event, proof).await.map(drop)
    }

    /// Like [`Coordinator::handle`]; returns whether the event is in the journal, rather than one that
    /// changes nothing.
    pub(crate) async fn record(
        &self,
        event: Event,
        proof: Option<Proof>,
    ) -> Result<bool, CallError> {
        Ok(self.send(event, proof, false).await?.is_journaled)
    }

    /// Tells the run what is known of a miner from others, if nothing is known of it here.
    pub(crate) async fn introduce(
        &self,
        miner: &MinerId,
        record: TrackRecord,
    ) -> Result<(), CallError> {
        let may_introduce = |state: Option<&RunState>| {
            state.is_some_and(|state| state.board().may_introduce(miner))
        };
        if self.try_with_state(may_introduce).await {
            let miner = miner.clone();
            let event = Event::Introduce { miner, record };
            self.handle(event, None).await?;
        }
        Ok(())
    }

    /// Submits an answer; returns whether it is new. A repeated answer is acknowledged again but
    /// counts once; another answer under the same lease is rejected.
    pub async fn submit(
        &self,
        miner: &MinerId,
        lease: LeaseId,
        row: Row,
        proof: Option<Proof>,
    ) -> Result<bool, CallError> {
        let miner = miner.clone();
        let submit = Event::Submit { miner, lease, row };
        match self.record(submit, proof).await {
            // The miner repeats an answer whose acknowledgement was lost; it must learn that it
            // counts.
            Err(CallError::Rejected(Rejected::AlreadyAnswered { .. })) => Ok(false),
            other => other,
        }
    }
}
