//! What candidates are expected to reach at the full budget, and which of them go on.

use std::collections::BTreeMap;

use crate::acquisition::{Acquisition, Ranges};
use crate::config::Mode;
use crate::selection::Selection;
use crate::surrogate::ObjectiveModel;
use crate::{Search, Space};

/// The rows, to minimise, that genomes are expected to reach at the full budget, by the latest
/// candidate that was told of each.
pub(crate) type Outlook = BTreeMap<usize, Vec<f64>>;

impl<S: Space> Search<S> {
    /// Adds the candidates that continue earlier ones, those of the largest budgets first.
    pub(crate) fn promote(&mut self) {
        if !self.may_promote() {
            return;
        }
        for rung in (0..self.state.config.rungs.len() - 1).rev() {
            let (due, eligible) = self.due(rung);
            if due > 0 {
                let chosen = self.most_promising(rung, due, eligible);
                chosen.into_iter().for_each(|one| self.add_promoted(one));
            }
        }
    }

    /// The `count` candidates of `eligible`, all at this rung, that are to go on: with a model those
    /// with the largest expected gain of hypervolume at the full budget, otherwise the best of the rung
    /// by rank and crowding distance.
    fn most_promising(
        &mut self,
        rung: usize,
        count: usize,
        mut eligible: Vec<usize>,
    ) -> Vec<usize> {
        let mut chosen = Vec::new();
        if self.state.config.mode == Mode::Surrogate {
            let (told, _) = self.learn();
            if told.len() >= 2 {
                let outlook = self.outlook(&told, &self.models(&told));
                chosen = self.largest_gains(&outlook, rung, count, &eligible);
                eligible.retain(|index| !chosen.contains(index));
            }
        }
        let missing = count - chosen.len();
        chosen.extend(self.best_ranked(rung, &eligible).into_iter().take(missing));
        chosen
    }

    fn largest_gains(
        &self,
        outlook: &Outlook,
        rung: usize,
        count: usize,
        eligible: &[usize],
    ) -> Vec<usize> {
        let rows: Vec<&[f64]> = outlook.values().map(|row| &row[..]).collect();
        let ranges = Ranges::around(&rows);
        let goes_on =
            |index: usize| self.ladder.rung(index) > rung || self.ladder.next(index).is_some();
        let ahead = outlook.iter().filter(|(index, _)| goes_on(**index));
        let front = ahead.flat_map(|(_, row)| ranges.scaled(row)).collect();
        let mut pool: Vec<usize> = eligible
            .iter()
            .copied()
            .filter(|index| outlook.contains_key(index))
            .collect();
        let rows = pool
            .iter()
            .map(|index| ranges.scaled(&outlook[index]))
            .collect();
        let mut acquisition = Acquisition::new(front, rows);
        let mut chosen = Vec::new();
        while chosen.len() < count && !pool.is_empty() {
            chosen.push(pool.swap_remove(acquisition.take_best()));
        }
        chosen
    }

    /// The eligible candidates from best to worst by rank and crowding distance among all results of
    /// their rung.
    fn best_ranked(&self, rung: usize, eligible: &[usize]) -> Vec<usize> {
        let pool = self
            .ladder
            .at(rung)
            .filter(|&index| !self.is_pending(index));
        let ranked = Selection::ranked(&self.scores, pool.collect());
        ranked
            .into_iter()
            .filter(|index| eligible.contains(index))
            .collect()
    }

    /// The expected rows of these candidates that no later one supersedes.
    pub(crate) fn outlook(&self, told: &[usize], models: &[ObjectiveModel]) -> Outlook {
        if !self.has_rungs() {
            return Outlook::new();
        }
        let heads = told
            .iter()
            .copied()
            .filter(|&index| !self.is_superseded(index));
        let mut outlook: Outlook = heads
            .map(|index| (index, self.scores.row(index).to_vec()))
            .collect();
        for (objective, model) in models.iter().enumerate() {
            let Some((ridge, scale)) = model else {
                continue;
            };
            let value = |index: usize| self.scores.row(index)[objective];
            let residual = |index: usize| {
                let expected = ridge.predict(self.cached(index)).0;
                scale.apply(value(index)) - expected
            };
            let residuals = told.iter().map(|&index| (index, residual(index))).collect();
            let carry = self.carry(&residuals);
            for (index, row) in &mut outlook {
                if self.is_full(*index) {
                    continue;
                }
                let features = self.at_full_budget(*index);
                let (expected, deviation) = ridge.predict(&features);
                let expected = expected + carry[self.ladder.rung(*index)] * residuals[index];
                row[objective] = scale.invert(expected - deviation);
            }
        }
        outlook
    }

    /// How much of a candidate's deviation from the model at each rung is expected to remain at the
    /// full budget.
    fn carry(&self, residuals: &BTreeMap<usize, f64>) -> Vec<f64> {
        let rungs = self.state.config.rungs.len();
        let mut carry = vec![1.0; rungs];
        for rung in (0..rungs - 1).rev() {
            let here = residuals
                .iter()
                .filter(|(index, _)| self.ladder.rung(**index) == rung);
            let (mut squares, mut count, mut own, mut products) = (0.0, 0.0, 0.0, 0.0);
            for (index, x) in here {
                squares += x * x;
                count += 1.0;
                let next = self.ladder.next(*index);
                if let Some(y) = next.and_then(|next| residuals.get(&next)) {
                    own += x * x;
                    products += x * y;
                }
            }
            let prior = PRIOR_PAIRS * squares / f64::max(count, 1.0);
            let slope = if own + prior > 0.0 {
                (products + PRIOR_CARRY * prior) / (own + prior)
            } else {
                PRIOR_CARRY
            };
            carry[rung] = carry[rung + 1] * slope.clamp(0.0, 1.0);
        }
        carry
    }
}

/// What is expected to remain of a deviation at the next rung before candidates have reached it.
const PRIOR_CARRY: f64 = 0.5;

/// The weight of [`PRIOR_CARRY`], in candidates.
const PRIOR_PAIRS: f64 = 4.0;
