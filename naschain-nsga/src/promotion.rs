//! Which candidates go on to a larger budget, and what a model expects of them there.

use std::collections::BTreeMap;

use crate::config::Mode;
use crate::selection::{Scores, Selection};
use crate::surrogate::FittedObjective;
use crate::{Search, Space};

impl<S: Space> Search<S> {
    /// Adds the candidates that continue earlier ones, those of the largest budgets first.
    pub(crate) fn promote(&mut self) {
        if !self.may_promote() {
            return;
        }
        for rung in (0..self.state.config.rungs.len() - 1).rev() {
            let (due, eligible) = self.due(rung);
            if due > 0 {
                let mut chosen = self.from_best(rung);
                chosen.retain(|index| eligible.contains(index));
                chosen.truncate(due);
                chosen.into_iter().for_each(|one| self.add_promoted(one));
            }
        }
    }

    /// All candidates with an outcome at this rung from best to worst, by rank and crowding distance:
    /// of their results or, with a model, of what it expects of them at a larger budget.
    fn from_best(&mut self, rung: usize) -> Vec<usize> {
        let pool = self
            .ladder
            .at(rung)
            .filter(|&index| !self.is_pending(index));
        let pool: Vec<usize> = pool.collect();
        if self.state.config.mode == Mode::Surrogate {
            let (told, _) = self.learn();
            if told.len() >= 2 {
                return Selection::ranked(&self.expected(rung, &told), pool);
            }
        }
        Selection::ranked(&self.scores, pool)
    }

    /// The rung whose budget the model predicts for: the largest with enough results to compare
    /// predictions with, because a budget that was never told can only be extrapolated to.
    pub(crate) fn target_rung(&self, told: &[usize]) -> usize {
        let is_enough = |rung: &usize| {
            let results = told
                .iter()
                .filter(|&&index| self.ladder.rung(index) == *rung);
            results.count() >= ENOUGH_RESULTS
        };
        let mut rungs = (0..self.state.config.rungs.len()).rev();
        rungs.find(is_enough).unwrap_or(0)
    }

    /// The scores, with the rows of the candidates at this rung as they are expected at the target
    /// rung: the model's prediction and what is expected to remain of the difference between their
    /// result and the model, better by one standard deviation of the prediction.
    fn expected(&self, rung: usize, told: &[usize]) -> Scores {
        let mut scores = self.scores.clone();
        let target = self.target_rung(told).max(rung);
        for (objective, model) in self.models(told).iter().enumerate() {
            let Some(model) = model else {
                continue;
            };
            let (ridge, scale) = model;
            let differences = self.differences(told, objective, model);
            let carry = self.carry(rung, &differences);
            for (index, difference) in &differences {
                if self.ladder.rung(*index) == rung {
                    let (expected, deviation) = ridge.predict(&self.cached_at(*index, target));
                    scores.rows[index * scores.objectives + objective] =
                        scale.invert(expected + carry * difference - deviation);
                }
            }
        }
        scores
    }

    /// The differences between the results and the model, on the model's scale, by candidate.
    fn differences(
        &self,
        told: &[usize],
        objective: usize,
        (ridge, scale): &FittedObjective,
    ) -> BTreeMap<usize, f64> {
        let difference = |&index: &usize| {
            let found = scale.apply(self.scores.row(index)[objective]);
            (index, found - ridge.predict(self.cached(index)).0)
        };
        told.iter().map(difference).collect()
    }

    /// The share of a candidate's difference from the model at this rung that is expected to remain at
    /// the next one: the slope of a regression through 0 that begins at 1.
    fn carry(&self, rung: usize, differences: &BTreeMap<usize, f64>) -> f64 {
        let mut here = differences.iter().collect::<Vec<_>>();
        here.retain(|(index, _)| self.ladder.rung(**index) == rung);
        let squares: f64 = here.iter().map(|(_, x)| *x * *x).sum();
        let prior = PRIOR_PAIRS * squares / here.len() as f64;
        let (mut products, mut paired) = (prior, prior);
        for (index, x) in here {
            let next = self.ladder.next(*index);
            if let Some(y) = next.and_then(|next| differences.get(&next)) {
                products += x * y;
                paired += x * x;
            }
        }
        if paired > 0.0 { products / paired } else { 1.0 }
    }
}

/// Number of results that are enough to compare predictions with.
const ENOUGH_RESULTS: usize = 8;

/// The weight of the assumption that a candidate's difference from the model remains, in candidates
/// with results at both rungs.
const PRIOR_PAIRS: f64 = 20.0;
