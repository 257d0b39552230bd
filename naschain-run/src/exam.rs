//! The entrance examination: a small training that a new hotkey does before it is admitted.
//!
//! Names cost nothing, so a run that admits every name can be filled with names that never work. The
//! examination costs a second of computation for each, and finds machines that compute other bits
//! before they harm a job. The genomaster draws each examination at random, so nobody can have
//! computed it before, and trains it too.

use naschain_core::{Digest, Genome, Purpose, Recipe, Stream};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::secret::keyed_seed;
use crate::spec::RunSpec;

/// Maximum cost of an examination in FLOPs: about a second of one core.
const MAX_FLOPS: u64 = 20_000_000_000;
/// Minimum number of images, so that every layer computes something.
const MIN_IMAGES: usize = 8;
/// Maximum number of epochs: networks so small that more are needed to reach [`MAX_FLOPS`] spend
/// their time elsewhere.
const MAX_EPOCHS: u32 = 30;

/// `POST /v1/join` answers 202 with this where a hotkey has to be examined first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exam {
    /// The run.
    pub run: Digest,
    /// The number of the examination.
    pub exam: u64,
    /// The genome to train, which need not be one of the search.
    pub genome: Genome,
    /// The seed of the training.
    pub training_seed: u64,
    /// Number of training images, and of validation images.
    pub images: usize,
    /// Number of epochs.
    pub epochs: u32,
}

impl Exam {
    /// Draws examination number `exam` of a run. `secret` must be unknown to its candidates.
    ///
    /// # Errors
    /// Where the space is invalid.
    pub fn draw(spec: &RunSpec, exam: u64, secret: &[u8; 32]) -> Result<Exam, Error> {
        let (space, recipe) = (&spec.space, &spec.recipe);
        let seed = keyed_seed(secret, exam);
        let mut stream = Stream::new(seed, Purpose::Simulation, 0, 0);
        let genome = space.canonical(&space.random_genome(&mut stream)?)?;
        let costs = space.decode(&genome)?.costs()?;
        // A forward pass for training and one for validation; a backward pass costs twice as much.
        let affordable = MAX_FLOPS / costs.flops.saturating_mul(4).max(1);
        let most = most_images(recipe);
        let images = usize::try_from(affordable)
            .unwrap_or(most)
            .clamp(MIN_IMAGES, most);
        let epochs = u32::try_from(affordable / images as u64).unwrap_or(MAX_EPOCHS);
        Ok(Exam {
            run: spec.digest(),
            exam,
            genome,
            training_seed: stream.next_u64(),
            images,
            epochs: epochs.clamp(1, MAX_EPOCHS),
        })
    }

    /// Checks an examination that a genomaster has sent: that it is one of this run, and costs no more
    /// than one that [`Exam::draw`] returns.
    ///
    /// # Errors
    /// [`Error::Exam`] with the value that is wrong. As `decode` where the genome is not one of the
    /// run's space.
    pub fn check(&self, spec: &RunSpec) -> Result<(), Error> {
        let wrong = |reason| Err(Error::Exam { reason });
        if self.run != spec.digest() {
            return wrong(format!(
                "it is of run {}, not of {}",
                self.run,
                spec.digest()
            ));
        }
        let most = most_images(&spec.recipe);
        if !(1..=most).contains(&self.images) {
            return wrong(format!("images is {}; it must be 1 to {most}", self.images));
        }
        if !(1..=MAX_EPOCHS).contains(&self.epochs) {
            let found = self.epochs;
            return wrong(format!("epochs is {found}; it must be 1 to {MAX_EPOCHS}"));
        }
        let images = self.images as u64 * u64::from(self.epochs);
        let forward = spec.space.decode(&self.genome)?.costs()?.flops;
        let flops = forward.saturating_mul(4).saturating_mul(images);
        // Networks for which a second is too short still train the minimum once.
        if flops > MAX_FLOPS && images > MIN_IMAGES as u64 {
            return wrong(format!(
                "it costs {flops} FLOPs; it must cost at most {MAX_FLOPS}"
            ));
        }
        Ok(())
    }

    /// The recipe of the examination in a run with this recipe: a few epochs over a few images.
    pub fn recipe(&self, recipe: &Recipe) -> Recipe {
        let mut exam = recipe.clone();
        exam.seed = self.training_seed;
        exam.split_seed = None;
        exam.epochs = self.epochs;
        exam.warmup_epochs = 0;
        exam.rungs = Vec::new();
        exam.train_images = self.images;
        exam.validation_images = self.images;
        exam.batch_size = recipe.batch_size.min(self.images);
        exam
    }
}

/// Maximum number of images of an examination: those that the run has.
fn most_images(recipe: &Recipe) -> usize {
    let available = if recipe.is_measured_on_test() {
        // An examination trains on as many images as it validates on, and all are training images.
        recipe.train_images / 2
    } else {
        recipe.train_images.min(recipe.validation_images)
    };
    available.max(MIN_IMAGES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::DataSpec;
    use naschain_core::MacroSpace;

    fn spec(init_channels: usize) -> RunSpec {
        let space = MacroSpace {
            phases: 2,
            nodes: 3,
            input: "1x28x28".parse().unwrap(),
            init_channels,
            classes: 10,
        };
        let data = DataSpec::new("digits", Digest([1; 32]));
        RunSpec::new(space, data)
    }

    #[test]
    fn examinations_differ_and_cost_a_second() {
        let draw = |secret, channels| Exam::draw(&spec(channels), 1, &[secret; 32]).unwrap();
        assert_eq!(draw(5, 8), draw(5, 8));
        assert_ne!(draw(5, 8).training_seed, draw(6, 8).training_seed);
        for channels in [2, 16, 64] {
            let exam = draw(7, channels);
            let spec = spec(channels);
            let flops = spec.costs_of(&exam.genome).unwrap().flops;
            let cost = 4 * flops * exam.images as u64 * u64::from(exam.epochs);
            assert!(cost <= MAX_FLOPS || exam.images == MIN_IMAGES, "{cost}");
            // The cost is more than half of the maximum, so that no name is cheap.
            assert!(cost > MAX_FLOPS / 2 || exam.epochs == MAX_EPOCHS, "{cost}");
            exam.recipe(&spec.recipe).validate().unwrap();
            exam.check(&spec).unwrap();
        }
    }

    #[test]
    fn a_run_without_validation_images_has_examinations() {
        let mut spec = spec(2);
        (spec.recipe.train_images, spec.recipe.validation_images) = (1397, 0);
        (spec.search.population, spec.search.generations) = (1, 1);
        let exam = Exam::draw(&spec, 1, &[7; 32]).unwrap();
        exam.check(&spec).unwrap();
        let recipe = exam.recipe(&spec.recipe);
        let used = recipe.train_images + recipe.validation_images;
        assert!((2 * MIN_IMAGES + 1..=1397).contains(&used), "{used}");
    }

    #[test]
    fn an_examination_that_costs_more_than_a_second_is_refused() {
        let spec = spec(16);
        let drawn = Exam::draw(&spec, 1, &[7; 32]).unwrap();
        let refused = |change: fn(&mut Exam)| {
            let mut exam = drawn.clone();
            change(&mut exam);
            exam.check(&spec).unwrap_err().to_string()
        };
        let error = refused(|exam| exam.epochs = 4_000_000_000);
        assert!(
            error.contains("epochs is 4000000000; it must be 1 to 30"),
            "{error}"
        );
        let error = refused(|exam| exam.images = 0);
        assert!(
            error.contains("images is 0; it must be 1 to 5000"),
            "{error}"
        );
        let error = refused(|exam| (exam.images, exam.epochs) = (5_000, 30));
        assert!(
            error.contains("it must cost at most 20000000000"),
            "{error}"
        );
        let error = refused(|exam| exam.run = Digest([3; 32]));
        assert!(error.contains("it is of run 0303"), "{error}");
        let error = refused(|exam| exam.genome = Genome::zeros(1));
        assert!(error.contains("bits"), "{error}");
    }
}
