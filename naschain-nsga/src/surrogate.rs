use std::collections::BTreeMap;

use crate::acquisition::{Acquisition, MAX_SCALED, Ranges};
use crate::adding::Keyed;
use crate::ridge::Ridge;
use crate::selection::Ranked;
use crate::{Genes, Search, Space};

impl<S: Space> Search<S> {
    /// Adds the new genomes with the largest expected gain of hypervolume; those predicted to be
    /// feasible come first.
    ///
    /// Objectives that the space knows are taken as they are. The others are predicted by one ridge
    /// regression per objective, and the constraint violation by one more. Nothing is proposed while
    /// there are no outcomes to learn from.
    pub(crate) fn propose(&mut self, parents: &[Ranked], until: usize, epoch: u64) {
        if let Some(slot) = self.state.slots.first() {
            self.space_feature_count = self.state.space.features(slot.genome()).len();
        }
        let told = self.latest(|index| self.is_success(index));
        let judged = self.latest(|index| self.scores.violations[index].is_finite());
        self.update_feature_cache(&told, &judged);
        let constraint = self.constraint(&judged);
        if told.len() < 2 && constraint.is_none() {
            return;
        }
        let target = self.target_rung(&told);
        let pool = self.new_genomes(parents, POOL, epoch).into_iter();
        let with_features = |one: Keyed<_>| {
            let features = self.features(&one.canonical, &one.genome);
            (self.at_rung(features, target), one)
        };
        let mut pool: Vec<(Features, Keyed<S::Genome>)> = pool.map(with_features).collect();
        let missing = until - self.state.slots.len();
        if let Some(constraint) = &constraint {
            pool = feasible_first(pool, |one| constraint.violation(&one.0), missing);
        }
        if told.len() < 2 {
            for (_, one) in pool.into_iter().take(missing) {
                self.add_keyed(one);
            }
            return;
        }
        let mut acquisition = self.acquisition(parents, &told, constraint.as_ref(), &pool);
        while self.state.slots.len() < until && !pool.is_empty() {
            let (_, one) = pool.swap_remove(acquisition.take_best());
            self.add_keyed(one);
        }
    }

    /// The acquisition function over a pool, given the front and the pending candidates.
    fn acquisition(
        &self,
        parents: &[Ranked],
        told: &[usize],
        constraint: Option<&Feasibility>,
        pool: &[(Features, Keyed<S::Genome>)],
    ) -> Acquisition {
        let (models, target) = (self.models(told), self.target_rung(told));
        // Results of smaller budgets cannot be compared with predictions for this one.
        let told = told.iter().copied();
        let told = told.filter(|&index| self.ladder.rung(index) >= target);
        let outcomes: Vec<&[f64]> = told.map(|index| self.scores.row(index)).collect();
        let ranges = Ranges::around(&outcomes);
        let mut front = Vec::new();
        if self.has_rungs() {
            front.extend(outcomes.iter().flat_map(|row| ranges.scaled(row)));
        } else {
            for index in self.front_sample(parents) {
                front.extend(ranges.scaled(self.scores.row(index)));
            }
        }
        // Pending candidates are assumed to have their predicted outcomes.
        let all = (0..self.state.slots.len()).rev();
        for index in all
            .filter(|&index| self.is_pending(index))
            .take(self.pending)
        {
            let features = self.at_rung(self.features_of(index), target);
            if constraint.is_none_or(|constraint| constraint.violation(&features) == 0.0) {
                front.extend(ranges.scaled(&optimistic(&models, &features)));
            }
        }
        let predicted =
            |(features, _): &(Features, _)| ranges.scaled(&optimistic(&models, features));
        Acquisition::new(front, pool.iter().map(predicted).collect())
    }

    /// The newest candidates that satisfy `is_wanted`, ascending, at most [`MAX_HISTORY`].
    fn latest(&self, is_wanted: impl Fn(usize) -> bool) -> Vec<usize> {
        let all = (0..self.state.slots.len()).rev();
        let newest = all.filter(|&index| is_wanted(index)).take(MAX_HISTORY);
        let mut newest: Vec<usize> = newest.collect();
        newest.reverse();
        newest
    }

    /// Whether a candidate has objectives to learn from.
    fn is_success(&self, index: usize) -> bool {
        let is_feasible = self.scores.violations[index] == 0.0;
        is_feasible && self.scores.row(index).iter().all(|value| value.is_finite())
    }

    /// The models of the violations, if some of these candidates violate a constraint: one for each
    /// constraint that was violated, or one for the total where only that is told.
    fn constraint(&self, judged: &[usize]) -> Option<Feasibility> {
        if judged.len() < 2 {
            return None;
        }
        let features = self.cached_features(judged);
        let model = |value: &dyn Fn(usize) -> f64| {
            let values: Vec<f64> = judged.iter().map(|&index| value(index)).collect();
            // Scaled so that the largest is 1: violations are unbounded, and their squares must not
            // overflow. How well a constraint holds is known up to the same size.
            let largest = values.iter().copied().fold(0.0, f64::max);
            let shares = values.iter().map(|value| (value / largest).max(-1.0));
            let shares: Vec<f64> = shares.collect();
            (largest > 0.0).then(|| Ridge::fit(&features, &shares))
        };
        let one = |constraint: usize| {
            model(&|index| self.constraint_value(index, constraint).unwrap_or(0.0))
        };
        let mut models: Vec<Ridge> = (0..self.scores.largest.len()).filter_map(one).collect();
        if models.is_empty() {
            models.extend(model(&|index| self.scores.violations[index]));
        }
        (!models.is_empty()).then_some(Feasibility { models })
    }

    fn cached_features(&self, indices: &[usize]) -> Vec<&[f64]> {
        let cached = indices
            .iter()
            .filter_map(|index| self.feature_cache.get(index));
        cached.map(|features| &features.values[..]).collect()
    }

    /// Adds the features of the candidates to learn from to the cache, and removes older ones.
    fn update_feature_cache(&mut self, told: &[usize], judged: &[usize]) {
        let mut cache = std::mem::take(&mut self.feature_cache);
        let oldest = told.first().into_iter().chain(judged.first()).min();
        cache = cache.split_off(oldest.unwrap_or(&0));
        for &index in told.iter().chain(judged) {
            let features = || self.at_rung(self.features_of(index), self.ladder.rung(index));
            cache.entry(index).or_insert_with(features);
        }
        self.feature_cache = cache;
    }

    /// One candidate for each point of the front. Of a front with more than [`MAX_FRONT`] points, an
    /// evenly spaced sample in its order, and the parents, which include its extreme points.
    fn front_sample(&self, parents: &[Ranked]) -> Vec<usize> {
        let all = self.front.candidates();
        if all.len() <= MAX_FRONT {
            return all.to_vec();
        }
        let sample = (0..MAX_FRONT).map(|at| all[at * (all.len() - 1) / (MAX_FRONT - 1)]);
        let parents = parents.iter().map(|parent| parent.index);
        let is_feasible = |index: &usize| self.scores.violations[*index] == 0.0;
        sample
            .chain(parents.filter(is_feasible).take(MAX_FRONT))
            .collect()
    }

    /// A model for each objective that the space does not know of all these genomes.
    fn models(&self, told: &[usize]) -> Vec<ObjectiveModel> {
        let features = self.cached_features(told);
        let is_known = |index: &usize, objective: usize| {
            let features = self.feature_cache.get(index);
            features.is_some_and(|features| features.known[objective].is_some())
        };
        let models = (0..self.scores.objectives).map(|objective| {
            if told.iter().all(|index| is_known(index, objective)) {
                return None;
            }
            let targets = told.iter().map(|&index| self.scores.row(index)[objective]);
            let targets: Vec<f64> = targets.collect();
            let scale = LogScale::of(&targets);
            let scaled: Vec<f64> = targets.iter().map(|value| scale.apply(*value)).collect();
            Some((Ridge::fit(&features, &scaled), scale))
        });
        models.collect()
    }

    fn features_of(&self, index: usize) -> Features {
        let (slots, first) = (&self.state.slots, self.ladder.first(index));
        self.features(self.dedup.canonical(slots, first), slots[index].genome())
    }

    /// Adds the budget to the model's inputs, on a logarithmic scale, so that it learns from all rungs.
    /// Without rungs nothing is added.
    fn at_rung(&self, mut features: Features, rung: usize) -> Features {
        let budget = self.state.config.rungs.get(rung);
        let budget = budget.map(|budget| piecewise_log2(f64::from(*budget)));
        features.values.extend(budget);
        features
    }

    /// The rung whose budget the model predicts for: the largest with enough results to compare
    /// predictions with, because a budget that was never told can only be extrapolated to.
    fn target_rung(&self, told: &[usize]) -> usize {
        let is_enough = |rung: &usize| {
            let results = told
                .iter()
                .filter(|&&index| self.ladder.rung(index) == *rung);
            results.count() >= ENOUGH_RESULTS
        };
        let mut rungs = (0..self.state.config.rungs.len()).rev();
        rungs.find(is_enough).unwrap_or(0)
    }

    /// The model's inputs: the canonical genes, the square of their sum, the logarithms of the known
    /// objectives, and what the space adds.
    fn features(&self, canonical: &S::Genome, genome: &S::Genome) -> Features {
        let mut known = self.state.space.known_objectives(genome).into_iter();
        let objectives = self.state.config.objectives.iter();
        let known: Vec<Option<f64>> = objectives
            .map(|objective| {
                let value = known.next().flatten().filter(|value| value.is_finite());
                value.map(|value| objective.direction.minimised(value))
            })
            .collect();
        let domain = self.state.space.domain();
        let mut values = canonical.features(domain);
        // Canonical forms may differ in length; rows of features may not.
        if canonical.gene_count() != genome.gene_count() {
            values.resize(genome.features(domain).len(), 0.0);
        }
        let sum: f64 = values.iter().sum();
        values.push(sum * sum);
        let logarithm =
            |value: &Option<f64>| value.map_or(0.0, |value| piecewise_log2(value.abs()));
        values.extend(known.iter().map(logarithm));
        let mut of_space = self.state.space.features(genome);
        // Rows of features may not differ in length.
        of_space.resize(self.space_feature_count, 0.0);
        let finite = of_space
            .into_iter()
            .map(|value| if value.is_finite() { value } else { 0.0 });
        values.extend(finite);
        Features { values, known }
    }
}

/// Models of the constraints that were violated.
struct Feasibility {
    models: Vec<Ridge>,
}

impl Feasibility {
    /// The sum of the predicted violations, each on its model's scale; 0 if the genome is predicted to
    /// be feasible.
    fn violation(&self, features: &Features) -> f64 {
        let models = self.models.iter();
        models
            .map(|model| model.predict(&features.values).0.max(0.0))
            .sum()
    }
}

/// The items predicted to be feasible, in their order. If these are fewer than `missing`, the items
/// with the smallest violations follow.
fn feasible_first<T>(pool: Vec<T>, violation: impl Fn(&T) -> f64, missing: usize) -> Vec<T> {
    let judged = pool.into_iter().map(|one| (violation(&one), one));
    let mut judged: Vec<(f64, T)> = judged.collect();
    judged.sort_by(|a, b| a.0.total_cmp(&b.0));
    let feasible = judged.iter().filter(|one| one.0 == 0.0).count();
    judged.truncate(feasible.max(missing));
    judged.into_iter().map(|(_, one)| one).collect()
}

/// The objectives of a genome: known ones as they are, the others as a lower confidence bound, one
/// standard deviation better than expected, which favours unexplored regions.
fn optimistic(models: &[ObjectiveModel], features: &Features) -> Vec<f64> {
    let values = features.known.iter().zip(models);
    values
        .map(|(known, model)| match (known, model) {
            (Some(value), _) => *value,
            (None, Some((model, scale))) => {
                let (expected, deviation) = model.predict(&features.values);
                scale.invert(expected - deviation)
            }
            (None, None) => f64::INFINITY,
        })
        .collect()
}

/// The model's view of a genome.
#[derive(Clone, Debug)]
pub(crate) struct Features {
    values: Vec<f64>,
    /// One entry per objective, to minimise; values that are not finite count as unknown.
    known: Vec<Option<f64>>,
}

/// The features of the newest outcomes by candidate, as of the last fit.
pub(crate) type FeatureCache = BTreeMap<usize, Features>;

/// The model of one objective and its scale; `None` if the objective is known of all genomes.
type ObjectiveModel = Option<(Ridge, LogScale)>;

/// Number of new genomes among which each wave is selected.
const POOL: usize = 1500;

/// Number of results with a budget that are enough to compare predictions for it with.
const ENOUGH_RESULTS: usize = 8;

/// Maximum number of outcomes to learn from: the newest.
const MAX_HISTORY: usize = 1000;

/// Maximum number of front points that are considered, and of parents in addition to them.
const MAX_FRONT: usize = 256;

/// The logarithm to base 2, linear between powers of 2. Unlike a library's logarithm it gives the same
/// bits on every machine.
fn piecewise_log2(value: f64) -> f64 {
    let bits = value.max(f64::MIN_POSITIVE).to_bits();
    bits as f64 / (1u64 << 52) as f64 - 1023.0
}

/// A logarithmic scale for an objective to minimise, with the finest resolution at its best values.
#[derive(Clone, Copy, Debug)]
struct LogScale {
    best: f64,
    /// The distance from the best value to the median.
    spread: f64,
}

impl LogScale {
    fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (best, median) = (sorted[0], sorted[sorted.len() / 2]);
        let spread = if median > best { median - best } else { 1.0 };
        LogScale { best, spread }
    }

    fn apply(&self, value: f64) -> f64 {
        piecewise_log2((value - self.best) / self.spread + 1.0)
    }

    /// The inverse of `apply`, limited to the range of the observations, beyond which a linear model
    /// is not to be trusted.
    fn invert(&self, scaled: f64) -> f64 {
        let value = self.best + self.spread * (piecewise_exp2(scaled) - 1.0);
        value.min(self.best + MAX_SCALED * self.spread)
    }
}

/// The inverse of [`piecewise_log2`].
fn piecewise_exp2(value: f64) -> f64 {
    f64::from_bits(((value.clamp(-1000.0, 1000.0) + 1023.0) * (1u64 << 52) as f64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Ask, Mode, Objective, Outcome, Reals, SearchConfig};

    #[test]
    fn the_sample_of_a_long_front_includes_its_ends() {
        let objectives = ["a", "b", "c"].map(Objective::minimize).to_vec();
        let mut config = SearchConfig::new(2, objectives);
        config.population = 100;
        config.generations = 30;
        config.mode = Mode::Nsga2;
        let mut search = Search::in_space(config, Reals).unwrap();
        while let Ask::Candidate(candidate) = search.ask() {
            let &[x, y] = candidate.genome.values() else {
                unreachable!("two variables")
            };
            let values = Outcome::objectives([x, y, -x - y]);
            search.tell(candidate.id, values).unwrap();
            let (all, some) = (search.front.candidates(), search.front_sample(&[]));
            assert_eq!(some.len(), all.len().min(MAX_FRONT));
            assert_eq!((some.first(), some.last()), (all.first(), all.last()));
            assert!(some.iter().all(|index| all.contains(index)));
        }
        assert_eq!(search.current_front().len(), 3000);
    }
}
