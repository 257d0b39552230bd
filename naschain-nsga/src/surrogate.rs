use crate::hypervolume::volume_of_rows;
use crate::ridge::Ridge;
use crate::selection::Ranked;
use crate::{Genes, Search, Space};

impl<S: Space> Search<S> {
    /// Makes candidates of those new genomes that promise to enlarge the front's hypervolume most.
    ///
    /// What a space knows of a genome is taken as it is; the rest is predicted by one ridge
    /// regression an objective. Without outcomes to learn from, nothing is proposed.
    pub(crate) fn propose(&mut self, parents: &[Ranked], until: usize, epoch: u64) {
        let told = self.latest_successes();
        if told.len() < 2 {
            return;
        }
        let models = self.models(&told);
        let pool = self.unseen_pool(parents, POOL, epoch);
        let outcomes: Vec<&[f64]> = told.iter().map(|&index| self.scores.row(index)).collect();
        let ranges = Ranges::around(&outcomes);
        let mut front: Vec<Vec<f64>> = self
            .front
            .candidates()
            .iter()
            .map(|&index| ranges.scaled(self.scores.row(index)))
            .collect();
        // Those on their way are taken to turn out as expected.
        let all = (0..self.state.slots.len()).rev();
        for index in all.filter(|&index| self.is_untold(index)).take(self.untold) {
            let genome = self.state.slots[index].genome();
            front.push(ranges.scaled(&self.expected(&models, genome)));
        }
        let rows: Vec<Vec<f64>> = pool
            .iter()
            .map(|genome| ranges.scaled(&self.expected(&models, genome)))
            .collect();
        let mut left: Vec<usize> = (0..pool.len()).collect();
        while self.state.slots.len() < until && !left.is_empty() {
            let at = most_promising(&front, &rows, &left);
            let chosen = left.swap_remove(at);
            front.push(rows[chosen].clone());
            self.add(pool[chosen].clone());
        }
    }

    /// The newest candidates with objectives, ascending, as many as are learned from.
    fn latest_successes(&self) -> Vec<usize> {
        let all = (0..self.state.slots.len()).rev();
        let success = |index: &usize| {
            self.scores.violations[*index] == 0.0
                && self
                    .scores
                    .row(*index)
                    .iter()
                    .all(|value| value.is_finite())
        };
        let mut told: Vec<usize> = all.filter(success).take(HISTORY).collect();
        told.reverse();
        told
    }

    /// A model for each objective that is not known of all genomes.
    fn models(&self, told: &[usize]) -> Vec<Model> {
        let genomes = told.iter().map(|&index| self.state.slots[index].genome());
        let (mut features, mut known) = (Vec::new(), Vec::new());
        for genome in genomes {
            let values = self.known(genome);
            features.push(self.features_of(genome, &values));
            known.push(values);
        }
        (0..self.scores.objectives)
            .map(|objective| {
                if known.iter().all(|values| values[objective].is_some()) {
                    return None;
                }
                let targets = told.iter().map(|&index| self.scores.row(index)[objective]);
                let targets: Vec<f64> = targets.collect();
                let curve = Curve::of(&targets);
                let bent: Vec<f64> = targets.iter().map(|value| curve.bend(*value)).collect();
                Some((Ridge::fit(&features, &bent), curve))
            })
            .collect()
    }

    /// One entry an objective, to minimise; what is no number is not known.
    fn known(&self, genome: &S::Genome) -> Vec<Option<f64>> {
        let mut values = self.state.space.known_objectives(genome).into_iter();
        let objectives = self.state.config.objectives.iter();
        objectives
            .map(|objective| {
                let value = values.next().flatten().filter(|value| value.is_finite());
                value.map(|value| objective.direction.minimised(value))
            })
            .collect()
    }

    /// What the models see: the canonical genes, the square of their sum, and what is known, as a
    /// logarithm.
    fn features_of(&self, genome: &S::Genome, known: &[Option<f64>]) -> Vec<f64> {
        let mut features = self.state.space.canonical(genome).features();
        // Canonical forms may be of other lengths; rows of features may not.
        features.resize(genome.features().len(), 0.0);
        let sum: f64 = features.iter().sum();
        features.push(sum * sum);
        features.extend(
            known
                .iter()
                .map(|value| value.map_or(0.0, |value| rough_log2(value.abs()))),
        );
        features
    }

    /// The objectives of a genome as far as they are known, and else predicted with a little hope: one
    /// standard deviation better than expected, which leads to where little is known.
    fn expected(&self, models: &[Model], genome: &S::Genome) -> Vec<f64> {
        let known = self.known(genome);
        let features = self.features_of(genome, &known);
        let values = known.iter().zip(models);
        values
            .map(|(known, model)| match (known, model) {
                (Some(value), _) => *value,
                (None, Some((model, curve))) => {
                    let (expected, deviation) = model.predict(&features);
                    curve.unbend(expected - deviation)
                }
                (None, None) => f64::INFINITY,
            })
            .collect()
    }
}

/// A model of an objective on its scale, unless the objective is known of all genomes.
type Model = Option<(Ridge, Curve)>;

/// Genomes looked at for each batch.
const POOL: usize = 1500;

/// Outcomes learned from at most: the newest.
const HISTORY: usize = 1000;

/// Genomes of a pool for which the gain of hypervolume is computed.
const SHORTLIST: usize = 64;

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

/// How much worse than the best outcome a prediction may be, and what still counts for hypervolume, in
/// ways from the best to the median: what looks bad may be worth it for another objective.
const WORST: f64 = 3.0;

/// The inverse of [`rough_log2`].
fn rough_exp2(value: f64) -> f64 {
    f64::from_bits(((value.clamp(-1000.0, 1000.0) + 1023.0) * (1u64 << 52) as f64) as u64)
}

/// The ranges of all outcomes but those far worse than most, beside which all others would look equal;
/// 0 is the best and 1 the worst in each objective.
struct Ranges {
    sides: Vec<(f64, f64)>,
}

impl Ranges {
    fn around(rows: &[&[f64]]) -> Self {
        let width = rows.first().map_or(0, |row| row.len());
        let side = |at: usize| {
            let mut sorted: Vec<f64> = rows.iter().map(|row| row[at]).collect();
            sorted.sort_by(f64::total_cmp);
            let (best, median) = (sorted[0], sorted[sorted.len() / 2]);
            let range = sorted[sorted.len() - 1] - best;
            let usual = WORST * (median - best);
            (best, if usual > 0.0 { range.min(usual) } else { range })
        };
        Ranges {
            sides: (0..width).map(side).collect(),
        }
    }

    fn scaled(&self, row: &[f64]) -> Vec<f64> {
        let cells = row.iter().zip(&self.sides);
        cells
            .map(|(value, (low, range))| {
                if *range > 0.0 {
                    (value - low) / range
                } else {
                    0.0
                }
            })
            .collect()
    }
}

/// The place in `left` of the row that enlarges the hypervolume most; if none does, of the one that is
/// nearest to doing so.
fn most_promising(front: &[Vec<f64>], rows: &[Vec<f64>], left: &[usize]) -> usize {
    let mut order: Vec<(f64, usize)> = left
        .iter()
        .enumerate()
        .map(|(at, &index)| (shortfall(front, &rows[index]), at))
        .collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    if front[0].len() > 3 {
        return order[0].1;
    }
    let mut best = (0.0, order[0].1);
    for &(_, at) in order.iter().take(SHORTLIST) {
        let gain = gain(front, &rows[left[at]]);
        if gain > best.0 {
            best = (gain, at);
        }
    }
    best.1
}

/// By how much all objectives of `row` would have to fall for no point of the front to be as good in
/// all of them; below 0 by how much they could rise.
fn shortfall(front: &[Vec<f64>], row: &[f64]) -> f64 {
    let to_point = |point: &Vec<f64>| {
        let ways = row.iter().zip(point).map(|(value, other)| value - other);
        ways.fold(f64::INFINITY, f64::min)
    };
    front.iter().map(to_point).fold(f64::NEG_INFINITY, f64::max)
}

/// The volume before the reference point that only `row` dominates.
fn gain(front: &[Vec<f64>], row: &[f64]) -> f64 {
    let reference = vec![REFERENCE; row.len()];
    let alone: f64 = row
        .iter()
        .map(|value| (REFERENCE - value).max(0.0))
        .product();
    if alone == 0.0 {
        return 0.0;
    }
    let limited = front
        .iter()
        .flat_map(|point| point.iter().zip(row).map(|(a, b)| a.max(*b)))
        .collect::<Vec<f64>>();
    alone - volume_of_rows(&limited, &reference)
}

/// Beyond the worst outcome, so that the ends of the front count.
const REFERENCE: f64 = 1.25;
