//! Trains every distinct network of 2 phases of 4 nodes on the handwritten digits, three times each,
//! and writes the accuracies after every epoch: the table `naschain-nsga/data/digits-curves.bin`.
//!
//!     cargo run --release -p naschain-benches --example curves -- FILE [THREADS]
//!
//! It takes about 15 minutes of processor time. Any number of threads, and any machine, gives the same
//! bytes; the program prints their BLAKE3 digest.
//!
//! # Layout
//! All numbers are unsigned and little-endian. The file begins with the 8 bytes `NASCURV1`, the number
//! of seeds (2 bytes), of epochs (2 bytes) and of networks (4 bytes). A row for each network follows,
//! in ascending order of the rows' first 2 bytes:
//!
//! - the canonical genome (2 bytes), its first bit the most significant of the 14 that are used;
//! - parameters (4 bytes) and FLOPs (4 bytes);
//! - for each seed from 1, for each epoch: the accuracy on the training images during the epoch, then
//!   that on the validation images after it (2 bytes each), in hundredths of a percentage point.

use std::collections::BTreeSet;
use std::error::Error;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};

use naschain_core::{Augmentation, Genome, MacroSpace, Recipe};
use naschain_train::{Dataset, Options, measure_accuracy, train_from};

pub(crate) const SEEDS: u16 = 3;
pub(crate) const EPOCHS: u16 = 9;

pub(crate) fn space(digits: &Dataset) -> MacroSpace {
    MacroSpace {
        phases: 2,
        nodes: 4,
        input: digits.shape,
        init_channels: 4,
        classes: digits.classes,
    }
}

/// The seed determines the initial weights and the order of the training images; all seeds share the
/// training and the validation images.
pub(crate) fn recipe(seed: u16) -> Recipe {
    let mut recipe = Recipe::default();
    (recipe.seed, recipe.split_seed) = (u64::from(seed), Some(1));
    (recipe.epochs, recipe.rungs) = (u32::from(EPOCHS), vec![1, 3]);
    (recipe.train_images, recipe.validation_images) = (800, 597);
    (recipe.batch_size, recipe.learning_rate) = (8, 0.05);
    recipe.augmentation = Augmentation::default();
    recipe
}

fn genome(space: &MacroSpace, number: u16) -> Genome {
    let len = space.genome_len();
    Genome::from_bits((0..len).rev().map(|bit| number >> bit & 1 == 1))
}

fn number(genome: &Genome) -> u16 {
    let bits = genome.bits();
    bits.fold(0, |number, bit| number << 1 | u16::from(bit))
}

/// The canonical genomes of all distinct networks, as numbers, ascending.
pub(crate) fn networks(space: &MacroSpace) -> Result<Vec<u16>, Box<dyn Error>> {
    let mut networks = BTreeSet::new();
    for bits in 0..1 << space.genome_len() {
        networks.insert(number(&space.canonical(&genome(space, bits))?));
    }
    Ok(networks.into_iter().collect())
}

pub(crate) fn header(networks: usize) -> Vec<u8> {
    let mut header = b"NASCURV1".to_vec();
    header.extend(SEEDS.to_le_bytes());
    header.extend(EPOCHS.to_le_bytes());
    header.extend((networks as u32).to_le_bytes());
    header
}

/// Trains one network with every seed.
pub(crate) fn row(
    digits: &Dataset,
    space: &MacroSpace,
    number: u16,
) -> Result<Vec<u8>, Box<dyn Error>> {
    let network = space.decode(&genome(space, number))?;
    let costs = network.costs()?;
    let mut row = number.to_le_bytes().to_vec();
    row.extend(u32::try_from(costs.params)?.to_le_bytes());
    row.extend(u32::try_from(costs.flops)?.to_le_bytes());
    let options = Options::default();
    for seed in 1..=SEEDS {
        let recipe = recipe(seed);
        let (mut accuracies, mut failure) = (Vec::new(), None);
        train_from(
            &network,
            digits,
            &recipe,
            options,
            None,
            &mut |epoch, checkpoint| {
                accuracies.push(epoch.train_accuracy);
                match measure_accuracy(&network, checkpoint.weights(), digits, &recipe, options) {
                    Ok(accuracy) => accuracies.push(accuracy),
                    Err(error) => {
                        failure = Some(error);
                        return ControlFlow::Break(());
                    }
                }
                ControlFlow::Continue(())
            },
        )?;
        if let Some(error) = failure {
            return Err(error.into());
        }
        for accuracy in accuracies {
            let hundredths = u16::try_from(accuracy.hundredths())?;
            row.extend(hundredths.to_le_bytes());
        }
    }
    Ok(row)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("usage: curves FILE [THREADS]")?;
    let threads = arguments.next().unwrap_or_else(|| "1".to_owned());
    let threads: usize = match threads.parse() {
        Ok(threads @ 1..) => threads,
        _ => return Err(format!("THREADS is {threads:?}; it must be at least 1").into()),
    };
    let digits = Dataset::digits();
    let space = space(&digits);
    let networks = networks(&space)?;
    let next = AtomicUsize::new(0);
    let train = || {
        let mut rows = Vec::new();
        while let Some(&number) = networks.get(next.fetch_add(1, Ordering::Relaxed)) {
            let row = row(&digits, &space, number).map_err(|error| error.to_string())?;
            rows.push((number, row));
        }
        Ok::<_, String>(rows)
    };
    let mut rows = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(train)).collect();
        let mut rows = Vec::new();
        for worker in workers {
            let trained = worker
                .join()
                .map_err(|_| "a training panicked".to_owned())?;
            rows.extend(trained?);
        }
        Ok::<_, String>(rows)
    })?;
    rows.sort();
    let mut file = header(networks.len());
    rows.into_iter().for_each(|(_, row)| file.extend(row));
    std::fs::write(&path, &file).map_err(|error| format!("{path}: {error}"))?;
    println!(
        "{} bytes, BLAKE3 {}",
        file.len(),
        blake3::hash(&file).to_hex()
    );
    Ok(())
}
