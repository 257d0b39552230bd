//! Whole training steps of networks of the micro and the mobile space, compared bit for bit with plain loops,
//! with every instruction set and several numbers of threads.

mod backward;
mod network;
mod plain;

use naschain_core::{GeneSpace, MicroSpace, MobileSpace, Network, Purpose, Stream};
use rayon::ThreadPoolBuilder;

use self::network::PlainNetwork;
use super::LayersNetwork;
use crate::cpu::tests::{batch, recipe, run};
use crate::engine::Engine;
use crate::kernels::simd::Isa;
use crate::weights::{TensorSource, Weights};

fn space(blocks: usize, layers: usize, input: &str, init_channels: usize) -> MicroSpace {
    MicroSpace {
        blocks,
        layers,
        input: input.parse().unwrap(),
        init_channels,
        classes: 10,
    }
}

/// Networks with every operation, with one and with both strides, and with inputs that nobody reads.
fn networks() -> Vec<Network> {
    let all = [0, 0, 1, 1, 2, 0, 3, 1, 4, 0, 5, 1, 6, 0, 7, 1, 8, 0, 2, 2];
    let again = [0, 0, 1, 1, 2, 2, 3, 0, 4, 3, 5, 2, 6, 1, 7, 0, 8, 5, 2, 1];
    let one = [3, 1, 3, 1, 2, 2, 0, 1];
    let mut networks = vec![
        space(5, 3, "3x8x12", 6)
            .network(&[all, again].concat())
            .unwrap(),
        space(5, 3, "1x8x8", 16)
            .network(&[again, all].concat())
            .unwrap(),
        // Input 0 is never read, and the output of every second cell is.
        space(2, 4, "2x12x8", 5)
            .network(&[one, one].concat())
            .unwrap(),
    ];
    let random = space(3, 4, "3x12x12", 8);
    let mut stream = Stream::new(5, Purpose::Simulation, 0, 0);
    let genes = random.random_genes(&mut stream).unwrap();
    networks.push(random.network(&genes).unwrap());
    networks.extend(of_stages());
    networks
}

/// Networks of the mobile space: with and without squeeze-and-excitation, residual sums and a resized image.
fn of_stages() -> Vec<Network> {
    let space = |stages, depth, input: &str, init_channels| MobileSpace {
        stages,
        depth,
        input: input.parse().unwrap(),
        init_channels,
        classes: 10,
    };
    let small = space(2, 2, "3x16x8", 6);
    let of_both = [1, 1, 1, 0, 1, 1, 3, 1, 3, 0, 2, 2, 1, 0];
    let with = |resolution: u8| {
        let genes = [&of_both[..], &[resolution]].concat();
        small.network(&genes).unwrap()
    };
    let large = space(3, 3, "1x16x16", 11);
    let mut stream = Stream::new(5, Purpose::Simulation, 0, 1);
    let genes = large.random_genes(&mut stream).unwrap();
    vec![with(0), with(2), large.network(&genes).unwrap()]
}

fn run_with(
    isa: Isa,
    threads: usize,
    network: &Network,
    sizes: &[usize],
) -> (Vec<f64>, Weights, Vec<f32>) {
    let pool = ThreadPoolBuilder::new().num_threads(threads).build();
    pool.unwrap()
        .install(|| run::<LayersNetwork>(network, &isa, sizes))
}

#[test]
fn steps_are_those_of_plain_loops() {
    for architecture in networks() {
        let sizes = [35, 33, 2];
        let isa = Isa::best();
        let mut network =
            LayersNetwork::build((&architecture).into(), TensorSource::drawn(7), &isa).unwrap();
        let paths = network.paths();
        assert!(paths > 0, "{architecture:?}");
        let mut plain = PlainNetwork::new(architecture.view().graph().unwrap(), &network.read());
        network.start_training(&[]);
        for (step, images) in sizes.into_iter().enumerate() {
            let batch = batch(&architecture, images, paths, step as u64);
            let right = plain.step(&batch, &recipe(), 0.05);
            let found = network.step(&batch, &recipe(), 0.05).sum / images as f64;
            assert_eq!(found, right, "loss of step {step}");
            for tensor in network.read().tensors {
                let right = &plain.tensors[&tensor.name];
                assert_eq!(&tensor.values, right, "step {step}: {}", tensor.name);
            }
        }
        let others = batch(&architecture, 40, 0, 99).pixels;
        assert_eq!(network.logits(others.clone()), plain.logits(&others));
    }
}

#[test]
fn instruction_sets_and_threads_do_not_change_the_result() {
    for architecture in networks() {
        let sizes = [40, 1];
        let right = run_with(Isa::best(), 1, &architecture, &sizes);
        for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
            for threads in [1, 3] {
                let found = run_with(isa, threads, &architecture, &sizes);
                assert_eq!(found, right, "{isa:?} with {threads} threads");
            }
        }
    }
}

#[test]
fn training_resumes_from_read_weights_and_velocities() {
    // With layers that are stored, but not used.
    let architecture = &networks()[2];
    let isa = Isa::best();
    let build = |source| LayersNetwork::build(architecture.into(), source, &isa).unwrap();
    let mut whole = build(TensorSource::drawn(7));
    whole.start_training(&[]);
    let idle = whole.read_velocities();
    assert!(idle.contains(&None) && idle.iter().any(Option::is_some));
    let batch = batch(architecture, 40, whole.paths(), 1);
    whole.step(&batch, &recipe(), 0.05);
    let mut resumed = build(TensorSource::stored(whole.read()));
    resumed.start_training(&whole.read_velocities());
    whole.step(&batch, &recipe(), 0.05);
    resumed.step(&batch, &recipe(), 0.05);
    assert_eq!(resumed.read(), whole.read());
    assert_eq!(resumed.read_velocities(), whole.read_velocities());
}
