//! Memory of trainings, counted at the allocator.

mod allocations;

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use allocations::{live, peak};
use naschain_core::{
    Architecture, Augmentation, Digest, Genome, MacroSpace, MicroSpace, MobileSpace, NetworkRef,
    Purpose, Recipe, SearchSpace, Shape, Stream,
};
use naschain_train::{
    Checkpoint, Dataset, Epoch, Error, Images, Options, Trained, train, train_from,
    training_memory_bytes,
};

fn images(shape: Shape, count: usize) -> Dataset {
    let part = |images: usize| {
        let pixels = (0..images * shape.len()).map(|i| (i * 7919 % 251) as u8);
        let labels = (0..images).map(|i| (i % 10) as u16);
        Images::new(shape, pixels.collect(), labels.collect()).unwrap()
    };
    Dataset::new("synthetic", 10, part(count), part(10)).unwrap()
}

fn random_genome(bits: usize, index: u64) -> Genome {
    let mut stream = Stream::new(1, Purpose::Simulation, 0, index);
    let mut bit = |_| if stream.chance(0.6) { '1' } else { '0' };
    let text: String = (0..bits).map(&mut bit).collect();
    text.parse().unwrap()
}

/// The allocator counts for the whole process, so tests run one at a time.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn measured_peaks_match_the_estimate() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    // Images a step, images validated on, threads.
    let sizes = [(1, 1, 1), (8, 250, 1), (32, 1, 2)];
    let spaces = [
        ("1x8x8", 1, 2, 4),
        ("1x8x8", 2, 4, 64),
        ("1x8x8", 1, 2, 256),
        ("1x28x28", 1, 6, 8),
        ("1x28x28", 2, 4, 16),
        ("3x32x32", 3, 10, 4),
        ("3x32x32", 3, 4, 12),
    ];
    let cases = spaces
        .iter()
        .flat_map(|space| sizes.map(|size| (space, size)));
    for (index, (&(shape, phases, nodes, init_channels), size)) in cases.enumerate() {
        let (batch_size, validation_images, threads) = size;
        let space = MacroSpace {
            phases,
            nodes,
            input: shape.parse().unwrap(),
            init_channels,
            classes: 10,
        };
        let genome = random_genome(space.genome_len(), index as u64);
        let architecture = space.decode(&genome).unwrap();
        let dataset = images(space.input, 300);
        let mut recipe = Recipe::default();
        recipe.epochs = 2;
        recipe.batch_size = batch_size;
        recipe.train_images = batch_size;
        recipe.validation_images = validation_images;
        recipe.augmentation = Augmentation::default();
        let holds = |way: &str, recipe: &Recipe, work: &dyn Fn()| {
            let ((), measured) = peak(work);
            let estimate = training_memory_bytes(&architecture, recipe, threads) as usize;
            let apart = (1 << 20) * threads;
            assert!(
                measured <= estimate && estimate - apart <= 2 * measured,
                "{shape} {genome} {size:?} {way}: {measured} bytes measured, {estimate} estimated"
            );
        };
        holds("alone", &recipe, &|| {
            digest(&architecture, &dataset, &recipe, threads);
        });
        holds("with checkpoints", &recipe, &|| {
            train_with_checkpoints(&architecture, &dataset, &recipe, threads)
        });
        let all = images(space.input, batch_size);
        let mut sizes = recipe.clone();
        sizes.validation_images = all.test.len();
        holds("on all", &sizes, &|| {
            let limit = training_memory_bytes(&architecture, &sizes, threads);
            on_all(&architecture, &all, &recipe, threads, limit).unwrap();
        });
    }
}

#[test]
fn peaks_of_networks_of_layers_match_the_estimate() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let cells = |blocks, layers, input: &str, init_channels| {
        SearchSpace::Micro(MicroSpace {
            blocks,
            layers,
            input: input.parse().unwrap(),
            init_channels,
            classes: 10,
        })
    };
    let stages = |stages, depth, input: &str, init_channels| {
        SearchSpace::Mobile(MobileSpace {
            stages,
            depth,
            input: input.parse().unwrap(),
            init_channels,
            classes: 10,
        })
    };
    let spaces = [
        cells(3, 3, "1x8x8", 8),
        cells(4, 5, "3x32x32", 8),
        cells(5, 6, "3x32x32", 12),
        cells(5, 3, "1x28x28", 16),
        stages(2, 2, "1x8x8", 8),
        stages(3, 3, "3x32x32", 16),
        stages(3, 4, "1x28x28", 12),
    ];
    for (index, space) in spaces.into_iter().enumerate() {
        let mut stream = Stream::new(3, Purpose::Simulation, 0, index as u64);
        let genome = space.random_genome(&mut stream).unwrap();
        let network = space.decode(&genome).unwrap();
        let dataset = images(space.input(), 300);
        for batch_size in [8, 40] {
            let mut recipe = Recipe::default();
            recipe.epochs = 1;
            (recipe.batch_size, recipe.train_images) = (batch_size, batch_size);
            recipe.validation_images = 8;
            recipe.augmentation = Augmentation::default();
            let ((), measured) = peak(|| {
                digest(&network, &dataset, &recipe, 1);
            });
            let estimate = training_memory_bytes(&network, &recipe, 1) as usize;
            assert!(
                measured <= estimate && estimate - (1 << 20) <= 2 * measured,
                "{space:?} {genome} {batch_size}: {measured} bytes measured, {estimate} estimated"
            );
        }
    }
}

/// Stops after the first epoch and resumes from its checkpoint file.
fn train_with_checkpoints(
    architecture: &Architecture,
    dataset: &Dataset,
    recipe: &Recipe,
    threads: usize,
) {
    let path = std::env::temp_dir().join(format!("naschain-memory-{}", std::process::id()));
    let mut options = Options::default();
    options.threads = threads;
    let mut report = |epoch: &Epoch, checkpoint: &Checkpoint| {
        checkpoint.save(&path).unwrap();
        match epoch.number {
            1 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    };
    let stopped = train_from(architecture, dataset, recipe, options, None, &mut report);
    stopped.unwrap_err();
    let kept = Some(Checkpoint::load(&path).unwrap());
    train_from(architecture, dataset, recipe, options, kept, &mut report).unwrap();
    std::fs::remove_file(&path).unwrap();
}

/// Trains with no image held back.
fn on_all(
    architecture: &Architecture,
    dataset: &Dataset,
    recipe: &Recipe,
    threads: usize,
    memory_limit_bytes: u64,
) -> Result<Trained, Error> {
    let mut recipe = recipe.clone();
    (recipe.train_images, recipe.validation_images) = (dataset.train.len(), 0);
    let mut options = Options::default();
    options.threads = threads;
    options.memory_limit_bytes = Some(memory_limit_bytes);
    let mut proceed = |_: &_| ControlFlow::Continue(());
    train(architecture, dataset, &recipe, options, &mut proceed)
}

/// Where the accuracy is measured on the test images, the memory check counts those of the data set.
#[test]
fn the_memory_limit_counts_the_test_images() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let digits = Dataset::digits();
    let few = images(digits.shape, digits.train.len());
    let space = MacroSpace {
        phases: 1,
        nodes: 2,
        input: digits.shape,
        init_channels: 4,
        classes: digits.classes,
    };
    let architecture = space.decode(&"1-1".parse().unwrap()).unwrap();
    let recipe = small_recipe();
    let needed_for = |dataset: &Dataset| {
        let mut sizes = recipe.clone();
        sizes.train_images = dataset.train.len();
        sizes.validation_images = dataset.test.len();
        training_memory_bytes(&architecture, &sizes, 1)
    };
    let needed = needed_for(&digits);
    assert!(needed_for(&few) < needed);
    on_all(&architecture, &few, &recipe, 1, needed_for(&few)).unwrap();
    let run = |limit| on_all(&architecture, &digits, &recipe, 1, limit);
    let refused = run(needed - 1).unwrap_err();
    assert!(matches!(refused, Error::MemoryLimit { needed_bytes, .. } if needed_bytes == needed));
    run(needed).unwrap();
}

#[test]
fn too_large_networks_are_rejected_before_allocation() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let digits = Dataset::digits();
    let space = MacroSpace {
        phases: 1,
        nodes: 20,
        input: digits.shape,
        init_channels: 4096,
        classes: digits.classes,
    };
    let genome = random_genome(space.genome_len(), 0);
    let architecture = space.decode(&genome).unwrap();
    let recipe = small_recipe();
    let mut options = Options::default();
    options.memory_limit_bytes = Some(1 << 30);
    let mut proceed = |_: &_| ControlFlow::Continue(());
    let (refused, measured) =
        peak(|| train(&architecture, &digits, &recipe, options, &mut proceed));
    assert!(measured < 1 << 16);
    let needed = training_memory_bytes(&architecture, &recipe, 1).div_ceil(1 << 20);
    let right = format!(
        "training this network in batches of 32 needs about {needed} MiB of memory; the limit is 1024 MiB"
    );
    assert_eq!(refused.unwrap_err().to_string(), right);
}

/// 300 trainings on three threads leak no memory, and give the same digests as alone.
#[test]
fn trainings_do_not_leak_memory() {
    const TRAININGS: u64 = 300;
    const BEFORE: u64 = 60;
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let digits = Dataset::digits();
    let space = MacroSpace {
        phases: 2,
        nodes: 4,
        input: digits.shape,
        init_channels: 4,
        classes: digits.classes,
    };
    let train = |index| {
        let genome = random_genome(space.genome_len(), index);
        let architecture = space.decode(&genome).unwrap();
        digest(&architecture, &digits, &small_recipe(), 1)
    };
    let train_all = |indices: Range<u64>| -> BTreeMap<u64, Digest> {
        let next = AtomicU64::new(indices.start);
        let found = Mutex::new(BTreeMap::new());
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    loop {
                        let index = next.fetch_add(1, Relaxed);
                        if index >= indices.end {
                            return;
                        }
                        let digest = train(index);
                        found.lock().unwrap().insert(index, digest);
                    }
                });
            }
        });
        found.into_inner().unwrap()
    };
    let mut found = train_all(0..BEFORE);
    let (before, resident) = (live(), resident_bytes());
    found.extend(train_all(BEFORE..TRAININGS));
    let grown = live().saturating_sub(before);
    // The smallest of these networks has 8 KB of parameters and 100 KB or more of maps per batch.
    assert!(
        grown < 240 * 4096,
        "{grown} bytes of 240 trainings are still held"
    );
    if let (Some(before), Some(now)) = (resident, resident_bytes()) {
        let grown = now.saturating_sub(before);
        assert!(
            grown < 16 << 20,
            "the process has grown by {grown} bytes in 240 trainings"
        );
    }
    for (index, digest) in found.into_iter().step_by(25) {
        assert_eq!(digest, train(index), "genome {index}");
    }
}

fn small_recipe() -> Recipe {
    let mut recipe = Recipe::default();
    recipe.epochs = 1;
    recipe.batch_size = 32;
    recipe.train_images = 32;
    recipe.validation_images = 32;
    recipe.augmentation = Augmentation::default();
    recipe
}

fn digest<'n>(
    network: impl Into<NetworkRef<'n>>,
    dataset: &Dataset,
    recipe: &Recipe,
    threads: usize,
) -> Digest {
    let mut options = Options::default();
    options.threads = threads;
    let mut proceed = |_: &_| ControlFlow::Continue(());
    let trained = train(network, dataset, recipe, options, &mut proceed).unwrap();
    trained.measurement.digest
}

/// The process's resident memory; `None` on systems other than Linux.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}

/// Bytes per image of the maps that a backward pass needs: inputs of convolutions and batch norms,
/// and outputs of phases.
fn activations(architecture: &Architecture) -> usize {
    let phases = architecture
        .phases
        .iter()
        .enumerate()
        .map(|(index, phase)| {
            let map = phase.channels * phase.height * phase.width;
            let joins = phase.nodes.iter().map(|node| node.inputs.len());
            let joins = joins.chain([phase.output.len()]);
            let joins = joins.filter(|inputs| *inputs > 1).count();
            let pooled = if index > 0 && phase.entry.applied {
                phase.entry.in_channels * phase.height * phase.width
            } else {
                0
            };
            (2 * phase.nodes.len() + 2 + joins) * map + pooled
        });
    4 * (phases.sum::<usize>() + architecture.input.len())
}

#[test]
fn the_peak_is_at_most_1_3_times_the_activations() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for index in 0..10 {
        let (input, init_channels, nodes) =
            [("1x28x28", 8, 3), ("3x32x32", 16, 4), ("1x28x28", 16, 5)][index % 3];
        let space = MacroSpace {
            phases: 3,
            nodes,
            input: input.parse().unwrap(),
            init_channels,
            classes: 10,
        };
        let genome = random_genome(space.genome_len(), 100 + index as u64);
        let architecture = space.decode(&genome).unwrap();
        let dataset = images(space.input, 129);
        let mut recipe = Recipe::default();
        recipe.epochs = 1;
        recipe.batch_size = 128;
        recipe.train_images = 128;
        recipe.validation_images = 1;
        recipe.augmentation = Augmentation::default();
        let (_, measured) = peak(|| digest(&architecture, &dataset, &recipe, 1));
        let needed = 128 * activations(&architecture);
        println!("{input} {genome}: {:.3}", measured as f64 / needed as f64);
        assert!(
            measured * 10 <= needed * 13,
            "{input} {genome}: {measured} bytes for activations of {needed}"
        );
    }
}
