//! The model of one objective.

use crate::Surrogate;
use crate::gaussian::Gaussian;
use crate::ridge::Ridge;

/// Models whose predictions are averaged, each weighted by how well it predicts outcomes that it has not
/// seen.
pub(crate) struct Ensemble {
    members: Vec<Member>,
}

struct Member {
    model: Regression,
    /// Number of features from the first on that it uses.
    width: usize,
    /// Its share of the prediction; the shares of all sum to 1.
    weight: f64,
}

enum Regression {
    Ridge(Ridge),
    Gaussian(Gaussian),
}

impl Ensemble {
    /// Fits models to `features`, one row per target, and `targets`, of which there is at least one. The
    /// first `own` features are those without graphs. A [`Surrogate::Ridge`] has one model.
    pub(crate) fn fit(
        surrogate: Surrogate,
        features: &[&[f64]],
        own: usize,
        targets: &[f64],
    ) -> Self {
        let width = features.first().map_or(0, |row| row.len());
        let ridge = Ridge::fit(features, targets);
        let is_alone = surrogate == Surrogate::Ridge || targets.len() < ENOUGH_OUTCOMES;
        if is_alone {
            return Ensemble::weighted(vec![(0.0, Regression::Ridge(ridge), width)]);
        }
        let error = ridge.leave_one_out_error(features, targets);
        let mut models = vec![(error, Regression::Ridge(ridge), width)];
        // What a graph tells may be the whole truth, or only blur what the genes tell.
        let widths = if own < width {
            vec![width, own]
        } else {
            vec![width]
        };
        let newest = targets.len().saturating_sub(MAX_GAUSSIAN_OUTCOMES);
        for width in widths {
            let rows = features[newest..].iter().map(|row| &row[..width]);
            let rows: Vec<&[f64]> = rows.collect();
            if let Some(model) = Gaussian::fit(&rows, &targets[newest..]) {
                let error = model.leave_one_out_error();
                models.push((error, Regression::Gaussian(model), width));
            }
        }
        Ensemble::weighted(models)
    }

    /// Weights models, each with its leave-one-out error and the number of features that it uses.
    fn weighted(models: Vec<(f64, Regression, usize)>) -> Self {
        let errors = models.iter().map(|(error, ..)| *error);
        let least = errors.fold(f64::INFINITY, f64::min);
        let weighted = models.into_iter().map(|(error, model, width)| {
            // All are equally good if none has an error.
            let ratio = if error > 0.0 { least / error } else { 1.0 };
            let weight = ratio * ratio * ratio;
            Member {
                model,
                width,
                weight,
            }
        });
        let mut members: Vec<Member> = weighted.collect();
        members.retain(|member| member.weight > LEAST_WEIGHT);
        let total: f64 = members.iter().map(|member| member.weight).sum();
        for member in &mut members {
            member.weight /= total;
        }
        Ensemble { members }
    }

    /// Returns the expected target and the standard deviation of that expectation.
    pub(crate) fn predict(&self, features: &[f64]) -> (f64, f64) {
        let of_member = |member: &Member| match &member.model {
            Regression::Ridge(model) => model.predict(&features[..member.width]),
            Regression::Gaussian(model) => model.predict(&features[..member.width]),
        };
        if let [member] = &self.members[..] {
            return of_member(member);
        }
        let each = self.members.iter();
        let each: Vec<(f64, (f64, f64))> = each
            .map(|member| (member.weight, of_member(member)))
            .collect();
        let mean: f64 = each.iter().map(|(weight, (mean, _))| weight * mean).sum();
        let variance = each.iter().map(|(weight, (expected, deviation))| {
            let apart = expected - mean;
            weight * (deviation * deviation + apart * apart)
        });
        (mean, variance.sum::<f64>().sqrt())
    }
}

/// Number of outcomes from which on a Gaussian process is fitted.
const ENOUGH_OUTCOMES: usize = 8;

/// Number of the newest outcomes that a Gaussian process learns from; its cost grows with their cube.
const MAX_GAUSSIAN_OUTCOMES: usize = 200;

/// Members with less weight, relative to the best one, are left out.
const LEAST_WEIGHT: f64 = 0.05;

#[cfg(test)]
mod tests {
    use super::*;
    use naschain_core::{Purpose, Stream};

    /// Rows of two features of their own, and one of a graph.
    fn rows(count: usize, seed: u64) -> Vec<Vec<f64>> {
        let mut stream = Stream::new(seed, Purpose::Simulation, 0, 0);
        let mut row = || (0..3).map(|_| stream.unit_f64()).collect();
        (0..count).map(|_| row()).collect()
    }

    fn fit(rows: &[Vec<f64>], target: fn(&[f64]) -> f64) -> Ensemble {
        let slices: Vec<&[f64]> = rows.iter().map(|row| &row[..]).collect();
        let targets: Vec<f64> = rows.iter().map(|row| target(row)).collect();
        Ensemble::fit(Surrogate::Ensemble, &slices, 2, &targets)
    }

    fn share(ensemble: &Ensemble, is_wanted: fn(&Member) -> bool) -> f64 {
        let wanted = ensemble.members.iter().filter(|member| is_wanted(member));
        wanted.map(|member| member.weight).sum()
    }

    #[test]
    fn what_predicts_has_the_larger_share() {
        let line = fit(&rows(60, 1), |row| row[0] + 2.0 * row[1] - row[2]);
        let ridge = |member: &Member| matches!(member.model, Regression::Ridge(_));
        assert!(share(&line, ridge) > 0.4, "{}", share(&line, ridge));
        let curve = fit(&rows(60, 1), |row| (row[0] - 0.5) * (row[1] - 0.5));
        assert!(share(&curve, ridge) < 0.1, "{}", share(&curve, ridge));
        // The graph's feature tells nothing here.
        let without_graph = |member: &Member| member.width == 2;
        assert!(share(&curve, without_graph) > 0.5);
    }

    #[test]
    fn few_outcomes_have_one_model() {
        assert_eq!(fit(&rows(7, 2), |row| row[0]).members.len(), 1);
        // Equal outcomes are predicted.
        let (mean, deviation) = fit(&rows(20, 2), |_| 3.0).predict(&[0.1, 0.2, 0.3]);
        assert_eq!((mean, deviation), (3.0, 0.0));
    }
}
