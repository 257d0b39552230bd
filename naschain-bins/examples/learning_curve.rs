//! Trains one network and prints its learning curve as comma-separated values, one line per epoch,
//! with the accuracy on the test set:
//!
//!     cargo run --release -p naschain-bins --example learning_curve -- --data cifar10 --epochs 10

use std::ops::ControlFlow;

use anyhow::{Result, anyhow};
use clap::Parser;
use naschain_bins::now;
use naschain_bins::programs::{DataArgs, DeviceArgs, print};
use naschain_core::{Augmentation, Genome, MacroSpace, Recipe};
use naschain_train::{Checkpoint, Epoch, evaluate, train_from};

/// Train one network and print its learning curve as comma-separated values
#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    device: DeviceArgs,
    /// Genome of the network, one part per phase
    #[arg(long, value_name = "BITS", default_value = "1110-1110-1110")]
    genome: String,
    /// Nodes per phase
    #[arg(long, value_name = "N", default_value_t = 3)]
    nodes: usize,
    /// Channels of the first phase
    #[arg(long, value_name = "N", default_value_t = 16)]
    init_channels: usize,
    #[arg(long, value_name = "N", default_value_t = 10)]
    epochs: u32,
    #[arg(long, value_name = "N", default_value_t = 128)]
    batch_size: usize,
    #[arg(long, value_name = "X", default_value_t = 0.025)]
    learning_rate: f64,
    /// Number of training images
    #[arg(long, value_name = "N", default_value_t = 1000)]
    train_images: usize,
    /// Pixels of padding for random crops; 0 is off
    #[arg(long, value_name = "N", default_value_t = 0)]
    crop_padding: usize,
    /// Flip images horizontally with probability one half
    #[arg(long)]
    flip: bool,
    /// Side of the square that cutout masks in each image, in pixels; 0 is off
    #[arg(long, value_name = "N", default_value_t = 0)]
    cutout: usize,
    #[arg(long, value_name = "X", default_value_t = 0.0)]
    label_smoothing: f64,
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    let dataset = cli.data.load()?;
    let genome: Genome = cli.genome.parse()?;
    let space = MacroSpace {
        phases: cli.genome.split('-').count(),
        nodes: cli.nodes,
        input: dataset.shape,
        init_channels: cli.init_channels,
        classes: dataset.classes,
    };
    let architecture = space.decode(&genome)?;
    let mut recipe = Recipe::default();
    // The curve is measured on the test set; one validation image is the minimum.
    recipe.seed = cli.seed;
    recipe.epochs = cli.epochs;
    recipe.batch_size = cli.batch_size;
    recipe.train_images = cli.train_images;
    recipe.validation_images = 1;
    recipe.learning_rate = cli.learning_rate;
    recipe.augmentation = {
        let mut augmentation = Augmentation::default();
        augmentation.crop_padding = cli.crop_padding;
        augmentation.horizontal_flip = cli.flip;
        augmentation.cutout = cli.cutout;
        augmentation
    };
    recipe.label_smoothing = cli.label_smoothing;
    let options = cli.device.options();
    print("epoch,loss,train_accuracy,test_accuracy,images_per_second\n")?;
    let mut problem = None;
    let mut before = now();
    let mut line = |epoch: &Epoch, checkpoint: &Checkpoint| {
        let speed = epoch.images_per_second(now() - before);
        let weights = checkpoint.weights();
        let test = evaluate(&architecture, weights, &dataset, &dataset.test, options);
        let said = test.map_err(|error| anyhow!(error)).and_then(|test| {
            let Epoch {
                number,
                loss,
                train_accuracy,
                ..
            } = epoch;
            print(&format!(
                "{number},{loss:.4},{train_accuracy},{test},{speed:.0}\n"
            ))
        });
        before = now();
        match said {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                problem = Some(error);
                ControlFlow::Break(())
            }
        }
    };
    let trained = train_from(&architecture, &dataset, &recipe, options, None, &mut line);
    match problem {
        Some(problem) => Err(problem),
        None => Ok(trained.map(drop)?),
    }
}
