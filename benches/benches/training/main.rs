//! Training on one thread by network size and device: a single step within a training, the digest of
//! the state after a step, and a whole
//! training of one epoch over 256 digits. CUDA is measured if it is available, and with
//! `--features burn` also the same training by burn's autodiff, and networks of burn's own layers.

#[cfg(feature = "burn")]
mod stock;

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use naschain_core::{Architecture, Augmentation, MacroSpace, Purpose, Recipe, Shape, Stream};
use naschain_train::{
    Checkpoint, Dataset, Device, Epoch, Images, Options, replay_step, state_at, train,
};

const BATCH: usize = 64;
/// Steps of an epoch: enough that its end, with validation and digest, is a small part of it.
const STEPS: usize = 16;

/// Image shape, init channels, genome.
const NETWORKS: [(&str, usize, &str); 5] = [
    ("1x8x8", 8, "1101011-1011010"),
    ("1x8x8", 16, "1101011-1011010"),
    ("1x28x28", 16, "1101011-1011010"),
    ("3x32x32", 16, "1101011-1011010-1110011"),
    ("3x32x32", 36, "1101011-1011010-1110011"),
];

/// All networks for `cargo bench`; two small ones where `cargo test` only runs each benchmark once.
fn networks() -> &'static [(&'static str, usize, &'static str)] {
    if std::env::args().any(|argument| argument == "--bench") {
        &NETWORKS
    } else {
        &NETWORKS[..2]
    }
}

fn devices() -> Vec<Device> {
    let all = [Device::Cpu, Device::Cuda(0), Device::CudaDirect(0)];
    all.into_iter()
        .filter(|device| device.check().is_ok())
        .collect()
}

fn architecture(shape: &str, init_channels: usize, genome: &str) -> Architecture {
    let space = MacroSpace {
        phases: genome.split('-').count(),
        nodes: 4,
        input: shape.parse().unwrap(),
        init_channels,
        classes: 10,
    };
    space.decode(&genome.parse().unwrap()).unwrap()
}

/// Random pixels: the time of a step does not depend on the images.
fn synthetic(shape: Shape) -> Dataset {
    let mut stream = Stream::new(1, Purpose::Simulation, 0, 0);
    let pixels = (0..=STEPS * BATCH).flat_map(|_| 0..shape.len());
    let pixels = pixels.map(|_| stream.below(256) as u8).collect();
    let labels = (0..=STEPS * BATCH)
        .map(|index| (index % 10) as u16)
        .collect();
    let train = Images::new(shape, pixels, labels).unwrap();
    let test = Images::new(shape, Vec::new(), Vec::new()).unwrap();
    Dataset::new("synthetic", 10, train, test).unwrap()
}

fn recipe(epochs: u32, train_images: usize) -> Recipe {
    let mut recipe = Recipe::default();
    recipe.epochs = epochs;
    recipe.batch_size = BATCH;
    recipe.train_images = train_images;
    recipe.validation_images = 1;
    recipe.augmentation = Augmentation::default();
    recipe
}

/// The time of `epochs` epochs of [`STEPS`] steps, in a training after its first epoch.
/// `train` runs the whole training.
fn steps(
    epochs: u64,
    train: impl FnOnce(&Recipe, &mut (dyn FnMut(&Epoch) -> ControlFlow<()> + Send)),
) -> Duration {
    let mut times = Vec::new();
    #[allow(clippy::disallowed_methods)] // a benchmark reads the clock
    let mut on_epoch = |epoch: &Epoch| {
        if epoch.number == 1 || u64::from(epoch.number) == epochs + 1 {
            times.push(Instant::now());
        }
        ControlFlow::Continue(())
    };
    train(&recipe(epochs as u32 + 1, STEPS * BATCH), &mut on_epoch);
    times[1] - times[0]
}

fn step(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("training step");
    group.sample_size(10);
    group.throughput(Throughput::Elements((STEPS * BATCH) as u64));
    for device in devices() {
        for (shape, init_channels, genome) in networks().iter().copied() {
            let architecture = architecture(shape, init_channels, genome);
            let dataset = synthetic(architecture.input);
            let size = format!("{shape}, {init_channels} channels");
            let id = BenchmarkId::new(device.to_string(), size);
            group.bench_function(id, |bencher| {
                bencher.iter_custom(|count| {
                    steps(count, |recipe, on_epoch| {
                        let mut options = Options::default();
                        options.device = device;
                        train(&architecture, &dataset, recipe, options, on_epoch).unwrap();
                    })
                });
            });
        }
    }
    group.finish();
}

/// What a miner does that is asked for the digests of a state, without the training up to it; and what
/// a referee does: it reads and checks a checkpoint, and computes one step.
fn state(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("state of a step");
    for (shape, init_channels, genome) in networks().iter().copied() {
        let architecture = &architecture(shape, init_channels, genome);
        let dataset = &synthetic(architecture.input);
        let recipe = &recipe(1, STEPS * BATCH);
        let (options, mut proceed) = (Options::default(), |_| ControlFlow::Continue(()));
        let at = state_at(
            architecture,
            dataset,
            recipe,
            options,
            None,
            1,
            &mut proceed,
        );
        let before = at.unwrap();
        let (bytes, expected) = (before.to_bytes().unwrap(), before.step_state(recipe));
        let size = format!("{shape}, {init_channels} channels");
        group.bench_function(BenchmarkId::new("digest", &size), |bencher| {
            bencher.iter(|| before.step_state(recipe));
        });
        group.bench_function(BenchmarkId::new("referee", &size), |bencher| {
            bencher.iter(|| {
                let before = Checkpoint::from_bytes(&bytes).unwrap();
                let checked = before.check_state(architecture, dataset, recipe, 1, expected);
                checked.unwrap();
                replay_step(architecture, dataset, recipe, options, Some(before)).unwrap()
            });
        });
    }
    group.finish();
}

/// The same steps by burn's autodiff, with the same bits.
#[cfg(feature = "burn")]
fn burn_step(criterion: &mut Criterion) {
    use naschain_train::Isa;
    use naschain_train::burn::{CpuAutodiff, ExactDevice, train};

    let mut group = criterion.benchmark_group("training step");
    group.sample_size(10);
    group.throughput(Throughput::Elements((STEPS * BATCH) as u64));
    let place = ExactDevice::<CpuAutodiff> {
        device: Default::default(),
        isa: Isa::best(),
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    let pool = pool.unwrap();
    for (shape, init_channels, genome) in networks().iter().copied() {
        let architecture = architecture(shape, init_channels, genome);
        let dataset = synthetic(architecture.input);
        let id = BenchmarkId::new("burn", format!("{shape}, {init_channels} channels"));
        group.bench_function(id, |bencher| {
            bencher.iter_custom(|count| {
                steps(count, |recipe, on_epoch| {
                    let run =
                        || train::<CpuAutodiff>(&architecture, &dataset, recipe, &place, on_epoch);
                    pool.install(run).unwrap();
                })
            });
        });
    }
    group.finish();
}

/// Steps of the same networks by burn's own layers.
#[cfg(feature = "burn")]
fn stock_step(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("training step of burn's layers");
    group.sample_size(10);
    group.throughput(Throughput::Elements(BATCH as u64));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    let pool = pool.unwrap();
    for (shape, init_channels, genome) in networks().iter().copied() {
        let architecture = architecture(shape, init_channels, genome);
        let id = BenchmarkId::new("burn", format!("{shape}, {init_channels} channels"));
        group.bench_function(id, |bencher| {
            bencher.iter_custom(|count| pool.install(|| stock::steps(count, &architecture, BATCH)));
        });
    }
    group.finish();
}

#[cfg(not(feature = "burn"))]
fn burn_step(_: &mut Criterion) {}
#[cfg(not(feature = "burn"))]
fn stock_step(_: &mut Criterion) {}

fn epoch(criterion: &mut Criterion) {
    let digits = Dataset::digits();
    let recipe = recipe(1, 256);
    let mut group = criterion.benchmark_group("training epoch");
    group.sample_size(10);
    group.throughput(Throughput::Elements(recipe.train_images as u64));
    for device in devices() {
        let mut options = Options::default();
        options.device = device;
        for (shape, init_channels, genome) in &NETWORKS[..2] {
            let architecture = architecture(shape, *init_channels, genome);
            let size = format!("{init_channels} channels");
            let id = BenchmarkId::new(device.to_string(), size);
            group.bench_function(id, |bencher| {
                bencher.iter(|| {
                    let mut proceed = |_: &_| ControlFlow::Continue(());
                    train(&architecture, &digits, &recipe, options, &mut proceed).unwrap()
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, step, state, burn_step, stock_step, epoch);
criterion_main!(benches);
