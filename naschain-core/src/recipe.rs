use serde::{Deserialize, Serialize};

use crate::Error;

/// Everything that decides how a network is trained, apart from the network and the data.
///
/// The default is the reference network's recipe, for 20 epochs. The last four values are options
/// that are off by default; in JSON they may be missing, and are not written while they are off.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The version of the arithmetic that the training is computed by, as `docs/arithmetic.md`
    /// numbers it: another version gives other bits.
    pub arithmetic: u32,
    /// Names every random stream of the split and the training.
    pub seed: u64,
    /// Passes over the training images.
    pub epochs: u32,
    /// Images a step; the last step of an epoch may have fewer.
    pub batch_size: usize,
    /// Images to train on, drawn from the data set by the seed.
    pub train_images: usize,
    /// Images to validate on, drawn from the same part of the data set, all different.
    pub validation_images: usize,
    /// Learning rate of the first step; it falls to 0 along half a cosine, step by step.
    pub learning_rate: f64,
    /// Momentum of SGD, without dampening.
    pub momentum: f64,
    /// Weight decay (L2), on every parameter.
    pub weight_decay: f64,
    /// The norm that all gradients together are clipped to.
    pub clip_norm: f64,
    /// Random changes of the training images.
    pub augmentation: Augmentation,
    /// The part of every target that is shared out evenly among all classes (Szegedy et al.
    /// 2016); 0 is off.
    #[serde(default, skip_serializing_if = "is_off")]
    pub label_smoothing: f64,
    /// Epochs in which the learning rate first rises, by the same amount in each step (Goyal et
    /// al. 2017); half a cosine then falls through the epochs that are left. 0 is off.
    #[serde(default, skip_serializing_if = "is_off")]
    pub warmup_epochs: u32,
    /// Probability that an image loses what a node gives to a reader of several maps; it grows
    /// from 0 in the first epoch towards this value, as in NSGA-Net (Zoph et al. 2018). 0 is off.
    #[serde(default, skip_serializing_if = "is_off")]
    pub drop_path: f64,
    /// Nesterov's momentum in place of the plain one (Sutskever et al. 2013).
    #[serde(default, skip_serializing_if = "is_off")]
    pub nesterov: bool,
}

/// Whether an option has the value that switches it off.
fn is_off<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Random changes of a training image, each drawn anew in every epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Augmentation {
    /// Zero pixels added on each side before a crop of the old size is taken; 0 is off.
    pub crop_padding: usize,
    /// Mirrors every second image, left to right.
    pub horizontal_flip: bool,
    /// Side of the square that is set to 0 around a random centre (DeVries and Taylor 2017);
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
        }
    }
}

impl Recipe {
    /// Checks every value.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] that names the first field that is wrong.
    ///
    /// ```
    /// let recipe = naschain_core::Recipe { epochs: 0, ..Default::default() };
    /// let error = recipe.validate().unwrap_err();
    /// assert_eq!(error.to_string(), "epochs is 0; it must be a whole number from 1 to 100000");
    /// ```
    pub fn validate(&self) -> Result<(), Error> {
        let warmup = self.warmup_epochs as usize;
        let counts = [
            ("epochs", self.epochs as usize, 1, 100_000),
            ("batch-size", self.batch_size, 1, 65_536),
            ("train-images", self.train_images, 1, 1 << 32),
            ("validation-images", self.validation_images, 1, 1 << 32),
            ("crop-padding", self.augmentation.crop_padding, 0, 4096),
            ("cutout", self.augmentation.cutout, 0, 4096),
            // The rate has to have an epoch left to fall in.
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
            // Not a number is in no range.
            if !(least..=most).contains(&found) {
                let expected = format_args!("a number from {least} to {most}");
                return Err(Error::out_of_range(name, found, expected));
            }
        }
        if self.nesterov && self.momentum == 0.0 {
            let expected = "false where momentum is 0";
            return Err(Error::out_of_range("nesterov", true, expected));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid_and_survives_json() {
        let recipe = Recipe::default();
        recipe.validate().unwrap();
        let json = serde_json::to_string(&recipe).unwrap();
        assert_eq!(serde_json::from_str::<Recipe>(&json).unwrap(), recipe);
    }

    #[test]
    fn wrong_values_are_named() {
        let refused = |change: fn(&mut Recipe)| {
            let mut recipe = Recipe::default();
            change(&mut recipe);
            recipe.validate().unwrap_err().to_string()
        };
        assert!(refused(|r| r.learning_rate = f64::NAN).starts_with("learning-rate is NaN;"));
        assert!(refused(|r| r.momentum = 1.0).contains("from 0 to 0.9999"));
        assert!(refused(|r| r.batch_size = 0).starts_with("batch-size is 0;"));
        assert!(refused(|r| r.clip_norm = -1.0).starts_with("clip-norm is -1;"));
        assert_eq!(
            refused(|r| r.warmup_epochs = 20),
            "warmup-epochs is 20; it must be a whole number from 0 to 19"
        );
        assert!(refused(|r| r.label_smoothing = 1.0).contains("from 0 to 0.9"));
        assert!(refused(|r| r.drop_path = -0.1).starts_with("drop-path is -0.1;"));
        let contradiction = |r: &mut Recipe| (r.nesterov, r.momentum) = (true, 0.0);
        assert_eq!(
            refused(contradiction),
            "nesterov is true; it must be false where momentum is 0"
        );
    }

    // Runs that were made before the options keep their files and digests.
    #[test]
    fn options_that_are_off_are_not_written() {
        let json = serde_json::to_string(&Recipe::default()).unwrap();
        assert!(json.ends_with(r#""cutout":16}}"#), "{json}");
        let recipe = Recipe {
            label_smoothing: 0.1,
            warmup_epochs: 2,
            drop_path: 0.2,
            nesterov: true,
            ..Recipe::default()
        };
        recipe.validate().unwrap();
        let json = serde_json::to_string(&recipe).unwrap();
        assert!(json.contains(r#""warmup_epochs":2"#), "{json}");
        assert_eq!(serde_json::from_str::<Recipe>(&json).unwrap(), recipe);
    }
}
