//! Weights on the chain, set by the validator itself as blocks pass.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use naschain_bittensor::{Error, Metagraph, NextStep, Notice, Remedy, Setter};
use naschain_core::Digest;
use naschain_identity::Hotkey;
use naschain_run::EpochWeights;
use tokio::task::JoinHandle;

use crate::cli::chain_args::ChainArgs;
use crate::printable::counted;
use crate::validator::chain_scores::{ChainScores, ChainWeights};
use crate::validator::state_folder::StateFolder;

/// Longest pause after an error.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// A task that sets weights, and the scores that it reads.
pub(crate) struct ChainTask {
    scores: Arc<Mutex<ChainScores>>,
    task: JoinHandle<Result<()>>,
}

impl ChainTask {
    /// Starts the task, if the flags ask for it.
    pub(crate) fn start(
        args: &ChainArgs,
        netuid: Option<u16>,
        hotkey: Option<Hotkey>,
        state: &StateFolder,
    ) -> Result<Option<ChainTask>> {
        if !args.is_used() {
            return Ok(None);
        }
        let netuid = netuid.context("--chain needs --netuid")?;
        let hotkey = hotkey.context(
            "--chain needs the validator's hotkey; --wallet.path, --wallet.name and --wallet.hotkey choose its file",
        )?;
        let name = format!("chain-{netuid}-{}", hotkey.address());
        let scores = ChainScores::open(state.file(&format!("{name}-scores.json")))?;
        let scores = Arc::new(Mutex::new(scores));
        let client = args.client()?;
        let setter = Setter::new(client, hotkey, netuid, &state.file(&format!("{name}.json")))?;
        let loops = ChainLoop {
            setter,
            scores: Arc::clone(&scores),
            sends: !args.no_set_weights,
            shown_until: 0,
            refused: None,
        };
        let task = tokio::spawn(loops.run());
        Ok(Some(ChainTask { scores, task }))
    }

    /// Continues the scores by the epochs of a run.
    pub(crate) fn score(&self, run: Digest, epochs: &[EpochWeights]) -> Result<()> {
        self.scores().update(run, epochs)
    }

    /// Says why no weights may be set from now on, or that they may. At first they may not.
    pub(crate) fn refuse(&self, refusal: Option<String>) {
        self.scores().refuse(refusal);
    }

    /// The scores are replaced whole, so a panic elsewhere leaves valid ones.
    fn scores(&self) -> MutexGuard<'_, ChainScores> {
        self.scores.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits, and ends early only with the task's error.
    pub(crate) async fn pause(&mut self, pause: Duration) -> Result<()> {
        tokio::select! {
            () = tokio::time::sleep(pause) => Ok(()),
            ended = &mut self.task => ended.context("the task that sets weights")?,
        }
    }
}

#[cfg(test)]
impl ChainTask {
    /// A task that does nothing, and scores in this file.
    pub(crate) fn idle(file: &std::path::Path) -> ChainTask {
        let scores = ChainScores::open(file.to_owned()).unwrap();
        let scores = Arc::new(Mutex::new(scores));
        let task = tokio::spawn(std::future::pending());
        ChainTask { scores, task }
    }

    /// Why no weights may be set now, if so.
    pub(crate) fn refusal(&self) -> Option<String> {
        self.scores().refusal().map(str::to_owned)
    }
}

impl Drop for ChainTask {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct ChainLoop {
    setter: Setter,
    scores: Arc<Mutex<ChainScores>>,
    sends: bool,
    /// With --no-set-weights: the block before which nothing is shown again.
    shown_until: u64,
    /// The last reason for which no weights were set, which is logged once.
    refused: Option<String>,
}

impl ChainLoop {
    /// Goes on until only a person can help.
    async fn run(mut self) -> Result<()> {
        let mut pause = Duration::from_secs(1);
        loop {
            match self.turn().await {
                Ok(()) => pause = Duration::from_secs(1),
                Err(error) => match error.downcast_ref::<Error>().map(Error::remedy) {
                    None | Some(Remedy::Stop) => return Err(error),
                    Some(remedy) => {
                        tracing::warn!("no weights are set at this block: {error:#}");
                        if remedy == Remedy::Reconnect {
                            tokio::time::sleep(pause).await;
                            pause = (pause * 2).min(MAX_PAUSE);
                        }
                    }
                },
            }
        }
    }

    async fn turn(&mut self) -> Result<()> {
        let turn = self.setter.turn().await?;
        for notice in turn.notices {
            report(&notice);
        }
        match turn.next {
            NextStep::Set(metagraph) => self.set(&metagraph).await,
            NextStep::NoPermit => {
                tracing::info!(
                    "the hotkey has no validator permit at block {}; it gets one by stake",
                    turn.block.number
                );
                Ok(())
            }
            _ => Ok(()),
        }
    }

    async fn set(&mut self, metagraph: &Metagraph) -> Result<()> {
        let block = metagraph.block.number;
        if block < self.shown_until {
            return Ok(());
        }
        let weights = {
            let scores = self.scores.lock().unwrap_or_else(PoisonError::into_inner);
            scores.weights(metagraph)?
        };
        let weights = match weights {
            ChainWeights::Due(weights) => weights,
            ChainWeights::TooFew(error) => {
                tracing::warn!("no weights are set at this block: {error}");
                self.shown_until = block + metagraph.schedule.period();
                return Ok(());
            }
            ChainWeights::Refused(reason) => {
                if self.refused.as_ref() != Some(&reason) {
                    tracing::warn!("no weights are set from block {block} on: {reason}");
                    self.refused = Some(reason);
                }
                return Ok(());
            }
        };
        self.refused = None;
        if !self.sends {
            self.shown_until = block + metagraph.schedule.period();
            return self.show(metagraph, &weights);
        }
        if let Some(sent) = self.setter.set(metagraph, &weights).await? {
            tracing::info!(
                "{} weights are sent at block {block} with nonce {}, valid to block {}",
                sent.weights.len(),
                sent.nonce,
                sent.last_block
            );
        }
        Ok(())
    }

    /// What would be sent.
    fn show(&self, metagraph: &Metagraph, weights: &[(u16, u16)]) -> Result<()> {
        let block = metagraph.block.number;
        let Some(plan) = self.setter.plan(metagraph, weights)? else {
            tracing::warn!("at block {block} the epoch ends too soon for a commit");
            return Ok(());
        };
        let how = match &plan.commit {
            Some(commit) => format!(
                "committed to round {} of drand, revealed at block {}",
                commit.round, commit.reveal_block
            ),
            None => "set at once".to_owned(),
        };
        let pairs = weights
            .iter()
            .map(|(uid, weight)| format!("{uid}: {weight}"));
        let pairs = pairs.collect::<Vec<_>>().join(", ");
        crate::cli::program::print(&format!(
            "block {block}: weights of {} would be {how}: {pairs}\n",
            counted(weights.len(), "uid")
        ))
    }
}

fn report(notice: &Notice) {
    match notice {
        Notice::Set { block, stored } => {
            tracing::info!("weights were set in block {block}");
            if !stored {
                tracing::warn!("the chain has other weights than those that were set");
            }
        }
        Notice::Committed {
            block,
            commit,
            stored,
        } => {
            tracing::info!(
                "weights were committed in block {block}, to be revealed in block {} by round {}",
                commit.reveal_block,
                commit.round
            );
            if !stored {
                tracing::warn!("the chain does not have this commit");
            }
        }
        Notice::Revealed(commit) => {
            tracing::info!("the commit of round {} was revealed", commit.round);
        }
        Notice::NotRevealed(commit) => tracing::warn!(
            "the commit of round {} was not revealed by block {}: the weights did not change",
            commit.round,
            commit.last_reveal_block
        ),
        Notice::Failed(error) => tracing::warn!("{error}; the weights are sent again"),
        Notice::Expired(sent) => tracing::warn!(
            "no block up to {} includes the extrinsic {}; the weights are sent again",
            sent.last_block,
            sent.extrinsic
        ),
        other => tracing::info!("{other:?}"),
    }
}
