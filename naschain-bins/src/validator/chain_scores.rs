//! Scores by hotkey across runs and restarts, for weights on the chain.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
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

/// A genomaster as the operator names it, and the address that it has shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TrustedGenomaster {
    /// Its URL, without passwords.
    pub url: String,
    /// Its hotkey's address, if it has one.
    pub hotkey: Option<String>,
}

/// Which genomaster the operator's flags allow.
#[derive(Clone, Debug)]
pub(crate) struct TrustTerms {
    /// Its URL, without passwords.
    pub url: String,
    /// The address that it must have, if one is required.
    pub required: Option<String>,
    /// Whether it needs no hotkey.
    pub unsigned: bool,
}

impl TrustTerms {
    fn allow(&self, trusted: &TrustedGenomaster) -> bool {
        let is_required = self.required.is_none() || self.required == trusted.hotkey;
        self.url == trusted.url && is_required && (self.unsigned || trusted.hotkey.is_some())
    }
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
    /// The genomaster that was trusted when it was last checked, so that a restart while it is away
    /// does not end the weights. Nobody, if it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trusted: Option<TrustedGenomaster>,
    /// At a genomaster with many runs.
    #[serde(default, skip_serializing_if = "ManyRuns::is_unused")]
    many: ManyRuns,
}

/// What was counted of runs that go on at the same time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ManyRuns {
    /// How many jobs of each run were counted.
    counted: BTreeMap<Digest, usize>,
    /// The work of rewarded answers since the last epoch.
    work: BTreeMap<MinerId, f64>,
    /// The jobs since the last epoch.
    jobs: usize,
}

impl ManyRuns {
    fn is_unused(&self) -> bool {
        *self == ManyRuns::default()
    }
}

/// Jobs of an epoch of all runs together.
const EPOCH_JOBS: usize = 100;

impl ChainScores {
    /// Reads the file; without one nobody has a score. The scores may be used at once if these terms
    /// allow the genomaster that was trusted last, as if there had been no restart.
    pub(crate) fn open(file: PathBuf, terms: &TrustTerms) -> Result<ChainScores> {
        let stored = match std::fs::read_to_string(&file) {
            Ok(text) => serde_json::from_str(&text)
                .with_context(|| format!("{} is damaged; restore it", file.display()))?,
            Err(error) if error.kind() == ErrorKind::NotFound => Stored::default(),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", file.display()));
            }
        };
        let is_trusted = stored
            .trusted
            .as_ref()
            .is_some_and(|known| terms.allow(known));
        let unchecked = "the genomaster has not been checked since the start";
        Ok(ChainScores {
            file,
            stored,
            refusal: (!is_trusted).then(|| unchecked.to_owned()),
        })
    }

    /// Says why no weights may be set from now on, also after a restart.
    pub(crate) fn refuse(&mut self, reason: String) -> Result<()> {
        // First, because the disk may be full.
        self.refusal = Some(reason);
        self.remember(None)
    }

    /// Says that weights may be set from now on, as this genomaster is trusted.
    pub(crate) fn trust(&mut self, genomaster: TrustedGenomaster) -> Result<()> {
        self.refusal = None;
        self.remember(Some(genomaster))
    }

    fn remember(&mut self, trusted: Option<TrustedGenomaster>) -> Result<()> {
        self.replace(Stored {
            trusted,
            ..self.stored.clone()
        })
    }

    fn replace(&mut self, changed: Stored) -> Result<()> {
        if changed != self.stored {
            write_whole(&self.file, &serde_json::to_vec_pretty(&changed)?)?;
            self.stored = changed;
        }
        Ok(())
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
            let mut rewards: BTreeMap<MinerId, f32> = rewards
                .map(|(miner, reward)| (miner.clone(), *reward))
                .collect();
            for miner in average.scores().keys() {
                rewards.entry(miner.clone()).or_insert(0.0);
            }
            average.update(&rewards);
        }
        changed.now = average;
        self.replace(changed)
    }

    /// Continues the scores by the epochs of one of many runs, which are all of its epochs so far. Jobs
    /// count by their work, so that nobody gains by choosing runs; an epoch of all runs ends after
    /// [`EPOCH_JOBS`] jobs. A job counts once, by its first verdict.
    pub(crate) fn update_many(&mut self, run: Digest, epochs: &[EpochWeights]) -> Result<()> {
        let mut changed = self.stored.clone();
        if let Some(single) = changed.run.take() {
            changed.past.insert(single);
            changed.before = changed.now.clone();
        }
        if changed.past.contains(&run) {
            return Ok(());
        }
        for epoch in epochs {
            let counted = changed.many.counted.entry(run).or_default();
            if epoch.jobs <= *counted {
                continue;
            }
            changed.many.jobs += epoch.jobs - *counted;
            *counted = epoch.jobs;
            let hotkeys = epoch.work.iter();
            for (miner, work) in hotkeys.filter(|(m, _)| ss58::decode(m.as_str()).is_ok()) {
                *changed.many.work.entry(miner.clone()).or_default() += work;
            }
            if changed.many.jobs >= EPOCH_JOBS {
                changed.many.jobs = 0;
                let work = std::mem::take(&mut changed.many.work);
                let all: f64 = work.values().sum();
                let share = |work: f64| (work / all.max(f64::MIN_POSITIVE)) as f32;
                let mut rewards: BTreeMap<MinerId, f32> = work
                    .into_iter()
                    .map(|(miner, work)| (miner, share(work)))
                    .collect();
                for miner in changed.now.scores().keys() {
                    rewards.entry(miner.clone()).or_insert(0.0);
                }
                changed.now.update(&rewards);
            }
        }
        self.replace(changed)
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
        let weights = match rounded_weights(&by_uid, limits) {
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

/// Weights of which no share exceeds the limit, if there are such. Rounding may put the greatest a little
/// above it, and the chain refuses that, so the shares are limited a little more then.
fn rounded_weights(scores: &[f32], limits: &WeightLimits) -> Result<Vec<(usize, u16)>, Error> {
    let allowed = u64::from(limits.max_share_u16);
    let mut weights = weights_v11(scores, limits)?;
    let mut lower = *limits;
    // Rounding changes the sum by half a unit for each weight.
    for _ in 0..weights.len() {
        let sum: u64 = weights.iter().map(|(_, weight)| u64::from(*weight)).sum();
        // The greatest weight is 65535.
        let is_allowed = u64::from(u16::MAX) * u64::from(u16::MAX) <= allowed * sum;
        if is_allowed || lower.max_share_u16 == 0 {
            break;
        }
        lower.max_share_u16 -= 1;
        weights = weights_v11(scores, &lower)?;
    }
    Ok(weights)
}

#[cfg(test)]
mod tests;
