//! Defaults of flags that depend on the data set and on `--budget`.

use std::fmt::Write;

use clap::ValueEnum;
use naschain_core::{Augmentation, Recipe, Shape};
use naschain_train::{DataName, Dataset};

use crate::cli::space_args::SpaceDefaults;

/// How much a search trains: epochs, images, widths, and number of networks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Budget {
    /// Minutes on two cores, for up to 10,000 small images.
    #[default]
    Small,
    /// About ten times as much.
    Medium,
    /// About ten times as much again.
    Large,
}

impl Budget {
    pub(crate) const ALL: [Budget; 3] = [Budget::Small, Budget::Medium, Budget::Large];

    /// As on the command line.
    pub(crate) fn name(self) -> &'static str {
        ["small", "medium", "large"][self as usize]
    }
}

/// The families of data sets that share their defaults.
#[derive(Clone, Copy)]
enum Family {
    Digits,
    Mnist,
    Cifar,
    /// Folders, archives, and data sets without a preset.
    Other,
}

impl Family {
    const ALL: [(Family, &'static str); 4] = [
        (Family::Digits, "digits"),
        (Family::Mnist, "mnist family"),
        (Family::Cifar, "cifar"),
        (Family::Other, "your own"),
    ];

    fn of(name: &DataName) -> Family {
        match name {
            DataName::Digits => Family::Digits,
            DataName::FashionMnist | DataName::Mnist | DataName::Emnist(_) => Family::Mnist,
            DataName::Cifar10 | DataName::Cifar100 => Family::Cifar,
            _ => Family::Other,
        }
    }
}

/// Defaults of the search space, the recipe and the search.
#[derive(Clone)]
pub(crate) struct Defaults {
    pub(crate) space: SpaceDefaults,
    pub(crate) epochs: u32,
    pub(crate) batch_size: usize,
    pub(crate) learning_rate: f64,
    /// Maximum, where the data set's size decides.
    train_images: usize,
    validation_images: usize,
    augmentation: Augmentation,
    pub(crate) population: usize,
    pub(crate) generations: usize,
    /// Of a search in one process; a served run has three.
    pub(crate) replication: usize,
}

/// Colour pictures of a folder that are scaled to at least this width are flipped and cropped.
const AUGMENTED_WIDTH: usize = 24;

/// Seats of a served run, and of the digits, which show how the network works.
pub(crate) const NETWORK_REPLICATION: usize = 3;

/// Blocks and cells of the micro space, of which two are reduction cells; stages, of which all but the first
/// halve the resolution, and depth of the mobile space.
fn sizes(family: Family, budget: usize) -> [usize; 4] {
    match family {
        Family::Digits => [3, 3, 2, 2],
        _ => [[4, 5, 3, 2], [5, 8, 3, 3], [5, 11, 3, 4]][budget],
    }
}

fn defaults(family: Family, budget: Budget) -> Defaults {
    let at = budget as usize;
    // Phases, nodes, mini-batch size, learning rate.
    let (phases, nodes, batch_size, learning_rate) = match family {
        Family::Digits => (2, 4, 32, 0.05),
        Family::Mnist => (3, 4, 64, 0.05),
        Family::Cifar => (3, [4, 5, 5][at], [64, 128, 128][at], 0.025),
        Family::Other => (3, 4, 64, 0.025),
    };
    // For each budget: channels of the first phase, epochs, training and validation images,
    // population, generations.
    let (init_channels, epochs, train_images, validation_images, population, generations) =
        match family {
            Family::Digits => [
                (8, 6, 1_000, 397, 10, 4),
                (8, 20, 1_000, 397, 16, 8),
                (16, 40, 1_000, 397, 20, 15),
            ][at],
            Family::Mnist => [
                (8, 3, 10_000, 5_000, 10, 4),
                (8, 8, 20_000, 5_000, 12, 6),
                (16, 15, 50_000, 10_000, 16, 8),
            ][at],
            Family::Cifar => [
                (8, 4, 10_000, 5_000, 8, 3),
                (16, 10, 20_000, 5_000, 10, 4),
                (16, 20, 45_000, 5_000, 10, 8),
            ][at],
            Family::Other => [
                (8, 5, 10_000, 2_500, 8, 3),
                (16, 10, 20_000, 5_000, 10, 4),
                (16, 20, 45_000, 5_000, 10, 8),
            ][at],
        };
    let mut augmentation = Augmentation::default();
    if matches!(family, Family::Cifar) {
        augmentation = Recipe::default().augmentation;
    }
    let [blocks, layers, stages, depth] = sizes(family, at);
    Defaults {
        space: SpaceDefaults {
            phases,
            nodes,
            blocks,
            layers,
            stages,
            depth,
            init_channels,
        },
        epochs,
        batch_size,
        learning_rate,
        train_images,
        validation_images,
        augmentation,
        population,
        generations,
        replication: match family {
            Family::Digits => NETWORK_REPLICATION,
            _ => 1,
        },
    }
}

/// Flips and crops for colour pictures that are not tiny. Most folders hold few pictures, which networks
/// otherwise learn by heart. With 1,560 pictures in six classes the best network of a small search had,
/// without and with them, 44.8 and 47.9 % of the validation and 48.8 and 46.8 % of the 312 test pictures
/// right, which is no difference; after 40 epochs of retraining it was 60.4 and 65.7 % of the test
/// pictures (means of three seeds; more with them for each).
fn of_pictures(shape: Shape) -> Augmentation {
    let mut augmentation = Augmentation::default();
    if shape.channels == 3 && shape.width >= AUGMENTED_WIDTH {
        augmentation.horizontal_flip = true;
        augmentation.crop_padding = crop_padding_of(shape);
    }
    augmentation
}

/// Padding of random crops: 4 of 32 pixels, as is usual for CIFAR.
pub(crate) fn crop_padding_of(shape: Shape) -> usize {
    (shape.width / 8).max(1)
}

impl Defaults {
    /// Those for a data set.
    pub(crate) fn new(name: &DataName, budget: Budget) -> Defaults {
        let mut defaults = defaults(Family::of(name), budget);
        if let DataName::Folder(shape) = name {
            defaults.augmentation = of_pictures(*shape);
        }
        defaults
    }

    /// The recipe for a data set. Of folders and archives a fifth, rounded down, is for validation.
    pub(crate) fn recipe(&self, name: &DataName, dataset: &Dataset) -> Recipe {
        let mut recipe = Recipe::default();
        recipe.epochs = self.epochs;
        recipe.batch_size = self.batch_size;
        recipe.learning_rate = self.learning_rate;
        recipe.train_images = self.train_images;
        recipe.validation_images = self.validation_images;
        recipe.augmentation = self.augmentation.clone();
        if matches!(Family::of(name), Family::Other) {
            let available = dataset.train.len();
            recipe.validation_images = (available / 5).min(self.validation_images);
            let rest = available - recipe.validation_images;
            recipe.train_images = rest.min(self.train_images);
        }
        recipe
    }
}

/// Width of the text after `--help`, for manual pages on a terminal of 80 columns.
const COLUMNS: usize = 73;
/// The end of `search -h`.
pub const SEARCH_EXAMPLES: &str = "\
Examples:
  genomaster search --data PICTURES                a folder of pictures, CLASS/FILE
  genomaster search --data fashion-mnist --time 1h
  genomaster search --data PICTURES --budget medium --out runs/second

--help explains more, with the other flags, the defaults for data and budget, and the rules of
the job board.
";

/// What `search` logs: warnings, the lines of progress, and what is read.
pub const SEARCH_LOG: &str =
    "warn,naschain_bins::commands::progress=info,naschain_bins::cli::data_args=info";

/// The end of `serve -h`.
pub const SERVE_EXAMPLES: &str = "\
Examples:
  genomaster serve --data fashion-mnist --listen 0.0.0.0:5000
  genomaster serve --data PICTURES --unsigned      if all machines are yours
  genomaster serve --retrain runs/first            the miners retrain its best network

--help explains more, with the other flags, the defaults for data and budget, and the rules of
the job board.
";

/// The tables of these defaults, shown at the end of `--help`.
pub(crate) fn presets() -> String {
    let mut text = String::from("Defaults that depend on --data and --budget:\n");
    for budget in Budget::ALL {
        let _ = write!(text, "  --budget {:<10}", budget.name());
        for (_, name) in Family::ALL {
            let _ = write!(text, "{name:>13}");
        }
        text.push('\n');
        let all = Family::ALL.map(|(family, _)| (family, defaults(family, budget)));
        for (flag, value) in ROWS {
            let _ = write!(text, "  {flag:<19}");
            for (family, defaults) in &all {
                let _ = write!(text, "{:>13}", value(*family, defaults));
            }
            text.push('\n');
        }
    }
    let _ = writeln!(
        text,
        "Of your own data (folder or FILE.npz) a fifth is for validation and the\n\
         rest for training, at most these numbers. serve: --replication 3.\n\
         * Folders of colour pictures with an --image-size of {AUGMENTED_WIDTH} or more have\n\
         --flip and a --crop-padding of an eighth of the width. --flip false\n\
         --crop-padding 0 switches both off, as for text and for other pictures\n\
         whose left and right have a meaning."
    );
    text
}

/// The lines of a text below its name, in as many columns as the tables have.
pub(crate) fn indented(text: &str) -> String {
    let mut lines = String::from("     ");
    let mut width = 5;
    for word in text.split(' ') {
        if width + 1 + word.len() > COLUMNS {
            lines += "\n     ";
            width = 5;
        }
        lines += " ";
        lines += word;
        width += 1 + word.len();
    }
    lines + "\n"
}

/// Rows of the tables.
#[allow(
    clippy::type_complexity,
    reason = "a list with this module as its only user"
)]
const ROWS: [(&str, fn(Family, &Defaults) -> String); 18] = [
    ("--phases", |_, d| d.space.phases.to_string()),
    ("--nodes", |_, d| d.space.nodes.to_string()),
    ("--blocks", |_, d| d.space.blocks.to_string()),
    ("--layers", |_, d| d.space.layers.to_string()),
    ("--stages", |_, d| d.space.stages.to_string()),
    ("--depth", |_, d| d.space.depth.to_string()),
    ("--init-channels", |_, d| d.space.init_channels.to_string()),
    ("--epochs", |_, d| d.epochs.to_string()),
    ("--batch-size", |_, d| d.batch_size.to_string()),
    ("--learning-rate", |_, d| d.learning_rate.to_string()),
    ("--train-images", |family, d| {
        at_most(family, d.train_images)
    }),
    ("--validation-images", |family, d| {
        at_most(family, d.validation_images)
    }),
    ("--crop-padding", |family, d| match family {
        Family::Other => "0 *".to_owned(),
        _ => d.augmentation.crop_padding.to_string(),
    }),
    ("--flip", |family, d| match family {
        Family::Other => "false *".to_owned(),
        _ => d.augmentation.horizontal_flip.to_string(),
    }),
    ("--cutout", |_, d| d.augmentation.cutout.to_string()),
    ("--population", |_, d| d.population.to_string()),
    ("--generations", |_, d| d.generations.to_string()),
    ("--replication", |_, d| d.replication.to_string()),
];

/// A number of images, which is a maximum for the user's own data.
fn at_most(family: Family, images: usize) -> String {
    match family {
        Family::Other => format!("<= {images}"),
        _ => images.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_valid_and_budgets_grow() {
        for (family, name) in Family::ALL {
            let work = Budget::ALL.map(|budget| {
                let d = defaults(family, budget);
                assert!(d.population >= 2 && d.generations >= 1, "{name}");
                let images = d.train_images * d.epochs as usize;
                images * d.space.init_channels * d.population * d.generations
            });
            assert!(
                work[0] * 3 < work[1] && work[1] * 3 < work[2],
                "{name}: {work:?}"
            );
        }
    }

    #[test]
    fn only_colour_pictures_that_are_not_tiny_are_flipped_and_cropped() {
        let of = |name: &str| {
            let defaults = Defaults::new(&name.parse().unwrap(), Budget::Small);
            let augmentation = defaults.augmentation;
            (augmentation.horizontal_flip, augmentation.crop_padding)
        };
        assert_eq!(of("folder-3x32x32"), (true, 4));
        assert_eq!(of("folder-3x64x64"), (true, 8));
        for name in ["folder-1x32x32", "folder-3x16x16", "scans.npz", "mnist"] {
            assert_eq!(of(name), (false, 0), "{name}");
        }
    }

    #[test]
    fn the_tables_have_a_column_for_each_family() {
        let text = presets();
        let small = text.lines().find(|line| line.contains("--epochs")).unwrap();
        let values: Vec<&str> = small.split_whitespace().collect();
        assert_eq!(values, ["--epochs", "6", "3", "4", "5"]);
        let text = text + &indented(&"several words ".repeat(20));
        assert!(text.lines().all(|line| line.len() <= COLUMNS), "{text}");
    }
}
