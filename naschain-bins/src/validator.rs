//! A validator: recomputes every verdict from the rows alone, and turns them into weights.

use std::collections::BTreeMap;

use naschain_consensus::{
    Agreement, BatchId, MinerId, MovingAverage, Scoreboard, WeightLimits, judge,
};
use serde::Serialize;

use crate::state::ClosedBatch;

/// What a validator found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Batches that were looked at.
    pub batches: usize,
    /// Of those, the ones in which miners agreed.
    pub accepted: usize,
    /// Batches for which the genomaster's verdict is not the validator's.
    pub disputed: Vec<BatchId>,
    /// What each miner earned.
    pub miners: BTreeMap<MinerId, Standing>,
}

/// What one miner earned.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Standing {
    /// Level 1: one point for each rewarded row.
    pub points: u64,
    /// Level 2: accepted jobs.
    pub accepted_jobs: u64,
    /// Rows that were not rewarded.
    pub rejected_jobs: u64,
    /// Share of all points.
    pub reward: f32,
    /// The moving average after this update.
    pub score: f32,
    /// The weight for the chain; the greatest is 65,535.
    pub weight: u16,
}

/// Judges all batches again, by the run's agreement, and scores the miners from that alone.
pub fn validate(closed: &[ClosedBatch], agreement: &Agreement) -> Report {
    let mut scoreboard = Scoreboard::new();
    let mut disputed = Vec::new();
    let mut accepted = 0;
    for batch in closed {
        let rows: Vec<_> = batch.rows.iter().map(|(_, row)| row.clone()).collect();
        let verdict = judge(&rows, agreement);
        if verdict != batch.verdict {
            disputed.push(batch.batch);
        }
        accepted += usize::from(verdict.consensus.is_some());
        scoreboard.record(&batch.rows, &verdict);
    }
    let rewards = scoreboard.rewards();
    let mut average = MovingAverage::default();
    average.update(&rewards);
    // All zero sets nothing.
    let weights = average
        .weights(&WeightLimits::default())
        .unwrap_or_default();
    let standing = |miner: &MinerId| {
        let tally = scoreboard.tally(miner);
        Standing {
            points: tally.points,
            accepted_jobs: tally.accepted_jobs,
            rejected_jobs: tally.rejected_jobs,
            reward: rewards.get(miner).copied().unwrap_or(0.0),
            score: average.scores().get(miner).copied().unwrap_or(0.0),
            weight: weights.get(miner).copied().unwrap_or(0),
        }
    };
    Report {
        batches: closed.len(),
        accepted,
        disputed,
        miners: rewards
            .keys()
            .map(|miner| (miner.clone(), standing(miner)))
            .collect(),
    }
}

impl Report {
    /// The report as a table for people.
    pub fn table(&self) -> String {
        let mut text = format!(
            "{} batches, {} accepted, {} verdicts disputed\n\n{:<24} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}\n",
            self.batches,
            self.accepted,
            self.disputed.len(),
            "miner",
            "points",
            "accepted",
            "rejected",
            "reward",
            "score",
            "weight"
        );
        for (miner, s) in &self.miners {
            text += &format!(
                "{miner:<24} {:>8} {:>8} {:>8} {:>8.4} {:>8.5} {:>8}\n",
                s.points, s.accepted_jobs, s.rejected_jobs, s.reward, s.score, s.weight
            );
        }
        for batch in &self.disputed {
            text += &format!("{batch}: the genomaster's verdict does not follow from its rows\n");
        }
        text
    }
}
