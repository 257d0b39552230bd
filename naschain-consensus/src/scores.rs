//! Points of miners, and their moving averages.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Error, MinerId, Row, Verdict, WeightLimits, weights_v11};

/// The points of one miner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tally {
    /// Level 1: one point for each rewarded answer.
    pub points: u64,
    /// Level 2: the number of jobs in which its answer was rewarded.
    pub accepted_jobs: u64,
    /// The number of jobs in which its answer was not rewarded.
    pub rejected_jobs: u64,
}

impl Tally {
    /// Counts one answer of a judged job.
    pub fn count(&mut self, rewarded: bool) {
        if rewarded {
            self.points += 1;
            self.accepted_jobs += 1;
        } else {
            self.rejected_jobs += 1;
        }
    }
}

/// The points of all miners, computed from judged jobs alone, so that anyone who has the jobs can
/// verify them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scoreboard {
    tallies: BTreeMap<MinerId, Tally>,
}

impl Scoreboard {
    /// An empty scoreboard.
    pub fn new() -> Self {
        Scoreboard::default()
    }

    /// Counts the answers of a job; the verdict is on these rows, in this order.
    pub fn record(&mut self, rows: &[(MinerId, Row)], verdict: &Verdict) {
        for ((miner, _), rewarded) in rows.iter().zip(&verdict.agreed) {
            self.tallies
                .entry(miner.clone())
                .or_default()
                .count(*rewarded);
        }
    }

    /// Counts a late answer that was compared with the consensus
    /// ([`Action::LateJudged`](crate::Action::LateJudged)).
    pub fn record_late_answer(&mut self, miner: &MinerId, rewarded: bool) {
        self.tallies
            .entry(miner.clone())
            .or_default()
            .count(rewarded);
    }

    /// The points of a miner; all 0 for one without answers.
    pub fn tally(&self, miner: &MinerId) -> Tally {
        self.tallies.get(miner).copied().unwrap_or_default()
    }

    /// All miners that ever answered, in the order of names.
    pub fn tallies(&self) -> impl ExactSizeIterator<Item = (&MinerId, &Tally)> {
        self.tallies.iter()
    }

    /// Every miner's share of all points. The shares sum to 1, or are all 0 if there are no points.
    pub fn rewards(&self) -> BTreeMap<MinerId, f32> {
        let points: Vec<u64> = self.tallies.values().map(|tally| tally.points).collect();
        let shares = normalise(&points);
        self.tallies.keys().cloned().zip(shares).collect()
    }
}

/// Each number divided by the sum of all; all 0 if the sum is 0.
pub fn normalise(points: &[u64]) -> Vec<f32> {
    let total: f64 = points.iter().map(|&points| points as f64).sum();
    let share = |&points: &u64| {
        if total > 0.0 {
            points as f64 / total
        } else {
            0.0
        }
    };
    points.iter().map(|points| share(points) as f32).collect()
}

/// Divides by the L1 norm, or by 1e-12 if that is greater, in single precision.
pub fn l1_normalise(scores: &[f32]) -> Vec<f32> {
    let norm = scores.iter().map(|score| score.abs()).sum::<f32>();
    scores.iter().map(|score| score / norm.max(1e-12)).collect()
}

/// The exponential moving average of the rewards, in single precision as the network's validators
/// compute it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MovingAverage {
    alpha: f32,
    scores: BTreeMap<MinerId, f32>,
}

impl Default for MovingAverage {
    /// α = 0.1, no scores.
    fn default() -> Self {
        MovingAverage {
            alpha: 0.1,
            scores: BTreeMap::new(),
        }
    }
}

impl MovingAverage {
    /// No scores yet; a new reward has the weight `alpha`.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] unless `alpha` is between 0 and 1.
    pub fn new(alpha: f32) -> Result<Self, Error> {
        if !(0.0..=1.0).contains(&alpha) {
            return Err(Error::out_of_range("alpha", alpha, "between 0 and 1"));
        }
        Ok(MovingAverage {
            alpha,
            scores: BTreeMap::new(),
        })
    }

    /// Updates each score to α × reward + (1 − α) × score. A reward that is NaN counts as 0. A
    /// miner without a reward keeps its score, computed by the same formula with its own score as
    /// the reward.
    pub fn update(&mut self, rewards: &BTreeMap<MinerId, f32>) {
        for miner in rewards.keys() {
            if !self.scores.contains_key(miner) {
                self.scores.insert(miner.clone(), 0.0);
            }
        }
        let rest = (1.0 - f64::from(self.alpha)) as f32;
        for (miner, score) in &mut self.scores {
            let reward = match rewards.get(miner) {
                Some(reward) if reward.is_nan() => 0.0,
                Some(reward) => *reward,
                None => *score,
            };
            *score = self.alpha * reward + rest * *score;
        }
    }

    /// The scores by miner.
    pub fn scores(&self) -> &BTreeMap<MinerId, f32> {
        &self.scores
    }

    /// The weights to set on the chain; those that round to 0 are left out.
    ///
    /// # Errors
    /// As [`weights_v11`].
    pub fn weights(&self, limits: &WeightLimits) -> Result<BTreeMap<MinerId, u16>, Error> {
        let scores: Vec<f32> = self.scores.values().copied().collect();
        let names: Vec<&MinerId> = self.scores.keys().collect();
        let weights = weights_v11(&scores, limits)?;
        Ok(weights
            .into_iter()
            .map(|(index, weight)| (names[index].clone(), weight))
            .collect())
    }
}
