use std::collections::BTreeMap;

use crate::acquisition::{Acquisition, Ranges};
use crate::adding::Keyed;
use crate::ensemble::Ensemble;
use crate::features::Features;
use crate::log_scale::LogScale;
use crate::ridge::Ridge;
use crate::selection::Ranked;
use crate::sorting::ranks_of_rows;
use crate::{Search, Space, Surrogate};

impl<S: Space> Search<S> {
    /// Adds the new genomes with the largest expected gain of hypervolume; those predicted to be
    /// feasible come first.
    ///
    /// Objectives that the space knows are taken as they are. Each of the others is predicted by models
    /// of its own, and the constraint violation by a ridge regression. While there are no outcomes to
    /// learn from, candidates spread over what the space knows.
    pub(crate) fn propose(&mut self, parents: &[Ranked], until: usize, epoch: u64) {
        self.count_features();
        let told = self.latest(|index| self.is_success(index));
        let judged = self.latest(|index| self.scores.violations[index].is_finite());
        self.update_feature_cache(&told, &judged);
        let constraint = self.constraint(&judged);
        if told.len() < 2 && constraint.is_none() {
            return self.add_spread(until, epoch);
        }
        let target = self.target_rung(&told);
        let size = match self.state.config.surrogate {
            Surrogate::Ridge => RIDGE_POOL,
            Surrogate::Ensemble => ENSEMBLE_POOL,
        };
        let pool = self.new_genomes(parents, size, epoch).into_iter();
        let with_features = |one: Keyed<_>| {
            let features = self.features(&one.canonical, &one.genome, target);
            (features, one)
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
        let mut acquisitions = self.acquisitions(parents, &told, constraint.as_ref(), &pool);
        while self.state.slots.len() < until && !pool.is_empty() {
            // The scale changes after four candidates, in the middle of each wave of four.
            let turn = (self.genomes_made() + 2) / 4;
            let place = acquisitions[turn % acquisitions.len()].best();
            acquisitions.iter_mut().for_each(|each| each.take(place));
            let (_, one) = pool.swap_remove(place);
            self.add_keyed(one);
        }
    }

    /// The acquisition functions over a pool, given the front and the pending candidates: one for each
    /// scale on which hypervolume is measured.
    fn acquisitions(
        &self,
        parents: &[Ranked],
        told: &[usize],
        constraint: Option<&Feasibility>,
        pool: &[(Features, Keyed<S::Genome>)],
    ) -> Vec<Acquisition> {
        let (models, target) = (self.models(told), self.target_rung(told));
        // Results of smaller budgets cannot be compared with predictions for this one.
        let comparable = |index: &usize| self.ladder.rung(*index) >= target;
        let outcomes: Vec<usize> = told.iter().copied().filter(comparable).collect();
        let front = if self.has_rungs() {
            outcomes.clone()
        } else {
            self.front_sample(parents)
        };
        let ranges = self.ranges(&outcomes, &front, target);
        let rows = front.iter().map(|&index| self.scores.row(index).to_vec());
        let mut front: Vec<Vec<f64>> = rows.collect();
        // Pending candidates are assumed to have their predicted outcomes.
        let all = (0..self.state.slots.len()).rev();
        for index in all
            .filter(|&index| self.is_pending(index))
            .take(self.pending)
        {
            let features = self.features_of(index, target);
            if constraint.is_none_or(|constraint| constraint.violation(&features) == 0.0) {
                front.push(optimistic(&models, &features));
            }
        }
        let forecasts = pool
            .iter()
            .map(|(features, _)| optimistic(&models, features));
        let forecasts: Vec<Vec<f64>> = forecasts.collect();
        let on_scale = |ranges: &Ranges| Acquisition::new(ranges, &front, &forecasts);
        ranges.iter().map(on_scale).collect()
    }

    /// The scales on which the gain of hypervolume is measured, given all outcomes and those that the gain
    /// is relative to.
    ///
    /// The candidates of a search gather where it looks for gains. Ranges of what it has evaluated would
    /// shrink to that region, and hide the gains everywhere else. So one scale is limited by what is usual
    /// among the first candidates, which are random unless some were given, and the other is that of the
    /// front. [`Surrogate::Ridge`] has one scale, limited by what is usual among all outcomes.
    fn ranges(&self, outcomes: &[usize], front: &[usize], target: usize) -> Vec<Ranges> {
        let rows = |indices: &[usize]| -> Vec<&[f64]> {
            let rows = indices.iter().map(|&index| self.scores.row(index));
            rows.collect()
        };
        if self.state.config.surrogate == Surrogate::Ridge {
            let all = rows(outcomes);
            return vec![Ranges::around(&all, &all)];
        }
        let front: Vec<usize> = self.non_dominated(front);
        let first = self.first_outcomes(target);
        // A few of them, where the others failed or went no further, are not usual.
        let usual = if first.len() < ENOUGH_RESULTS {
            outcomes
        } else {
            &first
        };
        let all = [outcomes, &first, &front].concat();
        let of_space = Ranges::around(&rows(&all), &rows(usual));
        if self.scores.objectives == 1 {
            return vec![of_space];
        }
        let of_front = Ranges::of_front(&rows(&front), &of_space);
        vec![of_space, of_front]
    }

    /// The candidates by which the first genomes of the search have reached this rung, without failures.
    fn first_outcomes(&self, target: usize) -> Vec<usize> {
        let initial = self.state.config.initial_candidates();
        let reached = |first: usize| {
            let mut steps = std::iter::successors(Some(first), |&one| self.ladder.next(one));
            steps.find(|&one| self.ladder.rung(one) >= target)
        };
        let first = (0..initial.min(self.state.slots.len())).filter_map(reached);
        first.filter(|&index| self.is_success(index)).collect()
    }

    /// The newest candidates that satisfy `is_wanted`, ascending, at most [`MAX_HISTORY`].
    pub(crate) fn latest(&self, is_wanted: impl Fn(usize) -> bool) -> Vec<usize> {
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
            let features = || self.features_of(index, self.ladder.rung(index));
            cache.entry(index).or_insert_with(features);
        }
        self.feature_cache = cache;
    }

    /// Those of these candidates that have finite objectives and that no other one of them dominates.
    fn non_dominated(&self, indices: &[usize]) -> Vec<usize> {
        let finite = indices
            .iter()
            .copied()
            .filter(|&index| self.is_success(index));
        let indices: Vec<usize> = finite.collect();
        let rows = self.scores.rows_of(&indices);
        let ranks = ranks_of_rows(&rows, self.scores.objectives);
        let ranked = indices.iter().zip(ranks);
        ranked
            .filter(|(_, rank)| *rank == 0)
            .map(|(index, _)| *index)
            .collect()
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
        let width = features.first().map_or(0, |row| row.len());
        let own = width.saturating_sub(self.feature_counts.of_graphs);
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
            let surrogate = self.state.config.surrogate;
            let model = Ensemble::fit(surrogate, &features, own, &scaled);
            Some((model, scale))
        });
        models.collect()
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

/// The features of the newest outcomes by candidate, as of the last fit.
pub(crate) type FeatureCache = BTreeMap<usize, Features>;

/// The model of one objective and its scale; `None` if the objective is known of all genomes.
type ObjectiveModel = Option<(Ensemble, LogScale)>;

/// Number of new genomes among which each wave is selected, by the surrogate.
const RIDGE_POOL: usize = 1500;
const ENSEMBLE_POOL: usize = 1000;

/// Number of results with a budget that are enough to compare predictions for it with.
const ENOUGH_RESULTS: usize = 8;

/// Maximum number of outcomes to learn from: the newest.
const MAX_HISTORY: usize = 1000;

/// Maximum number of front points that are considered, and of parents in addition to them.
const MAX_FRONT: usize = 256;

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

    #[test]
    fn infinite_objectives_on_the_front_do_not_widen_a_scale() {
        let objectives = ["a", "b"].map(Objective::minimize).to_vec();
        let mut search = Search::new(SearchConfig::new(20, objectives)).unwrap();
        for number in 0..12 {
            let candidate = search.ask().candidate().unwrap();
            let best = if number == 3 {
                f64::NEG_INFINITY
            } else {
                f64::from(number)
            };
            let worst = if number == 3 {
                f64::INFINITY
            } else {
                -f64::from(number)
            };
            let outcome = Outcome::objectives([best, worst]);
            search.tell(candidate.id, outcome).unwrap();
        }
        let front = search.front.candidates().to_vec();
        let told = search.latest(|index| search.is_success(index));
        assert_eq!((front.len(), told.len()), (12, 11));
        let scales = search.ranges(&told, &front, 0);
        assert_eq!(scales.len(), 2);
        for scale in scales {
            let best = scale.scaled(search.scores.row(0));
            assert_eq!(best[0], 0.0);
            assert!(best[1] > 0.9 && best[1] <= 2.0, "{best:?}");
        }
    }
}
