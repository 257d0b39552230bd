//! `miner selftest --random N`: random trainings, compared between the device and the CPU.

use std::ops::ControlFlow;

use anyhow::{Result, ensure};
use naschain_core::{
    Augmentation, Digest, Genome, MacroSpace, MicroSpace, MobileSpace, Network, Purpose, Recipe,
    SearchSpace, Shape, Stream,
};
use naschain_train::{Dataset, Device, Options, train};
use serde::Serialize;

use crate::cli::program::print;
use crate::cli::space_args::SpaceName;
use crate::commands::speed::synthetic_images;

/// Approximate limit on FLOPs of the forward passes of one training, so that any genome takes
/// seconds.
const MAX_FLOPS: u64 = 100_000_000;

/// What is printed for one training.
#[derive(Debug, Serialize)]
struct TrainingResult {
    index: u64,
    genome: String,
    input: Shape,
    init_channels: usize,
    batch_size: usize,
    device: String,
    digest: Digest,
    /// `None` on a CPU.
    equal_to_cpu: Option<bool>,
}

/// Runs the first `count` trainings of a fixed random sequence and prints their digests. On a GPU,
/// runs each on the CPU too, and fails if digests differ.
pub(crate) fn synthetic_trainings(
    space: SpaceName,
    count: u64,
    epochs: u32,
    options: Options,
    json: bool,
) -> Result<()> {
    let mut different = Vec::new();
    for index in 0..count {
        let training = SyntheticTraining::draw(space, index, epochs)?;
        let digest = training.run(options)?;
        let mut on_cpu = options;
        on_cpu.device = Device::Cpu;
        let result = TrainingResult {
            index,
            genome: training.genome.clone(),
            input: training.dataset.shape,
            init_channels: training.init_channels,
            batch_size: training.recipe.batch_size,
            device: options.device.to_string(),
            digest,
            equal_to_cpu: match options.device {
                Device::Cpu => None,
                _ => Some(training.run(on_cpu)? == digest),
            },
        };
        if result.equal_to_cpu == Some(false) {
            different.push(index);
        }
        print(&result.line(json)?)?;
    }
    ensure!(
        different.is_empty(),
        "{} of {count} trainings have digests that differ from those on the CPU (D3): {different:?}",
        different.len()
    );
    Ok(())
}

impl TrainingResult {
    fn line(&self, json: bool) -> Result<String> {
        if json {
            return Ok(serde_json::to_string(self)? + "\n");
        }
        let equal = match self.equal_to_cpu {
            None => "",
            Some(true) => ", equal to CPU",
            Some(false) => ", NOT EQUAL to CPU",
        };
        Ok(format!(
            "{} on {}: genome {}, images {}, {} channels, batch size {}{equal}\n",
            self.digest, self.device, self.genome, self.input, self.init_channels, self.batch_size
        ))
    }
}

/// A network with its recipe and data.
struct SyntheticTraining {
    genome: String,
    init_channels: usize,
    architecture: Network,
    recipe: Recipe,
    dataset: Dataset,
}

impl SyntheticTraining {
    /// Draws training `index`: a network, images, and options of the recipe. The last batch of every
    /// epoch is smaller than the others.
    ///
    /// `python/independent` draws the same sequence: the order of the draws is part of it.
    fn draw(space: SpaceName, index: u64, epochs: u32) -> Result<SyntheticTraining> {
        let mut stream = Stream::new(1, Purpose::Simulation, 1 + space as u64, index);
        let (space, genome) = match space {
            SpaceName::Macro => of_phases(&mut stream, index),
            name => of_genes(name, &mut stream)?,
        };
        let network = space.decode(&genome)?;
        let affordable = MAX_FLOPS / network.costs()?.flops.max(1) / 2;
        let train_images = affordable.clamp(5, 200) as usize;
        let recipe = recipe(&mut stream, index, epochs, train_images);
        let images = train_images + recipe.validation_images;
        Ok(SyntheticTraining {
            genome: genome.grouped(space.part_len()),
            init_channels: space.init_channels(),
            architecture: network,
            dataset: synthetic_images(space.input(), images, 10)?,
            recipe,
        })
    }

    fn run(&self, options: Options) -> Result<Digest> {
        let mut proceed = |_: &naschain_train::Epoch| ControlFlow::Continue(());
        let trained = train(
            &self.architecture,
            &self.dataset,
            &self.recipe,
            options,
            &mut proceed,
        )?;
        Ok(trained.measurement.digest)
    }
}

fn between(stream: &mut Stream, min: u64, max: u64) -> usize {
    (min + stream.below(max - min + 1)) as usize
}

/// Random numbers of phases, nodes and channels. In every eighth training, the network has as many
/// channels as the images, so that the entry convolution is not applied.
fn of_phases(stream: &mut Stream, index: u64) -> (SearchSpace, Genome) {
    let mut between = |min: u64, max: u64| between(stream, min, max);
    let mut space = MacroSpace {
        phases: between(1, 3),
        nodes: between(2, 4),
        input: Shape {
            channels: [1, 3][between(0, 1)],
            height: between(6, 32),
            width: between(6, 32),
        },
        init_channels: between(1, 24),
        classes: 10,
    };
    if index % 8 == 7 {
        space.init_channels = space.input.channels;
    }
    let bits: Vec<bool> = (0..space.genome_len()).map(|_| between(0, 2) > 0).collect();
    (space.into(), Genome::from_bits(bits))
}

/// Random sizes of a space whose genomes are genes, and images whose sides can be halved twice.
fn of_genes(name: SpaceName, stream: &mut Stream) -> Result<(SearchSpace, Genome)> {
    let mut between = |min: u64, max: u64| between(stream, min, max);
    let most = if name == SpaceName::Micro { 4 } else { 3 };
    let sizes = [between(1, most), between(1, most)];
    let input = Shape {
        channels: [1, 3][between(0, 1)],
        height: 4 * between(2, 5),
        width: 4 * between(2, 5),
    };
    let init_channels = between(1, 12);
    let space: SearchSpace = if name == SpaceName::Micro {
        MicroSpace {
            blocks: sizes[0],
            layers: sizes[1],
            input,
            init_channels,
            classes: 10,
        }
        .into()
    } else {
        MobileSpace {
            stages: sizes[0],
            depth: sizes[1],
            input,
            init_channels,
            classes: 10,
        }
        .into()
    };
    let genome = space.random_genome(stream)?;
    Ok((space, genome))
}

fn recipe(stream: &mut Stream, index: u64, epochs: u32, train_images: usize) -> Recipe {
    let mut between = |min: u64, max: u64| between(stream, min, max);
    let mut recipe = Recipe::default();
    recipe.seed = index;
    recipe.epochs = epochs;
    recipe.batch_size = (train_images * 2 / 3).max(3);
    recipe.train_images = train_images;
    recipe.validation_images = 10;
    recipe.learning_rate = 0.05;
    recipe.augmentation = {
        let mut augmentation = Augmentation::default();
        augmentation.crop_padding = between(0, 2);
        augmentation.horizontal_flip = between(0, 1) == 1;
        augmentation.cutout = between(0, 3);
        augmentation
    };
    recipe.label_smoothing = [0.0, 0.1][between(0, 1)];
    // A training of one epoch cannot consist of a warm-up alone.
    recipe.warmup_epochs = (between(0, 1) as u32).min(epochs - 1);
    recipe.drop_path = [0.0, 0.3][between(0, 1)];
    recipe.nesterov = between(0, 1) == 1;
    recipe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_fixed_and_trainings_differ() {
        for space in [SpaceName::Macro, SpaceName::Micro, SpaceName::Mobile] {
            let digest = |index| {
                let training = SyntheticTraining::draw(space, index, 2).unwrap();
                training.run(Options::default()).unwrap()
            };
            let first: Vec<Digest> = (0..3).map(digest).collect();
            assert_eq!(digest(1), first[1]);
            assert_ne!(first[0], first[1]);
            assert_ne!(first[1], first[2]);
        }
    }
}
