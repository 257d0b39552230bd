//! Weights on the chain, set by the validator itself as blocks pass.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use naschain_bittensor::{
    BlockRef, ERA_BLOCKS, Error, Metagraph, NextStep, Notice, Remedy, Setter,
};
use naschain_core::Digest;
use naschain_identity::Hotkey;
use naschain_run::EpochWeights;
use tokio::task::JoinHandle;

use crate::alive::Alive;
use crate::cli::chain_args::ChainArgs;
use crate::printable::{counted, is_logged, printable};
use crate::validator::chain_scores::{ChainScores, ChainWeights, TrustTerms, TrustedGenomaster};
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
        terms: &TrustTerms,
        alive: Alive,
    ) -> Result<Option<ChainTask>> {
        if !args.is_used() {
            return Ok(None);
        }
        let netuid = netuid.context("--chain needs --netuid")?;
        let hotkey = hotkey.context(
            "--chain needs the validator's hotkey; --wallet.path, --wallet.name and --wallet.hotkey choose its file",
        )?;
        let name = format!("chain-{netuid}-{}", hotkey.address());
        let scores = ChainScores::open(state.file(&format!("{name}-scores.json")), terms)?;
        let scores = Arc::new(Mutex::new(scores));
        let client = args.client()?;
        let setter = Setter::new(client, hotkey, netuid, &state.file(&format!("{name}.json")))?;
        let loops = ChainLoop {
            setter,
            netuid,
            scores: Arc::clone(&scores),
            sends: !args.no_set_weights,
            shown_until: 0,
            reason: None,
            alive,
        };
        let task = tokio::spawn(loops.run());
        Ok(Some(ChainTask { scores, task }))
    }

    /// Continues the scores by the epochs of a run.
    pub(crate) fn score(&self, run: Digest, epochs: &[EpochWeights]) -> Result<()> {
        self.scores().update(run, epochs)
    }

    /// Continues the scores by the epochs of one of many runs.
    pub(crate) fn score_of_many(&self, run: Digest, epochs: &[EpochWeights]) -> Result<()> {
        self.scores().update_many(run, epochs)
    }

    /// Says why no weights may be set from now on.
    pub(crate) fn refuse(&self, reason: String) -> Result<()> {
        self.scores().refuse(reason)
    }

    /// Says that weights may be set from now on, as this genomaster is trusted.
    pub(crate) fn trust(&self, genomaster: TrustedGenomaster) -> Result<()> {
        self.scores().trust(genomaster)
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
    pub(crate) fn idle(file: &std::path::Path, terms: &TrustTerms) -> ChainTask {
        let scores = ChainScores::open(file.to_owned(), terms).unwrap();
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
    netuid: u16,
    scores: Arc<Mutex<ChainScores>>,
    sends: bool,
    /// With --no-set-weights: the block before which nothing is shown again.
    shown_until: u64,
    /// Why no weights were set at the last block at which they could be, which is logged once.
    reason: Option<String>,
    alive: Alive,
}

impl ChainLoop {
    /// Goes on until only a person can help.
    async fn run(mut self) -> Result<()> {
        let mut pause = Duration::from_secs(1);
        let mut failures = 0_u32;
        loop {
            let Err(error) = self.turn().await else {
                self.alive.beat();
                pause = Duration::from_secs(1);
                failures = 0;
                continue;
            };
            let remedy = match error.downcast_ref::<Error>().map(Error::remedy) {
                None | Some(Remedy::Stop) => return Err(error),
                Some(remedy) => remedy,
            };
            failures += 1;
            if is_logged(failures) {
                // Most of it is a node's.
                let error = format!("{error:#}");
                tracing::warn!(
                    "no weights are set at this block: {} (failure {failures})",
                    printable(&error)
                );
            }
            if remedy == Remedy::Reconnect {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(MAX_PAUSE);
            }
        }
    }

    async fn turn(&mut self) -> Result<()> {
        let turn = self.setter.turn().await?;
        for notice in turn.notices {
            report(&notice);
        }
        if !self.sends {
            return self.show(turn.block, turn.next).await;
        }
        match turn.next {
            NextStep::Set(metagraph) => self.set(&metagraph).await,
            NextStep::NoPermit => {
                let reason = "the hotkey has no validator permit; it gets one by stake";
                self.explain(turn.block.number, reason);
                Ok(())
            }
            // Nodes may be some blocks apart.
            NextStep::NodeBehind { seen } if seen > turn.block.number + ERA_BLOCKS => {
                let reason = format!(
                    "the node is behind block {seen}, at which this validator has signed; use another node if it stays behind"
                );
                self.explain(turn.block.number, &reason);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Logs why no weights are set, unless it is as at the last block.
    fn explain(&mut self, block: u64, reason: &str) {
        if self.reason.as_deref() != Some(reason) {
            tracing::warn!("no weights are set from block {block} on: {reason}");
            self.reason = Some(reason.to_owned());
        }
    }

    /// The weights for this metagraph, or `None` after a message why there are none.
    fn weights(&mut self, metagraph: &Metagraph) -> Result<Option<Vec<(u16, u16)>>> {
        let weights = {
            let scores = self.scores.lock().unwrap_or_else(PoisonError::into_inner);
            scores.weights(metagraph)?
        };
        let reason = match weights {
            ChainWeights::Due(weights) => {
                self.reason = None;
                return Ok(Some(weights));
            }
            ChainWeights::TooFew(error) => error.to_string(),
            ChainWeights::Refused(reason) => reason,
        };
        self.explain(metagraph.block.number, &reason);
        Ok(None)
    }

    async fn set(&mut self, metagraph: &Metagraph) -> Result<()> {
        let Some(weights) = self.weights(metagraph)? else {
            return Ok(());
        };
        if let Some(sent) = self.setter.set(metagraph, &weights).await? {
            tracing::info!(
                "{} weights are sent at block {} with nonce {}, valid to block {}",
                sent.weights.len(),
                metagraph.block.number,
                sent.nonce,
                sent.last_block
            );
        }
        Ok(())
    }

    /// Shows what would be sent: at the start, and then once in each epoch.
    async fn show(&mut self, block: BlockRef, next: NextStep) -> Result<()> {
        if block.number < self.shown_until {
            return Ok(());
        }
        let when = match &next {
            NextStep::NoPermit => ", once the hotkey has a validator permit".to_owned(),
            NextStep::NotBefore(block) => format!(" from block {block} on"),
            NextStep::InFlight { .. } => ", once it is known what became of those sent".to_owned(),
            _ => String::new(),
        };
        let metagraph = match next {
            NextStep::Set(metagraph) => metagraph,
            _ => {
                let client = self.setter.client();
                Box::new(client.metagraph(self.netuid, block).await?)
            }
        };
        let Some(weights) = self.weights(&metagraph)? else {
            return Ok(());
        };
        self.shown_until = block.number + metagraph.schedule.period();
        self.print(&metagraph, &weights, &when)
    }

    /// Prints what would be sent.
    fn print(&self, metagraph: &Metagraph, weights: &[(u16, u16)], when: &str) -> Result<()> {
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
            "block {block}: weights of {} would be {how}{when}: {pairs}\n",
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
            "the commit of round {} was not revealed by block {}: its weights do not count",
            commit.round,
            commit.last_reveal_block
        ),
        Notice::NotChecked(commit) => tracing::warn!(
            "whether the commit of round {} was revealed could not be checked: the nodes no longer have the state of block {}",
            commit.round,
            commit.reveal_block
        ),
        Notice::Failed(error) => {
            let error = error.to_string();
            tracing::warn!("{}; the weights are sent again", printable(&error));
        }
        Notice::Expired(sent) => tracing::warn!(
            "no block up to {} includes the extrinsic {}; the weights are sent again",
            sent.last_block,
            sent.extrinsic
        ),
        Notice::Late { sent, block } => match block {
            Some(block) => tracing::warn!(
                "weights were set or committed in block {block} during an outage; nothing more of the extrinsic {} can be checked",
                sent.extrinsic
            ),
            None => tracing::warn!(
                "no trace is left of the extrinsic {}; the weights are sent again",
                sent.extrinsic
            ),
        },
        other => tracing::info!("{other:?}"),
    }
}
