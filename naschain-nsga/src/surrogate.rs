use std::collections::BTreeMap;

use crate::promise::{Promise, Ranges, WORST};
use crate::ridge::Ridge;
use crate::selection::Ranked;
use crate::{Genes, Search, Space};

impl<S: Space> Search<S> {
    /// Makes candidates of those new genomes that promise to enlarge the front's hypervolume most; those
    /// predicted to be feasible come first.
    ///
    /// What a space knows of a genome is taken as it is; the rest is predicted by one ridge
    /// regression an objective, and one for the constraint. Without outcomes to learn from, nothing is
    /// proposed.
    pub(crate) fn propose(&mut self, parents: &[Ranked], until: usize, epoch: u64) {
        let told = self.latest(|index| self.is_success(index));
        let judged = self.latest(|index| self.scores.violations[index].is_finite());
        self.look_at(&told, &judged);
        let constraint = self.constraint(&judged);
        if told.len() < 2 && constraint.is_none() {
            return;
        }
        let pool = self.unseen_pool(parents, POOL, epoch).into_iter();
        let seen = |(genome, canonical)| (self.sight(&canonical, &genome), genome);
        let mut pool: Vec<(Sight, S::Genome)> = pool.map(seen).collect();
        if let Some(constraint) = &constraint {
            let missing = until - self.state.slots.len();
            pool = feasible_first(pool, |one| violation(constraint, &one.0), missing);
        }
        if told.len() < 2 {
            let missing = until - self.state.slots.len();
            for (_, genome) in pool.into_iter().take(missing) {
                self.add(genome);
            }
            return;
        }
        let mut promise = self.promise(parents, &told, constraint.as_ref(), &pool);
        while self.state.slots.len() < until && !pool.is_empty() {
            let (_, genome) = pool.swap_remove(promise.take_largest());
            self.add(genome);
        }
    }

    /// What each of a pool promises beside the front and those on their way.
    fn promise(
        &self,
        parents: &[Ranked],
        told: &[usize],
        constraint: Option<&Ridge>,
        pool: &[(Sight, S::Genome)],
    ) -> Promise {
        let models = self.models(told);
        let outcomes: Vec<&[f64]> = told.iter().map(|&index| self.scores.row(index)).collect();
        let ranges = Ranges::around(&outcomes);
        let mut front = Vec::new();
        for index in self.sketched_front(parents) {
            front.extend(ranges.scaled(self.scores.row(index)));
        }
        // Those on their way are taken to turn out as expected.
        let all = (0..self.state.slots.len()).rev();
        for index in all.filter(|&index| self.is_untold(index)).take(self.untold) {
            let sight = self.sight_of(index);
            if constraint.is_none_or(|constraint| violation(constraint, &sight) == 0.0) {
                front.extend(ranges.scaled(&expected(&models, &sight)));
            }
        }
        let promised = |(sight, _): &(Sight, _)| ranges.scaled(&expected(&models, sight));
        Promise::new(front, pool.iter().map(promised).collect())
    }

    /// The newest candidates of some kind, ascending, as many as are learned from.
    fn latest(&self, is_of_the_kind: impl Fn(usize) -> bool) -> Vec<usize> {
        let all = (0..self.state.slots.len()).rev();
        let some = all.filter(|&index| is_of_the_kind(index)).take(HISTORY);
        let mut some: Vec<usize> = some.collect();
        some.reverse();
        some
    }

    /// Whether a candidate has objectives to learn from.
    fn is_success(&self, index: usize) -> bool {
        let is_feasible = self.scores.violations[index] == 0.0;
        is_feasible && self.scores.row(index).iter().all(|value| value.is_finite())
    }

    /// A model of the violation, if some of these candidates violate the constraint.
    fn constraint(&self, judged: &[usize]) -> Option<Ridge> {
        let violations = judged.iter().map(|&index| self.scores.violations[index]);
        let violations: Vec<f64> = violations.collect();
        let is_violated = violations.iter().any(|violation| *violation > 0.0);
        (is_violated && judged.len() >= 2).then(|| {
            // The largest is 1: any finite violation can be told, and squares must not overflow.
            let largest = violations.iter().copied().fold(0.0, f64::max);
            let shares: Vec<f64> = violations.iter().map(|one| one / largest).collect();
            Ridge::fit(&self.features(judged), &shares)
        })
    }

    fn features(&self, indices: &[usize]) -> Vec<&[f64]> {
        let sights = indices.iter().filter_map(|index| self.sights.get(index));
        sights.map(|sight| &sight.features[..]).collect()
    }

    /// Keeps what the models see of the candidates that are learned from.
    fn look_at(&mut self, told: &[usize], judged: &[usize]) {
        let mut sights = std::mem::take(&mut self.sights);
        let oldest = told.first().into_iter().chain(judged.first()).min();
        sights = sights.split_off(oldest.unwrap_or(&0));
        for &index in told.iter().chain(judged) {
            let sight = || self.sight_of(index);
            sights.entry(index).or_insert_with(sight);
        }
        self.sights = sights;
    }

    /// A candidate of each point of the front; of a long one points at equal distances in its order, and
    /// the parents, who reach to its ends.
    fn sketched_front(&self, parents: &[Ranked]) -> Vec<usize> {
        let all = self.front.candidates();
        if all.len() <= FRONT {
            return all.to_vec();
        }
        let sample = (0..FRONT).map(|at| all[at * (all.len() - 1) / (FRONT - 1)]);
        let parents = parents.iter().map(|parent| parent.index);
        let is_feasible = |index: &usize| self.scores.violations[*index] == 0.0;
        sample
            .chain(parents.filter(is_feasible).take(FRONT))
            .collect()
    }

    /// A model for each objective that is not known of all genomes.
    fn models(&self, told: &[usize]) -> Vec<Model> {
        let features = self.features(told);
        let is_known = |index: &usize, objective: usize| {
            let sight = self.sights.get(index);
            sight.is_some_and(|sight| sight.known[objective].is_some())
        };
        let models = (0..self.scores.objectives).map(|objective| {
            if told.iter().all(|index| is_known(index, objective)) {
                return None;
            }
            let targets = told.iter().map(|&index| self.scores.row(index)[objective]);
            let targets: Vec<f64> = targets.collect();
            let curve = Curve::of(&targets);
            let bent: Vec<f64> = targets.iter().map(|value| curve.bend(*value)).collect();
            Some((Ridge::fit(&features, &bent), curve))
        });
        models.collect()
    }

    fn sight_of(&self, index: usize) -> Sight {
        let genome = self.state.slots[index].genome();
        self.sight(&self.state.space.canonical(genome), genome)
    }

    /// What the models see: the canonical genes, the square of their sum, and what is known, as a
    /// logarithm.
    fn sight(&self, canonical: &S::Genome, genome: &S::Genome) -> Sight {
        let mut values = self.state.space.known_objectives(genome).into_iter();
        let objectives = self.state.config.objectives.iter();
        let known: Vec<Option<f64>> = objectives
            .map(|objective| {
                let value = values.next().flatten().filter(|value| value.is_finite());
                value.map(|value| objective.direction.minimised(value))
            })
            .collect();
        let mut features = canonical.features();
        // Canonical forms may be of other lengths; rows of features may not.
        if canonical.gene_count() != genome.gene_count() {
            features.resize(genome.features().len(), 0.0);
        }
        let sum: f64 = features.iter().sum();
        features.push(sum * sum);
        let logarithm = |value: &Option<f64>| value.map_or(0.0, |value| rough_log2(value.abs()));
        features.extend(known.iter().map(logarithm));
        Sight { features, known }
    }
}

/// The violation to be expected, on the model's scale; 0 where a genome is predicted to be feasible.
fn violation(constraint: &Ridge, sight: &Sight) -> f64 {
    constraint.predict(&sight.features).0.max(0.0)
}

/// Those predicted to be feasible in their order, and where these are fewer than `missing`, the ones that
/// violate least after them.
fn feasible_first<T>(pool: Vec<T>, violation: impl Fn(&T) -> f64, missing: usize) -> Vec<T> {
    let judged = pool.into_iter().map(|one| (violation(&one), one));
    let mut judged: Vec<(f64, T)> = judged.collect();
    judged.sort_by(|a, b| a.0.total_cmp(&b.0));
    let feasible = judged.iter().filter(|one| one.0 == 0.0).count();
    judged.truncate(feasible.max(missing));
    judged.into_iter().map(|(_, one)| one).collect()
}

/// The objectives of a genome as far as they are known, and else predicted with a little hope: one
/// standard deviation better than expected, which leads to where little is known.
fn expected(models: &[Model], sight: &Sight) -> Vec<f64> {
    let values = sight.known.iter().zip(models);
    values
        .map(|(known, model)| match (known, model) {
            (Some(value), _) => *value,
            (None, Some((model, curve))) => {
                let (expected, deviation) = model.predict(&sight.features);
                curve.unbend(expected - deviation)
            }
            (None, None) => f64::INFINITY,
        })
        .collect()
}

/// What a model sees of a genome.
#[derive(Clone, Debug)]
pub(crate) struct Sight {
    features: Vec<f64>,
    /// One entry an objective, to minimise; what is no number is not known.
    known: Vec<Option<f64>>,
}

/// What the models saw of the newest outcomes when they were last fitted, by candidate.
pub(crate) type Sights = BTreeMap<usize, Sight>;

/// A model of an objective on its scale, unless the objective is known of all genomes.
type Model = Option<(Ridge, Curve)>;

/// Genomes looked at for each batch.
const POOL: usize = 1500;

/// Outcomes learned from at most: the newest.
const HISTORY: usize = 1000;

/// Points that stand for a front of more, and parents beside them at most.
const FRONT: usize = 256;

/// The logarithm to base 2, straight between powers of 2, so that it is the same on every machine.
fn rough_log2(value: f64) -> f64 {
    let bits = value.max(f64::MIN_POSITIVE).to_bits();
    bits as f64 / (1u64 << 52) as f64 - 1023.0
}

/// A logarithmic scale of an objective to minimise, finer towards the best values.
#[derive(Clone, Copy, Debug)]
struct Curve {
    best: f64,
    /// From the best value to the median.
    spread: f64,
}

impl Curve {
    fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (best, median) = (sorted[0], sorted[sorted.len() / 2]);
        let spread = if median > best { median - best } else { 1.0 };
        Curve { best, spread }
    }

    fn bend(&self, value: f64) -> f64 {
        rough_log2((value - self.best) / self.spread + 1.0)
    }

    /// Predictions are held near what has been seen: a straight line goes astray beyond it.
    fn unbend(&self, bent: f64) -> f64 {
        let value = self.best + self.spread * (rough_exp2(bent) - 1.0);
        value.min(self.best + WORST * self.spread)
    }
}

/// The inverse of [`rough_log2`].
fn rough_exp2(value: f64) -> f64 {
    f64::from_bits(((value.clamp(-1000.0, 1000.0) + 1023.0) * (1u64 << 52) as f64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Mode, Objective, Outcome, Reals, SearchConfig};

    #[test]
    fn a_long_front_is_sketched_from_end_to_end() {
        let objectives = ["a", "b", "c"].map(Objective::minimize).to_vec();
        let config = SearchConfig {
            population: 100,
            generations: 30,
            mode: Mode::Nsga2,
            ..SearchConfig::new(2, objectives)
        };
        let mut search = Search::in_space(config, Reals).unwrap();
        while let Some(candidate) = search.ask() {
            let &[x, y] = candidate.genome.values() else {
                unreachable!("two variables")
            };
            let values = Outcome::objectives([x, y, -x - y]);
            search.tell(candidate.id, values).unwrap();
            let (all, some) = (search.front.candidates(), search.sketched_front(&[]));
            assert_eq!(some.len(), all.len().min(FRONT));
            assert_eq!((some.first(), some.last()), (all.first(), all.last()));
            assert!(some.iter().all(|index| all.contains(index)));
        }
        assert_eq!(search.front.len(), 3000);
    }
}
