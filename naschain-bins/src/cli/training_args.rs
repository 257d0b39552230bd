//! Flags of how each network is trained.

use clap::Args;
use naschain_core::{Augmentation, Recipe};

/// Epochs of a retraining without `--epochs`: this many times those of the search, within these limits.
const TIMES: u32 = 10;
const MIN_EPOCHS: u32 = 30;
const MAX_EPOCHS: u32 = 300;

/// Flags of the recipe. Without a flag the value is that of the data set and the budget.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Training of each network")]
pub(crate) struct TrainingArgs {
    /// Number of training epochs [default: see --help]
    #[arg(long, allow_negative_numbers = true, value_name = "N")]
    epochs: Option<u32>,
    /// Number of training images [default: see --help]
    ///
    /// They are chosen at random by the seed.
    #[arg(long, value_name = "N")]
    train_images: Option<usize>,
    /// Number of validation images [default: see --help]
    ///
    /// They are chosen at random by the seed.
    #[arg(long, value_name = "N", hide_short_help = true)]
    validation_images: Option<usize>,
    /// Mini-batch size [default: see --help]
    #[arg(long, value_name = "N", hide_short_help = true)]
    batch_size: Option<usize>,
    /// Initial learning rate; cosine decay to 0, and again after each of the --rungs [default: see
    /// --help]
    #[arg(
        long,
        allow_negative_numbers = true,
        value_name = "X",
        hide_short_help = true
    )]
    learning_rate: Option<f64>,
    #[command(flatten)]
    augmentation: AugmentationArgs,
    /// Label smoothing: fraction of each target that is spread over all classes
    #[arg(
        long,
        allow_negative_numbers = true,
        value_name = "X",
        default_value_t = 0.0,
        hide_short_help = true
    )]
    label_smoothing: f64,
    /// Number of epochs of linear learning-rate warmup, less than --epochs
    #[arg(
        long,
        allow_negative_numbers = true,
        value_name = "N",
        default_value_t = 0,
        hide_short_help = true
    )]
    warmup_epochs: u32,
    /// Drop-path probability, reached towards the end of training: the probability that an input of
    /// a node with several inputs, or a side of a block, is dropped; 0 disables it
    #[arg(
        long,
        allow_negative_numbers = true,
        value_name = "X",
        default_value_t = 0.0,
        hide_short_help = true
    )]
    drop_path: f64,
    /// Use Nesterov momentum
    #[arg(long, hide_short_help = true)]
    nesterov: bool,
}

/// Flags that change training images at random, against overfitting.
#[derive(Args, Clone, Debug)]
pub(crate) struct AugmentationArgs {
    /// Flip training images from left to right with probability 1/2; --flip false switches it off
    ///
    /// It helps with photographs of things that look the same from both sides, and harms where left
    /// and right have a meaning, as in text and digits, so not every data set has it by default.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    flip: Option<bool>,
    /// Padding for random crops of training images in pixels; 0 disables them
    #[arg(long, value_name = "N")]
    crop_padding: Option<usize>,
    /// Side of the square that cutout erases from training images, in pixels; 0 disables it
    #[arg(long, value_name = "N", hide_short_help = true)]
    cutout: Option<usize>,
}

impl TrainingArgs {
    /// The preset's recipe, changed by the flags.
    pub(crate) fn apply(&self, mut recipe: Recipe) -> Recipe {
        set(&mut recipe.epochs, self.epochs);
        set(&mut recipe.batch_size, self.batch_size);
        set(&mut recipe.learning_rate, self.learning_rate);
        set(&mut recipe.train_images, self.train_images);
        set(&mut recipe.validation_images, self.validation_images);
        self.augmentation.apply(&mut recipe.augmentation);
        recipe.label_smoothing = self.label_smoothing;
        recipe.warmup_epochs = self.warmup_epochs;
        recipe.drop_path = self.drop_path;
        recipe.nesterov = self.nesterov;
        recipe
    }
}

impl TrainingArgs {
    /// The recipe by which a network that was trained by `searched` is trained on all `images`.
    pub(crate) fn retraining(&self, searched: &Recipe, images: usize) -> Recipe {
        self.augmentation.retraining(searched, images, self.epochs)
    }
}

impl AugmentationArgs {
    /// The recipe by which a network that was trained by `searched` is trained on all `images`, for so
    /// many epochs or by default more than in the search.
    pub(crate) fn retraining(
        &self,
        searched: &Recipe,
        images: usize,
        epochs: Option<u32>,
    ) -> Recipe {
        let mut recipe = searched.clone();
        recipe.epochs = epochs.unwrap_or_else(|| default_epochs(searched.epochs));
        (recipe.train_images, recipe.validation_images) = (images, 0);
        // Nothing is compared on the way.
        recipe.rungs.clear();
        self.apply(&mut recipe.augmentation);
        recipe
    }

    /// Changes what the flags name.
    fn apply(&self, augmentation: &mut Augmentation) {
        set(&mut augmentation.crop_padding, self.crop_padding);
        set(&mut augmentation.horizontal_flip, self.flip);
        set(&mut augmentation.cutout, self.cutout);
    }
}

/// The default number of epochs of a retraining, given that of the search.
fn default_epochs(searched: u32) -> u32 {
    let epochs = searched.saturating_mul(TIMES);
    // Never fewer than the search itself had.
    epochs.clamp(MIN_EPOCHS, MAX_EPOCHS.max(searched))
}

fn set<T: Copy>(value: &mut T, flag: Option<T>) {
    *value = flag.unwrap_or(*value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retraining_is_longer_than_the_search_within_limits() {
        for (searched, epochs) in [(1, 30), (5, 50), (20, 200), (50, 300), (600, 600)] {
            assert_eq!(default_epochs(searched), epochs);
        }
    }
}
