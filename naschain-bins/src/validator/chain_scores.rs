//! Scores by hotkey across runs and restarts, for weights on the chain.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context, Result};
use naschain_bittensor::Metagraph;
use naschain_consensus::{Error, MinerId, MovingAverage, WeightLimits, weights_v11};
use naschain_core::Digest;
use naschain_identity::ss58;
use naschain_run::EpochWeights;
use serde::{Deserialize, Serialize};

use crate::files::write_whole;

/// The scores of all hotkeys that ever earned something, in a file, and whether they may be used.
#[derive(Debug)]
pub(crate) struct ChainScores {
    file: PathBuf,
    stored: Stored,
    /// Why no weights may be set now, if so.
    refusal: Option<String>,
}

/// What the scores give for a subnet.
#[derive(Debug, PartialEq)]
pub(crate) enum ChainWeights {
    /// Weights by uid.
    Due(Vec<(u16, u16)>),
    /// Too few of the registered hotkeys have a score.
    TooFew(Error),
    /// No weights may be set, for this reason.
    Refused(String),
}

/// Contents of the file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    /// The run that is observed, or was last.
    run: Option<Digest>,
    /// Runs before it. They do not count a second time.
    past: BTreeSet<Digest>,
    /// Scores before the run began.
    before: MovingAverage,
    /// Scores after the run's latest epoch.
    now: MovingAverage,
}

impl ChainScores {
    /// Reads the file; without one nobody has a score.
    pub(crate) fn open(file: PathBuf) -> Result<ChainScores> {
        let stored = match std::fs::read_to_string(&file) {
            Ok(text) => serde_json::from_str(&text)
                .with_context(|| format!("{} is damaged; restore it", file.display()))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Stored::default(),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", file.display()));
            }
        };
        Ok(ChainScores {
            file,
            stored,
            // A genomaster that was trusted before a restart may not be any more.
            refusal: Some("the genomaster has not been checked since the start".to_owned()),
        })
    }

    /// Says why no weights may be set from now on, or that they may.
    pub(crate) fn refuse(&mut self, refusal: Option<String>) {
        self.refusal = refusal;
    }

    /// Why no weights may be set now, if so.
    #[cfg(test)]
    pub(crate) fn refusal(&self) -> Option<&str> {
        self.refusal.as_deref()
    }

    /// Continues the scores by the epochs of a run, which are all of its epochs so far. A hotkey
    /// that is absent from an epoch has a reward of 0 in it, so absence never improves a score.
    /// Names that are no hotkeys have no scores.
    pub(crate) fn update(&mut self, run: Digest, epochs: &[EpochWeights]) -> Result<()> {
        if self.stored.past.contains(&run) {
            tracing::warn!("run {run} was already scored; scores are unchanged");
            return Ok(());
        }
        let mut changed = self.stored.clone();
        if changed.run != Some(run) {
            changed.past.extend(changed.run.replace(run));
            changed.before = changed.now.clone();
        }
        // From the beginning of the run each time: a job's verdict may have changed.
        let mut average = changed.before.clone();
        for epoch in epochs {
            let rewards = epoch.rewards.iter();
            let rewards = rewards.filter(|(miner, _)| ss58::decode(miner.as_str()).is_ok());
            let mut rewards: std::collections::BTreeMap<MinerId, f32> = rewards
                .map(|(miner, reward)| (miner.clone(), *reward))
                .collect();
            for miner in average.scores().keys() {
                rewards.entry(miner.clone()).or_insert(0.0);
            }
            average.update(&rewards);
        }
        changed.now = average;
        if changed != self.stored {
            write_whole(&self.file, &serde_json::to_vec_pretty(&changed)?)?;
            self.stored = changed;
        }
        Ok(())
    }

    /// The weights of the hotkeys that are registered.
    pub(crate) fn weights(&self, metagraph: &Metagraph) -> Result<ChainWeights> {
        let mut limits = WeightLimits::default();
        limits.min_weights = usize::from(metagraph.min_weights).max(1);
        limits.max_share_u16 = metagraph.max_weight;
        self.weights_of(&metagraph.hotkeys, &limits)
    }

    /// The weights of these hotkeys, whose places are their uids.
    fn weights_of(&self, hotkeys: &[[u8; 32]], limits: &WeightLimits) -> Result<ChainWeights> {
        if let Some(refusal) = &self.refusal {
            return Ok(ChainWeights::Refused(refusal.clone()));
        }
        let scores = self.stored.now.scores();
        let score = |key: &[u8; 32]| {
            let miner = MinerId::new(ss58::encode(key)).ok();
            let score = miner.and_then(|miner| scores.get(&miner));
            score.copied().unwrap_or(0.0)
        };
        let by_uid: Vec<f32> = hotkeys.iter().map(score).collect();
        let weights = match weights_v11(&by_uid, limits) {
            Err(error @ (Error::AllWeightsZero { .. } | Error::TooFewWeights { .. })) => {
                return Ok(ChainWeights::TooFew(error));
            }
            result => result?,
        };
        let uid = |index| u16::try_from(index).context("a uid is above 65535");
        let weights = weights.into_iter();
        let weights = weights.map(|(index, weight)| Ok((uid(index)?, weight)));
        weights.collect::<Result<_>>().map(ChainWeights::Due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_folder::test_folder;
    use std::collections::BTreeMap;

    const ALICE: &str = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
    const BOB: &str = "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty";

    fn epoch(run: Digest, number: usize, rewards: &[(&str, f32)]) -> EpochWeights {
        let rewards = rewards.iter();
        EpochWeights {
            run,
            epoch: number,
            jobs: number,
            weights: BTreeMap::new(),
            rewards: rewards
                .map(|(name, reward)| (name.parse().unwrap(), *reward))
                .collect(),
        }
    }

    #[test]
    fn scores_go_on_across_runs_and_restarts_and_absence_never_improves_one() {
        let dir = test_folder("chain-scores");
        let file = dir.join("scores.json");
        let (first, second) = (Digest([1; 32]), Digest([2; 32]));
        let mut scores = ChainScores::open(file.clone()).unwrap();
        let score = |scores: &ChainScores, name: &str| {
            let all = scores.stored.now.scores();
            all.get(&name.parse::<MinerId>().unwrap()).copied()
        };
        let one = epoch(first, 1, &[(ALICE, 0.5), (BOB, 0.5), ("ada", 0.5)]);
        scores.update(first, std::slice::from_ref(&one)).unwrap();
        scores.update(first, &[one]).unwrap();
        assert_eq!(score(&scores, ALICE), Some(0.05));
        assert_eq!(score(&scores, "ada"), None);
        // A restart, and a run in which only one of them works.
        let mut scores = ChainScores::open(file.clone()).unwrap();
        let alone = |number| epoch(second, number, &[(BOB, 1.0)]);
        let mut last = score(&scores, ALICE).unwrap();
        for count in 1..=5 {
            let epochs: Vec<_> = (1..=count).map(alone).collect();
            scores.update(second, &epochs).unwrap();
            let now = score(&scores, ALICE).unwrap();
            assert!(now < last, "{now}");
            last = now;
        }
        assert!(score(&scores, BOB).unwrap() > 0.05);
        // The first run again is not paid twice.
        let before = scores.stored.clone();
        scores
            .update(first, &[epoch(first, 1, &[(ALICE, 1.0)])])
            .unwrap();
        assert_eq!(scores.stored, before);
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn scores_are_not_used_before_the_genomaster_is_trusted_and_while_it_is_not() {
        let dir = test_folder("chain-refusal");
        let mut scores = ChainScores::open(dir.join("scores.json")).unwrap();
        let run = Digest([1; 32]);
        scores
            .update(run, &[epoch(run, 1, &[(ALICE, 0.5)])])
            .unwrap();
        let limits = WeightLimits::default();
        let hotkeys = [BOB, ALICE].map(|address| ss58::decode(address).unwrap());
        let weights = |scores: &ChainScores| scores.weights_of(&hotkeys, &limits).unwrap();
        assert!(matches!(weights(&scores), ChainWeights::Refused(_)));
        scores.refuse(None);
        assert_eq!(weights(&scores), ChainWeights::Due(vec![(1, 65_535)]));
        let reason = "the genomaster has signed two histories";
        scores.refuse(Some(reason.to_owned()));
        assert_eq!(weights(&scores), ChainWeights::Refused(reason.to_owned()));
        std::fs::remove_dir_all(dir).unwrap();
    }
}
