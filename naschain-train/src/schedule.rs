//! The learning rate of every step.

use naschain_core::Recipe;

use crate::math;

/// Linear warm-up (Goyal et al. 2017), then half a cosine down to 0 (Loshchilov and Hutter 2017),
/// both step by step. The reference network changes the rate epoch by epoch; a search trains for few
/// epochs, and so its last steps reach 0 too.
///
/// With rungs there is half a cosine up to each of them, and one to the end, each from the full rate.
/// The warm-up is part of the first.
#[derive(Clone, Debug)]
pub(crate) struct LearningRates {
    rate: f64,
    warmup_steps: usize,
    /// The steps after which a cosine ends, ascending: at the rungs, and at the end.
    ends: Vec<usize>,
}

impl LearningRates {
    pub(crate) fn new(recipe: &Recipe, steps_an_epoch: usize) -> LearningRates {
        let ends = recipe.measured_epochs();
        LearningRates {
            rate: recipe.learning_rate,
            warmup_steps: recipe.warmup_epochs as usize * steps_an_epoch,
            ends: ends.map(|end| end as usize * steps_an_epoch).collect(),
        }
    }

    /// The rate of the step after `done` steps, which must be fewer than those of the training.
    pub(crate) fn rate(&self, done: usize) -> f64 {
        if done < self.warmup_steps {
            return self.rate * (done + 1) as f64 / self.warmup_steps as f64;
        }
        let at = self.ends.partition_point(|end| *end <= done);
        let at = at.min(self.ends.len() - 1);
        let (start, end) = match at {
            0 => (self.warmup_steps, self.ends[0]),
            _ => (self.ends[at - 1], self.ends[at]),
        };
        let part = (done - start) as f64 / (end - start) as f64;
        self.rate * 0.5 * (1.0 + math::cos_pi(part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates_of(recipe: &Recipe) -> Vec<f64> {
        let schedule = LearningRates::new(recipe, 2);
        (0..2 * recipe.epochs as usize)
            .map(|done| schedule.rate(done))
            .collect()
    }

    fn rates(warmup_epochs: u32) -> Vec<f64> {
        let mut recipe = Recipe::default();
        recipe.epochs = 4;
        recipe.warmup_epochs = warmup_epochs;
        recipe.learning_rate = 0.8;
        rates_of(&recipe)
    }

    /// The part of a training up to a rung has the rates of a training that ends there, and the part
    /// between two rungs those of one that has as many epochs.
    #[test]
    fn each_rung_ends_a_cosine_that_starts_at_the_full_rate() {
        let mut recipe = Recipe::default();
        (recipe.epochs, recipe.warmup_epochs, recipe.rungs) = (11, 2, vec![3, 5]);
        let mut expected = Vec::new();
        for (epochs, warmup_epochs) in [(3, 2), (2, 0), (6, 0)] {
            let mut part = Recipe::default();
            (part.epochs, part.warmup_epochs) = (epochs, warmup_epochs);
            expected.extend(rates_of(&part));
        }
        assert_eq!(rates_of(&recipe), expected);
    }

    #[test]
    fn half_a_cosine() {
        let rates = rates(0);
        assert!((rates[0] - 0.8).abs() < 1e-15, "{rates:?}");
        assert!(
            (rates[4] - 0.4).abs() < 1e-15 && rates[7] < 0.04,
            "{rates:?}"
        );
        assert!(rates.is_sorted_by(|a, b| a > b), "{rates:?}");
    }

    #[test]
    fn warm_up_ends_at_the_full_rate_where_the_cosine_begins() {
        let rates = rates(2);
        for (rate, right) in rates.iter().zip([0.2, 0.4, 0.6, 0.8, 0.8]) {
            assert!((rate - right).abs() < 1e-15, "{rates:?}");
        }
        assert!((rates[6] - 0.4).abs() < 1e-15, "{rates:?}");
    }
}
