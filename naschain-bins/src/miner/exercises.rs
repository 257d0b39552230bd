//! Fixed trainings whose digests are known: what `miner selftest` runs, and a GPU's proof that it
//! trains to the bits of the CPU.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Result, bail};
use naschain_consensus::Rule;
use naschain_core::{
    Augmentation, Digest, GeneSpace as _, Genome, MacroSpace, MicroSpace, MobileSpace, Network,
    Recipe, SearchSpace,
};
use naschain_train::{Dataset, Device, Options, train};
use serde::Serialize;

use crate::clock;

/// The digest of [`exercises`] on every machine, recorded on an AMD EPYC 9004 (Zen 4). It is the
/// same with AVX-512, with AVX2 and with neither; the tests of the kernels compare them.
pub(crate) const RECORDED: &str =
    "4abfc974b32a5ea3edf5798a00831b52f8052840f7e079419197c4ff2ef20838";

#[derive(Clone, Debug, Serialize)]
pub(crate) struct ExerciseResult {
    pub(crate) space: &'static str,
    pub(crate) genome: String,
    pub(crate) params: u64,
    pub(crate) digest: Digest,
    #[serde(skip)]
    pub(crate) images: u64,
    #[serde(skip)]
    pub(crate) seconds: f64,
}

pub(crate) fn digest_of(trainings: &[ExerciseResult]) -> Digest {
    let mut hasher = blake3::Hasher::new();
    for training in trainings {
        hasher.update(&training.digest.0);
    }
    Digest(*hasher.finalize().as_bytes())
}

/// A network and its recipe.
pub(crate) struct Exercise {
    space: SearchSpace,
    genome: Genome,
    architecture: Network,
    recipe: Recipe,
}

/// Trainings of a few seconds that together cover every kind of layer of every space, every option of the
/// recipe, a last batch that is not full, and sums that are long enough to be split.
pub(crate) fn exercises(digits: &Dataset) -> Result<Vec<Exercise>> {
    let mut base = base_recipe();
    let mut wide = base.clone();
    wide.batch_size = 64;
    wide.train_images = 128;
    let mut options = base.clone();
    options.seed = 2;
    options.label_smoothing = 0.1;
    options.warmup_epochs = 1;
    options.drop_path = 0.2;
    options.nesterov = true;
    let mut exercises = vec![
        of_phases(digits, "1101011-1011010", 4, 8, base.clone())?,
        of_phases(digits, "1110-1011", 3, 48, wide)?,
        of_phases(digits, "1111-1101-1011", 3, 6, options.clone())?,
    ];
    // Fewer images: networks of these spaces have many more layers.
    for recipe in [&mut base, &mut options] {
        recipe.train_images = 130;
        recipe.validation_images = 60;
    }
    for (cells, blocks, layers, recipe) in [
        (every_operation(), 5, 3, base.clone()),
        (cells_of_three_blocks(), 3, 4, options.clone()),
    ] {
        let space = MicroSpace {
            blocks,
            layers,
            input: digits.shape,
            init_channels: 6,
            classes: digits.classes,
        };
        let genome = space.genome_of(&cells)?;
        exercises.push(Exercise::new(space.into(), genome, recipe)?);
    }
    // Depth, width, squeeze-and-excitation, and kernels and expansions of two blocks of each stage; the
    // resolution. The second network resizes the images.
    for (genes, stages, recipe) in [
        (
            [
                1, 1, 1, 0, 1, 2, 2, 1, 0, 0, 1, 0, 0, 3, 0, 2, 1, 2, 1, 0, 0, 0,
            ]
            .as_slice(),
            3,
            base,
        ),
        (
            [1, 2, 0, 2, 3, 1, 1, 1, 3, 1, 1, 2, 2, 0, 1].as_slice(),
            2,
            options,
        ),
    ] {
        let space = MobileSpace {
            stages,
            depth: 2,
            input: digits.shape,
            init_channels: 8,
            classes: digits.classes,
        };
        let genome = space.genome_of(genes)?;
        exercises.push(Exercise::new(space.into(), genome, recipe)?);
    }
    Ok(exercises)
}

fn base_recipe() -> Recipe {
    let mut base = Recipe::default();
    base.epochs = 2;
    base.batch_size = 48;
    base.train_images = 500;
    base.validation_images = 397;
    base.learning_rate = 0.05;
    base.augmentation = {
        let mut augmentation = Augmentation::default();
        augmentation.crop_padding = 1;
        augmentation.horizontal_flip = true;
        augmentation.cutout = 2;
        augmentation
    };
    base
}

fn of_phases(
    digits: &Dataset,
    genome: &str,
    nodes: usize,
    init_channels: usize,
    recipe: Recipe,
) -> Result<Exercise> {
    let space = MacroSpace {
        phases: genome.split('-').count(),
        nodes,
        input: digits.shape,
        init_channels,
        classes: digits.classes,
    };
    Exercise::new(space.into(), genome.parse()?, recipe)
}

/// Genes of cells of five blocks that apply every operation of the micro space, in the reduction cell to an
/// input of the cell, where it halves the resolution.
fn every_operation() -> Vec<u8> {
    let normal = [
        [0, 0, 1, 1],
        [2, 0, 3, 1],
        [4, 2, 5, 0],
        [6, 1, 7, 3],
        [8, 0, 2, 4],
    ];
    let reduction = [
        [0, 1, 1, 0],
        [2, 1, 3, 0],
        [4, 0, 5, 1],
        [6, 0, 7, 1],
        [8, 1, 4, 2],
    ];
    [normal, reduction].concat().concat()
}

/// Genes of cells whose blocks read each other, some of them with a skip connection, which drop-path leaves
/// alone, beside a side that it drops.
fn cells_of_three_blocks() -> Vec<u8> {
    let normal = [[3, 0, 2, 1], [5, 2, 6, 0], [1, 3, 8, 1]];
    let reduction = [[8, 1, 7, 0], [2, 0, 4, 2], [6, 1, 0, 0]];
    [normal, reduction].concat().concat()
}

impl Exercise {
    fn new(space: SearchSpace, genome: Genome, recipe: Recipe) -> Result<Exercise> {
        Ok(Exercise {
            architecture: space.decode(&genome)?,
            space,
            genome,
            recipe,
        })
    }

    pub(crate) fn run(&self, digits: &Dataset, options: Options) -> Result<ExerciseResult> {
        let started = clock::now();
        let mut images = 0;
        let mut count = |epoch: &naschain_train::Epoch| {
            images += epoch.images;
            ControlFlow::Continue(())
        };
        let trained = train(
            &self.architecture,
            digits,
            &self.recipe,
            options,
            &mut count,
        )?;
        Ok(ExerciseResult {
            space: self.space.name(),
            genome: self.genome.grouped(self.space.part_len()),
            params: trained.measurement.params,
            digest: trained.measurement.digest,
            images,
            seconds: started.elapsed().as_secs_f64(),
        })
    }
}

/// Whether a device trains to the bits of the CPU, once that is known.
type Exactness = Arc<Mutex<Option<bool>>>;

/// The devices that were tried in this process.
static TRIED: Mutex<BTreeMap<Device, Exactness>> = Mutex::new(BTreeMap::new());

/// Whether this device trains to the recorded digest. A GPU is tried once in a process; a CPU always
/// does.
///
/// # Errors
/// If the device cannot be used.
pub(crate) fn trains_exactly(options: Options) -> Result<bool> {
    let device = options.device;
    if device == Device::Cpu {
        return Ok(true);
    }
    let proof = lock(&TRIED).entry(device).or_default().clone();
    // Other workers on the device wait for the result.
    let mut proof = lock(&proof);
    if let Some(exact) = *proof {
        return Ok(exact);
    }
    tracing::info!("{device}: comparing its trainings with the CPU's");
    let digits = Dataset::digits();
    let exercises = exercises(&digits)?;
    let run = |exercise: &Exercise| exercise.run(&digits, options);
    let results: Vec<ExerciseResult> = exercises.iter().map(run).collect::<Result<_>>()?;
    let exact = digest_of(&results).to_string() == RECORDED;
    *proof = Some(exact);
    Ok(exact)
}

/// Refuses trainings whose digests must be equal to those of others, on a device whose digests are not
/// the CPU's.
///
/// # Errors
/// Says what the device rounds differently, if that was found.
pub(crate) fn check_exactness(options: Options, rule: Rule) -> Result<()> {
    if rule != Rule::Exact || trains_exactly(options)? {
        return Ok(());
    }
    let device = options.device;
    let causes = match device.inexact_operations()?.as_slice() {
        [] => String::new(),
        operations => format!(" (it does not round exactly: {})", operations.join(", ")),
    };
    bail!(
        "{device} does not train to the same bits as a CPU{causes}, which this run requires \
         (--agreement exact); use --device without {device}, such as --device cpu"
    );
}

/// A panic while it was held leaves nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
