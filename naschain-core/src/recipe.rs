//! All values that determine a training.

use serde::{Deserialize, Serialize};

use crate::Error;

/// All values that determine a training, apart from the network and the data.
///
/// The default is the recipe of the reference network with 20 epochs. The last six fields are options
/// that are off by default; in JSON they may be omitted, and are not written while they are off.
///
/// ```
/// let mut recipe = naschain_core::Recipe::default();
/// recipe.epochs = 5;
/// recipe.augmentation.cutout = 0;
/// recipe.validate()?;
/// # Ok::<(), naschain_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Recipe {
    /// The version of the training arithmetic, as defined in `docs/arithmetic.md`: another version gives
    /// other bits.
    pub arithmetic: u32,
    /// The seed of all random streams of the training, and of the split unless it has its own.
    pub seed: u64,
    /// Number of passes over the training images.
    pub epochs: u32,
    /// Images per step; the last step of an epoch may have fewer.
    pub batch_size: usize,
    /// Number of training images, which the seed draws from the data set.
    pub train_images: usize,
    /// Number of validation images, drawn from the same part of the data set, disjoint from the
    /// training images. 0 holds none back, as for a network that a search has chosen: it is trained on
    /// all images of that part, as many as `train_images` must then be, and its accuracy is measured on
    /// the test images.
    pub validation_images: usize,
    /// Learning rate of the first step; it decays to 0 along half a cosine, step by step.
    pub learning_rate: f64,
    /// Momentum of SGD, without dampening.
    pub momentum: f64,
    /// Weight decay (L2) of all parameters.
    pub weight_decay: f64,
    /// Maximum norm of the gradient of all parameters, which is clipped to it.
    pub clip_norm: f64,
    /// Data augmentation of the training images.
    pub augmentation: Augmentation,
    /// Label smoothing: the share of each target that is distributed evenly among all classes (Szegedy
    /// et al. 2016); 0 is off.
    #[serde(default, skip_serializing_if = "is_off")]
    pub label_smoothing: f64,
    /// Warm-up: number of epochs in which the learning rate first rises linearly, step by step (Goyal
    /// et al. 2017), before it decays over the remaining epochs; 0 is off.
    #[serde(default, skip_serializing_if = "is_off")]
    pub warmup_epochs: u32,
    /// Drop-path (Zoph et al. 2018): the probability that an input of a node with several inputs is
    /// dropped for an image. It grows from 0 in the first epoch towards this value, as in NSGA-Net;
    /// 0 is off.
    #[serde(default, skip_serializing_if = "is_off")]
    pub drop_path: f64,
    /// Uses Nesterov momentum (Sutskever et al. 2013).
    #[serde(default, skip_serializing_if = "is_off")]
    pub nesterov: bool,
    /// The seed of the split into training and validation images; `None` is [`Recipe::seed`]. With it,
    /// trainings with different seeds are validated on the same images.
    #[serde(default, skip_serializing_if = "is_off")]
    pub split_seed: Option<u64>,
    /// Rungs (Li et al. 2020): numbers of epochs, ascending and below [`Recipe::epochs`], after which
    /// trainings are compared and may be stopped; empty is off. The learning rate falls to 0 before
    /// each of them and starts again from [`Recipe::learning_rate`] (warm restarts, Loshchilov and
    /// Hutter 2017), so that what is compared are networks at the end of a decay.
    #[serde(default, skip_serializing_if = "is_off")]
    pub rungs: Vec<u32>,
}

/// Whether an option has its default value, which is off.
fn is_off<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Data augmentation: random changes of each training image, drawn anew in every epoch. The default is
/// none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Augmentation {
    /// Zero pixels added on each side before a crop of the original size is taken; 0 is off.
    pub crop_padding: usize,
    /// Mirrors each image left to right with probability one half.
    pub horizontal_flip: bool,
    /// Side in pixels of the square around a random centre that is set to 0 (DeVries and Taylor 2017);
    /// 0 is off.
    pub cutout: usize,
}

impl Default for Recipe {
    fn default() -> Self {
        Recipe {
            arithmetic: 1,
            seed: 1,
            epochs: 20,
            batch_size: 128,
            train_images: 45_000,
            validation_images: 5_000,
            learning_rate: 0.025,
            momentum: 0.9,
            weight_decay: 3e-4,
            clip_norm: 5.0,
            augmentation: Augmentation {
                crop_padding: 4,
                horizontal_flip: true,
                cutout: 16,
            },
            label_smoothing: 0.0,
            warmup_epochs: 0,
            drop_path: 0.0,
            nesterov: false,
            split_seed: None,
            rungs: Vec::new(),
        }
    }
}

impl Recipe {
    /// Checks the ranges of all values.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] names the first field out of its range.
    ///
    /// ```
    /// let mut recipe = naschain_core::Recipe::default();
    /// recipe.epochs = 0;
    /// let error = recipe.validate().unwrap_err();
    /// assert_eq!(error.to_string(), "epochs is 0; it must be a whole number from 1 to 100000");
    /// ```
    pub fn validate(&self) -> Result<(), Error> {
        let warmup = self.warmup_epochs as usize;
        let counts = [
            ("epochs", self.epochs as usize, 1, 100_000),
            ("batch-size", self.batch_size, 1, 65_536),
            ("train-images", self.train_images, 1, 1 << 32),
            ("validation-images", self.validation_images, 0, 1 << 32),
            ("crop-padding", self.augmentation.crop_padding, 0, 4096),
            ("cutout", self.augmentation.cutout, 0, 4096),
            // At least one epoch must remain for the decay.
            (
                "warmup-epochs",
                warmup,
                0,
                (self.epochs as usize).saturating_sub(1),
            ),
        ];
        for (name, found, least, most) in counts {
            if !(least..=most).contains(&found) {
                let expected = format_args!("a whole number from {least} to {most}");
                return Err(Error::out_of_range(name, found, expected));
            }
        }
        let reals = [
            ("learning-rate", self.learning_rate, 1e-9, 100.0),
            ("momentum", self.momentum, 0.0, 0.9999),
            ("weight-decay", self.weight_decay, 0.0, 1.0),
            ("clip-norm", self.clip_norm, 1e-9, 1e9),
            ("label-smoothing", self.label_smoothing, 0.0, 0.9),
            ("drop-path", self.drop_path, 0.0, 0.9),
        ];
        for (name, found, least, most) in reals {
            // A NaN is in no range.
            if !(least..=most).contains(&found) {
                let expected = format!("a number from {} to {most}", shown(least));
                return Err(Error::out_of_range(name, found, expected));
            }
        }
        if self.nesterov && self.momentum == 0.0 {
            let expected = "false if momentum is 0";
            return Err(Error::out_of_range("nesterov", true, expected));
        }
        self.validate_rungs()
    }

    /// Whether no image is held back for validation, so that the accuracy is measured on the test
    /// images.
    ///
    /// ```
    /// let mut recipe = naschain_core::Recipe::default();
    /// assert!(!recipe.is_measured_on_test());
    /// (recipe.train_images, recipe.validation_images) = (50_000, 0); // all of CIFAR-10
    /// assert!(recipe.is_measured_on_test());
    /// recipe.validate()?;
    /// # Ok::<(), naschain_core::Error>(())
    /// ```
    pub fn is_measured_on_test(&self) -> bool {
        self.validation_images == 0
    }

    fn validate_rungs(&self) -> Result<(), Error> {
        let mut before = self.warmup_epochs;
        for &rung in &self.rungs {
            if !(before + 1..self.epochs).contains(&rung) {
                let found = format!("{:?}", self.rungs);
                let least = format_args!("above the warm-up's {}", self.warmup_epochs);
                let expected = format_args!(
                    "ascending numbers of epochs, {least} and below all {}",
                    self.epochs
                );
                return Err(Error::out_of_range("rungs", found, expected));
            }
            before = rung;
        }
        Ok(())
    }

    /// All numbers of epochs at which a training is measured: the rungs, then its end.
    ///
    /// ```
    /// let mut recipe = naschain_core::Recipe::default();
    /// (recipe.epochs, recipe.rungs) = (9, vec![1, 3]);
    /// assert!(recipe.measured_epochs().eq([1, 3, 9]));
    /// ```
    pub fn measured_epochs(&self) -> impl Iterator<Item = u32> {
        self.rungs.iter().copied().chain([self.epochs])
    }
}

/// A lower bound for messages: small ones in scientific notation, such as 1e-9.
fn shown(least: f64) -> String {
    if least > 0.0 && least < 1e-3 {
        format!("{least:e}")
    } else {
        least.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid_and_round_trips_through_json() {
        let recipe = Recipe::default();
        recipe.validate().unwrap();
        let json = serde_json::to_string(&recipe).unwrap();
        assert_eq!(serde_json::from_str::<Recipe>(&json).unwrap(), recipe);
    }

    #[test]
    fn errors_name_the_value_and_its_range() {
        let rejected = |change: fn(&mut Recipe)| {
            let mut recipe = Recipe::default();
            change(&mut recipe);
            recipe.validate().unwrap_err().to_string()
        };
        assert!(rejected(|r| r.learning_rate = f64::NAN).starts_with("learning-rate is NaN;"));
        let error = rejected(|r| r.learning_rate = 0.0);
        assert!(error.contains("from 1e-9 to 100"), "{error}");
        assert!(rejected(|r| r.momentum = 1.0).contains("from 0 to 0.9999"));
        assert!(rejected(|r| r.batch_size = 0).starts_with("batch-size is 0;"));
        assert!(rejected(|r| r.clip_norm = -1.0).starts_with("clip-norm is -1;"));
        assert_eq!(
            rejected(|r| r.warmup_epochs = 20),
            "warmup-epochs is 20; it must be a whole number from 0 to 19"
        );
        assert!(rejected(|r| r.label_smoothing = 1.0).contains("from 0 to 0.9"));
        assert!(rejected(|r| r.drop_path = -0.1).starts_with("drop-path is -0.1;"));
        let expected = "ascending numbers of epochs, above the warm-up's 0 and below all 20";
        for rungs in [vec![0], vec![3, 3], vec![5, 4], vec![1, 20], vec![21]] {
            let recipe = Recipe {
                rungs,
                ..Recipe::default()
            };
            let error = recipe.validate().unwrap_err().to_string();
            let found = format!("rungs is {:?}; it must be {expected}", recipe.rungs);
            assert_eq!(error, found);
        }
        let inside_warmup = |r: &mut Recipe| (r.warmup_epochs, r.rungs) = (3, vec![3, 9]);
        assert!(rejected(inside_warmup).contains("above the warm-up's 3"));
        let contradiction = |r: &mut Recipe| (r.nesterov, r.momentum) = (true, 0.0);
        assert_eq!(
            rejected(contradiction),
            "nesterov is true; it must be false if momentum is 0"
        );
    }

    // Files and digests of runs made before these options existed must stay valid.
    #[test]
    fn options_that_are_off_are_not_written() {
        let json = serde_json::to_string(&Recipe::default()).unwrap();
        assert!(json.ends_with(r#""cutout":16}}"#), "{json}");
        let recipe = Recipe {
            label_smoothing: 0.1,
            warmup_epochs: 2,
            drop_path: 0.2,
            nesterov: true,
            rungs: vec![3, 9],
            ..Recipe::default()
        };
        recipe.validate().unwrap();
        let json = serde_json::to_string(&recipe).unwrap();
        assert!(json.contains(r#""warmup_epochs":2"#), "{json}");
        assert!(json.ends_with(r#""rungs":[3,9]}"#), "{json}");
        assert_eq!(serde_json::from_str::<Recipe>(&json).unwrap(), recipe);
    }
}
