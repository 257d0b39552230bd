//! Scores by hotkey across runs and restarts, for weights on the chain.

use std::collections::BTreeSet;
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
}

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
            let mut rewards: std::collections::BTreeMap<MinerId, f32> = rewards
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
mod tests {
    use super::*;
    use crate::test_folder::test_folder;
    use std::collections::BTreeMap;

    const ALICE: &str = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
    const BOB: &str = "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty";

    fn terms(required: Option<&str>, unsigned: bool) -> TrustTerms {
        TrustTerms {
            url: "http://genomaster/".to_owned(),
            required: required.map(str::to_owned),
            unsigned,
        }
    }

    fn open(file: &std::path::Path) -> ChainScores {
        ChainScores::open(file.to_owned(), &terms(None, false)).unwrap()
    }

    fn trusted(hotkey: Option<&str>) -> TrustedGenomaster {
        TrustedGenomaster {
            url: terms(None, false).url,
            hotkey: hotkey.map(str::to_owned),
        }
    }

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
        let mut scores = open(&file);
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
        let mut scores = open(&file);
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

    /// Otherwise they would be refused at every block until a score changes.
    #[test]
    fn limited_weights_stay_within_the_limit_when_they_are_rounded() {
        for (count, limit) in (3..=256).flat_map(|count| [1_000, 6_553, 30_000].map(|l| (count, l)))
        {
            let mut limits = WeightLimits::default();
            limits.max_share_u16 = limit;
            if count * u64::from(limit) <= u64::from(u16::MAX) {
                continue;
            }
            let scores: Vec<f32> = (1..=count).map(|place| 1.0 / place as f32).collect();
            let weights = rounded_weights(&scores, &limits).unwrap();
            let sum: u64 = weights.iter().map(|(_, weight)| u64::from(*weight)).sum();
            let share = 65_535.0 / sum as f64;
            assert!(share <= f64::from(limit) / 65_535.0, "{count} {limit}");
            assert_eq!(weights.len() as u64, count);
        }
    }

    #[test]
    fn scores_are_not_used_before_the_genomaster_is_trusted_and_while_it_is_not() {
        let dir = test_folder("chain-refusal");
        let mut scores = open(&dir.join("scores.json"));
        let run = Digest([1; 32]);
        scores
            .update(run, &[epoch(run, 1, &[(ALICE, 0.5)])])
            .unwrap();
        let limits = WeightLimits::default();
        let hotkeys = [BOB, ALICE].map(|address| ss58::decode(address).unwrap());
        let weights = |scores: &ChainScores| scores.weights_of(&hotkeys, &limits).unwrap();
        assert!(matches!(weights(&scores), ChainWeights::Refused(_)));
        scores.trust(trusted(Some(BOB))).unwrap();
        let due = ChainWeights::Due(vec![(1, 65_535)]);
        assert_eq!(weights(&scores), due);
        // A restart changes nothing, unless the operator's flags do.
        let again = |terms: TrustTerms| {
            let scores = ChainScores::open(dir.join("scores.json"), &terms).unwrap();
            weights(&scores)
        };
        assert_eq!(again(terms(None, false)), due);
        assert_eq!(again(terms(Some(BOB), false)), due);
        let mut elsewhere = terms(None, false);
        elsewhere.url = "http://elsewhere/".to_owned();
        for other in [terms(Some(ALICE), false), elsewhere] {
            assert!(matches!(again(other), ChainWeights::Refused(_)));
        }
        let reason = "the genomaster has signed two histories";
        scores.refuse(reason.to_owned()).unwrap();
        assert_eq!(weights(&scores), ChainWeights::Refused(reason.to_owned()));
        assert!(matches!(again(terms(None, true)), ChainWeights::Refused(_)));
        // Without a hotkey only as long as the operator accepts that.
        scores.trust(trusted(None)).unwrap();
        assert_eq!(again(terms(None, true)), due);
        assert!(matches!(
            again(terms(None, false)),
            ChainWeights::Refused(_)
        ));
        std::fs::remove_dir_all(dir).unwrap();
    }
}
