//! Fixed trainings whose digests are known: what `miner selftest` runs, and a GPU's proof that it
//! trains to the bits of the CPU.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Result, bail};
use naschain_consensus::Rule;
use naschain_core::{Augmentation, Digest, MacroSpace, Network, Recipe};
use naschain_train::{Dataset, Device, Options, train};
use serde::Serialize;

use crate::clock;

/// The digest of [`exercises`] on every machine, recorded on an AMD EPYC 9004 (Zen 4). It is the
/// same with AVX-512, with AVX2 and with neither; the tests of the kernels compare them.
pub(crate) const RECORDED: &str =
    "980f31c7253d83e04d53c2af8a69b20a33d8dfc5f62dc65de96bb657aa367e85";

#[derive(Clone, Debug, Serialize)]
pub(crate) struct ExerciseResult {
    pub(crate) genome: &'static str,
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
    genome: &'static str,
    architecture: Network,
    recipe: Recipe,
}

/// Trainings of a few seconds that together cover every kind of layer of the macro space, every option of the recipe,
/// a last batch that is not full, and sums that are long enough to be split.
pub(crate) fn exercises(digits: &Dataset) -> Result<Vec<Exercise>> {
    let exercise = |genome: &'static str, nodes, init_channels, recipe| -> Result<Exercise> {
        let space = MacroSpace {
            phases: genome.split('-').count(),
            nodes,
            input: digits.shape,
            init_channels,
            classes: digits.classes,
        };
        Ok(Exercise {
            genome,
            architecture: space.decode(&genome.parse()?)?.into(),
            recipe,
        })
    };
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
    let mut wide = base.clone();
    wide.batch_size = 64;
    wide.train_images = 128;
    let mut options = base.clone();
    options.seed = 2;
    options.label_smoothing = 0.1;
    options.warmup_epochs = 1;
    options.drop_path = 0.2;
    options.nesterov = true;
    Ok(vec![
        exercise("1101011-1011010", 4, 8, base)?,
        exercise("1110-1011", 3, 48, wide)?,
        exercise("1111-1101-1011", 3, 6, options)?,
    ])
}

impl Exercise {
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
            genome: self.genome,
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
