//! Defaults of flags that depend on the data set.

use naschain_core::{Augmentation, Recipe};
use naschain_train::{DataName, Dataset};

/// The table of these defaults, shown at the end of `--help`.
pub const PRESETS: &str = "\
Defaults that depend on --data:
                        digits   mnist and family   cifar10, cifar100   folder, FILE.npz
  --phases                   2                  3                   3                  3
  --nodes                    4                  4                   5                  4
  --init-channels            8                  8                  16                 16
  --epochs                   6                  3                  20                 10
  --batch-size              32                 64                 128                 64
  --learning-rate         0.05               0.05               0.025              0.025
  --train-images          1000              10000               45000    the rest, <= 45000
  --validation-images      397               5000                5000     a fifth, <= 5000
  --crop-padding             0                  0                   4                  0
  --flip                 false              false                true              false
  --cutout                   0                  0                  16                  0";

/// Defaults of the search space and the recipe.
pub(crate) struct Preset {
    pub(crate) phases: usize,
    pub(crate) nodes: usize,
    pub(crate) init_channels: usize,
    pub(crate) recipe: Recipe,
}

impl Preset {
    pub(crate) fn new(name: &DataName, dataset: &Dataset) -> Preset {
        let ((phases, nodes, init_channels), recipe) = match name {
            DataName::Digits => ((2, 4, 8), recipe(6, 32, 0.05, [1000, 397])),
            DataName::FashionMnist | DataName::Mnist | DataName::Emnist(_) => {
                ((3, 4, 8), recipe(3, 64, 0.05, [10_000, 5_000]))
            }
            DataName::Cifar10 | DataName::Cifar100 => ((3, 5, 16), Recipe::default()),
            // Folders, archives, and data sets that have no preset.
            _ => {
                let available = dataset.train.len();
                let validation = (available / 5).min(5_000);
                let train = (available - validation).min(45_000);
                ((3, 4, 16), recipe(10, 64, 0.025, [train, validation]))
            }
        };
        Preset {
            phases,
            nodes,
            init_channels,
            recipe,
        }
    }
}

/// A recipe without augmentation; `images` are the numbers of training and validation images.
fn recipe(epochs: u32, batch_size: usize, learning_rate: f64, images: [usize; 2]) -> Recipe {
    let [train_images, validation_images] = images;
    let mut recipe = Recipe::default();
    recipe.epochs = epochs;
    recipe.batch_size = batch_size;
    recipe.learning_rate = learning_rate;
    recipe.train_images = train_images;
    recipe.validation_images = validation_images;
    recipe.augmentation = Augmentation::default();
    recipe
}
