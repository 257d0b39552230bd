//! Whole training steps: with every instruction set and several numbers of threads, and compared
//! with burn.

use burn::backend::{Autodiff, Flex};
use naschain_core::{Architecture, MacroSpace, NetworkRef, Purpose, Recipe, Stream};
use rayon::ThreadPoolBuilder;

use super::CpuNetwork;
use crate::allocations::allocations;
use crate::burn::StockTraining;
use crate::drop_path;
use crate::engine::{Engine, StepInput};
use crate::kernels::simd::Isa;
use crate::weights::{TensorSource, Weights};

pub(crate) fn architecture(
    input: &str,
    nodes: usize,
    init_channels: usize,
    genome: &str,
) -> Architecture {
    let space = MacroSpace {
        phases: genome.split('-').count(),
        nodes,
        input: input.parse().unwrap(),
        init_channels,
        classes: 10,
    };
    space.decode(&genome.parse().unwrap()).unwrap()
}

/// Networks with every kind of layer, some with odd numbers of channels.
pub(crate) fn architectures() -> Vec<Architecture> {
    vec![
        architecture("1x8x8", 4, 8, "1101011-1011010"),
        architecture("3x12x10", 3, 5, "1111-1101"),
        architecture("1x9x9", 3, 6, "1011-0000-1110"),
        // The first convolution is counted but not applied.
        architecture("3x8x8", 3, 3, "1011"),
        // Only the linear layer.
        architecture("3x5x4", 3, 4, "0000"),
    ]
}

pub(crate) fn recipe() -> Recipe {
    let mut recipe = Recipe::default();
    recipe.epochs = 4;
    recipe.label_smoothing = 0.1;
    recipe.drop_path = 0.4;
    recipe.nesterov = true;
    recipe.weight_decay = 0.01;
    // Small enough to clip.
    recipe.clip_norm = 1.0;
    recipe
}

pub(crate) fn batch<'n>(
    network: impl Into<NetworkRef<'n>>,
    images: usize,
    paths: usize,
    seed: u64,
) -> StepInput {
    let mut stream = Stream::new(seed, Purpose::Simulation, 0, 0);
    let numbers = images * network.into().input().len();
    let indices: Vec<usize> = (0..images).collect();
    StepInput {
        pixels: (0..numbers)
            .map(|_| 4.0 * stream.unit_f32() - 2.0)
            .collect(),
        labels: (0..images).map(|_| stream.below(10) as u16).collect(),
        factors: drop_path::draw(&recipe(), 3, paths, &indices),
    }
}

/// The loss of each step, the trained weights, and the logits of other images.
pub(crate) fn run<'n, E: Engine>(
    network: impl Into<NetworkRef<'n>>,
    target: &E::Target,
    sizes: &[usize],
) -> (Vec<f64>, Weights, Vec<f32>) {
    let space = network.into();
    let mut network = E::build(space, TensorSource::drawn(7), target).unwrap();
    network.start_training(&[]);
    let steps = sizes.iter().enumerate().map(|(step, &images)| {
        let batch = batch(space, images, network.paths(), step as u64);
        network.step(&batch, &recipe(), 0.05).sum / images as f64
    });
    let losses = steps.collect();
    let others = batch(space, 70, 0, 99).pixels;
    (losses, network.read(), network.logits(others))
}

pub(crate) fn run_with(
    isa: Isa,
    threads: usize,
    architecture: &Architecture,
    sizes: &[usize],
) -> (Vec<f64>, Weights, Vec<f32>) {
    let pool = ThreadPoolBuilder::new().num_threads(threads).build();
    pool.unwrap()
        .install(|| run::<CpuNetwork>(architecture, &isa, sizes))
}

#[test]
fn instruction_sets_and_threads_do_not_change_the_result() {
    for architecture in architectures() {
        let sizes = [70, 33, 70, 1, 64];
        let right = run_with(Isa::Portable, 1, &architecture, &sizes);
        for isa in [Isa::Avx512, Isa::Avx2, Isa::Portable] {
            if !isa.is_available() {
                println!("{isa:?} is not available on this machine, skipped");
                continue;
            }
            for threads in [1, 2, 4] {
                let found = run_with(isa, threads, &architecture, &sizes);
                assert_eq!(found, right, "{isa:?} with {threads} threads");
            }
        }
    }
}

#[test]
fn steps_match_burn_up_to_rounding() {
    for architecture in architectures() {
        let sizes = [40, 40, 40];
        let (losses, weights, logits) = run_with(Isa::best(), 1, &architecture, &sizes);
        let device = Default::default();
        let burn = run::<StockTraining<Autodiff<Flex>>>(&architecture, &device, &sizes);
        for (ours, theirs) in losses.iter().zip(&burn.0) {
            assert!(
                (ours - theirs).abs() < 1e-4 * theirs,
                "{losses:?} {:?}",
                burn.0
            );
        }
        for (ours, theirs) in weights.tensors.iter().zip(&burn.1.tensors) {
            assert_eq!((&ours.name, &ours.shape), (&theirs.name, &theirs.shape));
            for (a, b) in ours.values.iter().zip(&theirs.values) {
                assert!((a - b).abs() < 2e-3, "{}: {a} and {b}", ours.name);
            }
        }
        assert_eq!(weights.tensors.len(), burn.1.tensors.len());
        for (a, b) in logits.iter().zip(&burn.2) {
            assert!((a - b).abs() < 2e-2 * (1.0 + b.abs()), "{a} and {b}");
        }
    }
}

#[test]
fn training_resumes_from_read_weights_and_velocities() {
    let architecture = &architectures()[0];
    let isa = Isa::best();
    let mut whole = CpuNetwork::build(architecture.into(), TensorSource::drawn(7), &isa).unwrap();
    whole.start_training(&[]);
    let batch = batch(architecture, 40, whole.paths(), 1);
    whole.step(&batch, &recipe(), 0.05);
    let stored = TensorSource::stored(whole.read());
    let mut resumed = CpuNetwork::build(architecture.into(), stored, &isa).unwrap();
    resumed.start_training(&whole.read_velocities());
    whole.step(&batch, &recipe(), 0.05);
    resumed.step(&batch, &recipe(), 0.05);
    assert_eq!(resumed.read(), whole.read());
    assert_eq!(resumed.read_velocities(), whole.read_velocities());
}

#[test]
fn a_step_allocates_nothing_once_the_buffers_exist() {
    let pool = ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    for architecture in architectures() {
        let mut network =
            CpuNetwork::build((&architecture).into(), TensorSource::drawn(7), &Isa::best())
                .unwrap();
        network.start_training(&[]);
        let recipe = recipe();
        let batch = batch(&architecture, 70, network.paths(), 1);
        let allocated = pool.install(|| {
            // The second step repeats the first, so every buffer has its final size by then.
            network.step(&batch, &recipe, 0.05);
            let (_, allocated) = allocations(|| network.step(&batch, &recipe, 0.05));
            allocated
        });
        assert_eq!(allocated, 0, "{architecture:?}");
    }
}
