//! Scoring epochs: after every `epoch_jobs` ended jobs, scores are updated and weights computed.

use std::collections::{BTreeMap, BTreeSet};

use naschain_consensus::{MinerId, MovingAverage, Row, Scoreboard, Verdict, WeightLimits};
use naschain_core::Digest;
use serde::{Deserialize, Serialize};

/// A job with the validator's own verdict.
pub struct JudgedJob {
    /// Miners and rows.
    pub rows: Vec<(MinerId, Row)>,
    /// The validator's own verdict.
    pub verdict: Verdict,
    /// FLOPs of the forward passes of one training, to which its time is about proportional; 0 if
    /// unknown.
    pub work: f64,
}

/// The weights of one epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochWeights {
    /// The run.
    pub run: Digest,
    /// The epoch's number, counted from 1.
    pub epoch: usize,
    /// Number of ended jobs at its end.
    #[serde(rename = "batches")]
    pub jobs: usize,
    /// The weight of each miner with a score; the maximum is 65,535. Empty if no miner was rewarded
    /// yet: then no weights are set.
    pub weights: BTreeMap<MinerId, u16>,
    /// The share of each miner of this run in the points of this epoch, from which the weights follow;
    /// not stored.
    #[serde(skip)]
    pub rewards: BTreeMap<MinerId, f32>,
    /// The work of each miner's rewarded answers in this epoch ([`JudgedJob::work`]), by which jobs of
    /// different runs are compared; not stored.
    #[serde(skip)]
    pub work: BTreeMap<MinerId, f64>,
}

/// Returns the weights after each epoch of `size` jobs, and the moving average after the last epoch.
///
/// An incomplete last epoch counts only if `finished`. The result depends only on the jobs and not on
/// when a validator started.
pub fn epochs(
    judged: &[JudgedJob],
    run: Digest,
    size: usize,
    finished: bool,
) -> (Vec<EpochWeights>, MovingAverage) {
    let mut average = MovingAverage::default();
    let mut miners = BTreeSet::new();
    let mut found = Vec::new();
    let mut ended = 0;
    for chunk in judged.chunks(size.max(1)) {
        if chunk.len() < size && !finished {
            break;
        }
        ended += chunk.len();
        let mut scoreboard = Scoreboard::new();
        let mut work: BTreeMap<MinerId, f64> = BTreeMap::new();
        for job in chunk {
            scoreboard.record(&job.rows, &job.verdict);
            let agreed = job.rows.iter().zip(&job.verdict.agreed);
            for ((miner, _), _) in agreed.filter(|(_, agreed)| **agreed) {
                *work.entry(miner.clone()).or_default() += job.work;
            }
            miners.extend(job.rows.iter().map(|(miner, _)| miner.clone()));
        }
        let mut rewards = scoreboard.rewards();
        // Miners without a row in this epoch have a reward of 0 in it.
        for miner in &miners {
            rewards.entry(miner.clone()).or_insert(0.0);
        }
        average.update(&rewards);
        found.push(EpochWeights {
            run,
            epoch: found.len() + 1,
            jobs: ended,
            weights: average
                .weights(&WeightLimits::default())
                .unwrap_or_default(),
            rewards,
            work,
        });
    }
    (found, average)
}

#[cfg(test)]
mod tests {
    use super::*;
    use naschain_consensus::judge;
    use naschain_core::{Accuracy, Measurement};

    fn judged(miners: [&str; 3]) -> JudgedJob {
        let row = |place: usize| {
            Row::Measured(Measurement {
                accuracy: Accuracy::from_hundredths(if place == 2 { 1 } else { 9000 }).unwrap(),
                params: 1,
                flops: 1,
                digest: Digest([0; 32]),
            })
        };
        let rows: Vec<_> = (0..3)
            .map(|place| (miners[place].parse().unwrap(), row(place)))
            .collect();
        let only: Vec<_> = rows.iter().map(|(_, row)| row.clone()).collect();
        JudgedJob {
            verdict: judge(&only, &Default::default()),
            rows,
            work: 10.0,
        }
    }

    #[test]
    fn scores_move_by_a_tenth_each_epoch() {
        let jobs = [
            judged(["a", "b", "liar"]),
            judged(["a", "b", "liar"]),
            judged(["a", "c", "liar"]),
        ];
        let run = Digest([1; 32]);
        let (whole, _) = epochs(&jobs, run, 2, false);
        assert_eq!(whole.len(), 1);
        let (found, average) = epochs(&jobs, run, 2, true);
        assert_eq!((found.len(), &found[0]), (2, &whole[0]));
        assert_eq!((found[1].epoch, found[1].jobs), (2, 3));
        // a: .05, then .9 x .05 + .05; b: .05, then .9 x .05; c: nothing, then .05.
        let score = |name: &str| average.scores()[&name.parse::<MinerId>().unwrap()];
        let near = |name, wanted: f32| assert!((score(name) - wanted).abs() < 1e-6, "{name}");
        near("a", 0.095);
        near("b", 0.045);
        near("c", 0.05);
        near("liar", 0.0);
        let weight = |name: &str| found[1].weights.get(&name.parse::<MinerId>().unwrap());
        assert_eq!((weight("a"), weight("liar")), (Some(&65_535), None));
        assert_eq!(weight("b"), Some(&31_043));
        let work =
            |epoch: usize, name: &str| found[epoch].work.get(&name.parse::<MinerId>().unwrap());
        assert_eq!((work(0, "a"), work(0, "liar")), (Some(&20.0), None));
        assert_eq!((work(1, "c"), work(1, "b")), (Some(&10.0), None));
    }

    #[test]
    fn without_rewards_there_are_no_weights() {
        let nobody = JudgedJob {
            rows: Vec::new(),
            verdict: judge(&[], &Default::default()),
            work: 1.0,
        };
        let (found, _) = epochs(&[nobody], Digest([1; 32]), 1, false);
        assert!(found[0].weights.is_empty());
    }
}
