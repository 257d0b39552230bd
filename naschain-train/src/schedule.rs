//! The learning rate of every step.

use naschain_core::Recipe;

use crate::math;

/// Linear warm-up (Goyal et al. 2017), then half a cosine down to 0 (Loshchilov and Hutter 2017),
/// both step by step. The reference network changes the rate epoch by epoch; a search trains for few
/// epochs, and so its last steps reach 0 too.
#[derive(Clone, Debug)]
pub(crate) struct LearningRates {
    rate: f64,
    warmup_steps: usize,
    steps: usize,
}

impl LearningRates {
    pub(crate) fn new(recipe: &Recipe, steps_an_epoch: usize) -> LearningRates {
        LearningRates {
            rate: recipe.learning_rate,
            warmup_steps: recipe.warmup_epochs as usize * steps_an_epoch,
            steps: recipe.epochs as usize * steps_an_epoch,
        }
    }

    /// The rate of the step after `done` steps.
    pub(crate) fn rate(&self, done: usize) -> f64 {
        if done < self.warmup_steps {
            return self.rate * (done + 1) as f64 / self.warmup_steps as f64;
        }
        let part = (done - self.warmup_steps) as f64 / (self.steps - self.warmup_steps) as f64;
        self.rate * 0.5 * (1.0 + math::cos_pi(part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(warmup_epochs: u32) -> Vec<f64> {
        let mut recipe = Recipe::default();
        recipe.epochs = 4;
        recipe.warmup_epochs = warmup_epochs;
        recipe.learning_rate = 0.8;
        let schedule = LearningRates::new(&recipe, 2);
        (0..8).map(|done| schedule.rate(done)).collect()
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
