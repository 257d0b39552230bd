//! Training by burn has the bits of our own training.

use std::ops::ControlFlow;

use burn::backend::{Autodiff, Flex};
use naschain_core::{Augmentation, MacroSpace, Purpose, Recipe, Stream};
use rayon::ThreadPoolBuilder;

use super::{BurnTraining, ExactDevice, Map, MiniBatches, train};
use crate::cpu::tests::{architecture, architectures, run, run_with};
use crate::{Dataset, Isa, Options};

type Backend = Autodiff<Flex>;

fn place(isa: Isa) -> ExactDevice<Backend> {
    ExactDevice {
        device: Default::default(),
        isa,
    }
}

fn isas() -> impl Iterator<Item = Isa> {
    let all = Isa::ALL.into_iter();
    all.filter(|isa| {
        if !isa.is_available() {
            println!("{isa:?} is not available on this machine, skipped");
        }
        isa.is_available()
    })
}

#[test]
fn steps_have_the_bits_of_our_own_with_every_instruction_set_and_number_of_threads() {
    let sizes = [70, 33, 1, 64];
    for architecture in architectures() {
        let right = run_with(Isa::best(), 1, &architecture, &sizes);
        for isa in isas() {
            for threads in [1, 2, 4] {
                let pool = ThreadPoolBuilder::new().num_threads(threads).build();
                let found = pool
                    .unwrap()
                    .install(|| run::<BurnTraining<Backend>>(&architecture, &place(isa), &sizes));
                assert_eq!(found, right, "{isa:?} with {threads} threads");
            }
        }
    }
}

/// Fails if layers leave no taps: of these genomes most then have other sums of gradients.
#[test]
fn random_genomes_of_six_nodes_have_the_bits_of_our_own() {
    let mut stream = Stream::new(3, Purpose::Simulation, 0, 0);
    for _ in 0..30 {
        let bits = (0..16).map(|_| if stream.chance(0.6) { '1' } else { '0' });
        let genome: String = bits.collect();
        let architecture = architecture("3x8x8", 6, 6, &genome);
        let right = run_with(Isa::best(), 1, &architecture, &[40, 33]);
        let found = run::<BurnTraining<Backend>>(&architecture, &place(Isa::best()), &[40, 33]);
        assert_eq!(found, right, "{genome}");
    }
}

#[test]
fn the_digest_is_that_of_a_miner() {
    let digits = Dataset::digits();
    let space = MacroSpace {
        phases: 2,
        nodes: 4,
        input: digits.shape,
        init_channels: 4,
        classes: digits.classes,
    };
    let architecture = space.decode(&"1101111-1011011".parse().unwrap()).unwrap();
    let mut recipe = Recipe::default();
    recipe.epochs = 2;
    recipe.batch_size = 48;
    recipe.train_images = 200;
    recipe.validation_images = 300;
    recipe.label_smoothing = 0.1;
    recipe.warmup_epochs = 1;
    recipe.drop_path = 0.2;
    recipe.nesterov = true;
    recipe.augmentation = Augmentation::default();
    let mut proceed = |_: &_| ControlFlow::Continue(());
    let options = Options::default();
    let right = crate::train(&architecture, &digits, &recipe, options, &mut proceed).unwrap();
    let place = place(Isa::best());
    let found = train::<Backend>(&architecture, &digits, &recipe, &place, &mut proceed).unwrap();
    assert_eq!(found, right);
    // What is checked before a training starts, is checked here too.
    recipe.arithmetic = 9;
    let error = train::<Backend>(&architecture, &digits, &recipe, &place, &mut proceed);
    assert!(error.unwrap_err().to_string().contains('9'));
    let error = MiniBatches::new(&digits, &recipe).err().unwrap();
    assert!(error.to_string().contains('9'), "{error}");
}

/// Digests that `miner selftest` prints on every machine, recorded on an AMD EPYC 9004 (Zen 4) from
/// training without burn.
#[test]
fn recorded_digests_are_reached() {
    let mut recipe = Recipe::default();
    (recipe.epochs, recipe.batch_size, recipe.learning_rate) = (2, 48, 0.05);
    (recipe.train_images, recipe.validation_images) = (500, 397);
    recipe.augmentation = Augmentation::default();
    recipe.augmentation.crop_padding = 1;
    recipe.augmentation.horizontal_flip = true;
    recipe.augmentation.cutout = 2;
    let mut wide = recipe.clone();
    (wide.batch_size, wide.train_images) = (64, 128);
    let mut every_option = recipe.clone();
    (every_option.seed, every_option.warmup_epochs) = (2, 1);
    (every_option.label_smoothing, every_option.drop_path) = (0.1, 0.2);
    every_option.nesterov = true;
    let recorded = [
        (
            "1101011-1011010",
            (4, 8),
            recipe,
            "59f2975652c1ed62a68b7d9318bd69319ad7239d21325250cb937f9c1336a732",
        ),
        (
            "1110-1011",
            (3, 48),
            wide,
            "7078dc0a67ae8494b599966fcfd1959c4a6fa30c96d383819a9fc07a6769f458",
        ),
        (
            "1111-1101-1011",
            (3, 6),
            every_option,
            "b8de85db8d4f32f1d20624211664aa084187874ed49aa611fee94f57de80cd2e",
        ),
    ];
    for (genome, (nodes, channels), recipe, right) in recorded {
        let architecture = architecture("1x8x8", nodes, channels, genome);
        let place = place(Isa::best());
        let mut proceed = |_: &_| ControlFlow::Continue(());
        let found = train::<Backend>(
            &architecture,
            &Dataset::digits(),
            &recipe,
            &place,
            &mut proceed,
        );
        assert_eq!(found.unwrap().measurement.digest.to_string(), right);
    }
}

#[test]
fn maps_convert_from_and_to_planes() {
    for (channels, isa) in [5, 8, 16, 20]
        .into_iter()
        .flat_map(|c| isas().map(move |isa| (c, isa)))
    {
        let numbers: Vec<f32> = (0..2 * channels * 12).map(|at| at as f32).collect();
        let planes =
            burn::tensor::Tensor::<Flex, 1>::from_floats(&numbers[..], &Default::default());
        let planes = planes.reshape([2, channels, 4, 3]);
        let map = Map::from_nchw(planes.clone(), isa);
        assert_eq!(map.tensor().dims(), map.shape().tensor());
        assert_eq!(map.to_nchw().into_data(), planes.into_data());
    }
}
