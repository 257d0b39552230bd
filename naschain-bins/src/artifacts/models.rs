//! The models in a run's folder: finding a genome of the run, and training and storing its model.
//!
//! Miners that agreed about a network of the front deliver its weights, which their digest proves.
//! The genomaster trains a network again only if nobody delivered it.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use naschain_consensus::JobId;
use naschain_core::{Digest, Genome, Recipe, SearchSpace};
use naschain_train::{DataName, Dataset, Epoch, LinkedWeights, Model, Options, Trained};

use crate::artifacts::candidate::RetrainedAccuracy;
use crate::artifacts::data_place::{recorded, remembered};
use crate::artifacts::history::{HISTORY_FILE, existing_history, not_evaluated};
use crate::artifacts::results::by_network;
use crate::coordinator::deliveries::delivered_file;
use crate::dataset;
use crate::dataset::{DATA_DIR, KEEP_MIB};
use crate::files::{create_folder, sync_file};
use crate::journal::run_folder::{check_data, read_run};
use crate::journal::secret::read_secret;
use crate::printable::pasteable;
use naschain_run::{EndedJob, RunSecret, RunSpec};

/// File of the model as trained in the search.
pub(crate) const MODEL_FILE: &str = "model.safetensors";
/// File of the model as trained by `retrain`.
pub(crate) const RETRAINED_FILE: &str = "retrained.safetensors";

/// Folder of a genome's models, relative to the run's.
pub(crate) fn folder(genome: &Genome) -> PathBuf {
    Path::new("models").join(genome.to_string())
}

/// One genome of a run.
pub(crate) struct Member {
    /// The run's folder.
    pub dir: PathBuf,
    /// The run.
    pub spec: RunSpec,
    /// The genome as the run trained it.
    pub genome: Genome,
    /// The recipe by which the run trained it.
    pub recipe: Recipe,
    /// The training digest that the miners agreed on, if any.
    pub digest: Option<Digest>,
}

impl Member {
    /// Finds a genome among those that the run in `dir` evaluated.
    ///
    /// `genome` may also be another genome that decodes to the same network.
    pub(crate) fn find(dir: &Path, genome: &str) -> Result<Member> {
        let spec = read_run(dir)?;
        let requested = parse_genome(&spec.space, genome)?;
        // The search trains canonical genomes only, so another genome of the same network is not
        // listed.
        let canonical = spec.space.canonical(&requested)?;
        let (ended, stopped) = by_network(&spec, evaluated_jobs(dir)?);
        let evaluated = ended.len();
        let matches = |job: &EndedJob| job.genome == requested || job.genome == canonical;
        let Some(job) = ended.into_iter().rev().find(matches) else {
            bail!(
                "{} has no evaluated genome {} ({evaluated} were evaluated); its {HISTORY_FILE} and front.json list them",
                dir.display(),
                requested.grouped(spec.space.part_len())
            );
        };
        // The digest of a training that was stopped at a rung is not that of the whole one.
        let is_whole = !stopped.contains_key(&job.job);
        let agreed = job.verdict.consensus.filter(|_| is_whole);
        let secret = read_secret(dir, &spec)?;
        Ok(Member {
            dir: dir.to_owned(),
            recipe: recipe_of(&spec, secret, job.job, &job.genome),
            digest: agreed.map(|row| row.digest),
            spec,
            genome: job.genome,
        })
    }

    /// Path of one of its models, which need not exist.
    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.dir.join(folder(&self.genome)).join(file)
    }

    /// Path of the model of `genomaster retrain`.
    ///
    /// # Errors
    /// Names the command if there is none, and the genomes that have one.
    pub(crate) fn retrained(&self) -> Result<PathBuf> {
        let path = self.path(RETRAINED_FILE);
        let shown = self.shown();
        let others = match &self.retrained_names()[..] {
            [] => String::new(),
            names => format!("this run has retrained models of {}; ", names.join(", ")),
        };
        ensure!(
            path.is_file(),
            "{shown} was not retrained; {others}first run: genomaster retrain {} --genome {shown}",
            pasteable(&self.dir.display().to_string())
        );
        Ok(path)
    }

    /// The genome as commands print it, with dashes between its parts.
    pub(crate) fn shown(&self) -> String {
        self.genome.grouped(self.spec.space.part_len())
    }

    /// The genomes of the run that have a retrained model, as commands print them.
    pub(crate) fn retrained_names(&self) -> Vec<String> {
        let phase_len = self.spec.space.part_len();
        let genomes = retrained_genomes(&self.dir);
        genomes.iter().map(|one| one.grouped(phase_len)).collect()
    }

    /// Loads the run's data set and checks its digest. Without `data_dir` it is read from where the
    /// run found it, or searched.
    pub(crate) fn data(&self, data_dir: Option<&Path>) -> Result<Dataset> {
        let remembered = remembered(&self.dir);
        let dir = data_dir.or(remembered.as_deref());
        let name: DataName = self.spec.data.name.parse()?;
        let moved = recorded(&self.dir).filter(|place| !place.exists());
        if let (None, Some(place)) = (data_dir, moved) {
            // The folders that are always searched may have it.
            Dataset::find(&name, None).with_context(|| {
                format!(
                    "the search found the data set in {}, which does not exist any more; say where it is now with {DATA_DIR}",
                    place.display()
                )
            })?;
        }
        let dataset = dataset::load(&name, dir, KEEP_MIB)?;
        check_data(&self.spec, &dataset)?;
        Ok(dataset)
    }

    /// The absolute path of the folder or file from which [`Member::data`] reads; `None` for the
    /// embedded digits.
    pub(crate) fn data_place(&self, data_dir: Option<&Path>) -> Result<Option<PathBuf>> {
        let remembered = remembered(&self.dir);
        let name: DataName = self.spec.data.name.parse()?;
        let found = dataset::find(&name, data_dir.or(remembered.as_deref()), DATA_DIR)?;
        Ok(found.map(|found| found.canonicalize()).transpose()?)
    }

    /// Trains it with the recipe of the run, tests it, and stores the model. `on_epoch` is called
    /// after each epoch.
    pub(crate) fn train(
        &self,
        dataset: &Dataset,
        options: Options,
        on_epoch: &mut (dyn FnMut(&Epoch) + Send),
    ) -> Result<Model> {
        let (space, recipe) = (&self.spec.space, &self.recipe);
        let architecture = space.decode(&self.genome)?;
        let mut proceed = |epoch: &Epoch| {
            on_epoch(epoch);
            ControlFlow::Continue(())
        };
        let trained = naschain_train::train(&architecture, dataset, recipe, options, &mut proceed)?;
        self.finish(dataset, options, trained)
    }

    /// The weights that a miner has delivered for the digest that the miners agreed on.
    pub(crate) fn delivered(&self) -> Option<LinkedWeights> {
        let digest = self.digest?;
        let bytes = std::fs::read(delivered_file(&self.dir, digest)).ok()?;
        let architecture = self.spec.space.decode(&self.genome).ok()?;
        let delivered = LinkedWeights::from_bytes(&bytes).ok()?;
        // Checked when it came, too; but the disk may have changed since.
        match delivered.check(&architecture, digest) {
            Ok(()) => Some(delivered),
            Err(error) => {
                tracing::warn!("{}: {error}; it is trained again", self.shown());
                None
            }
        }
    }

    /// Tests a trained network and stores its model.
    pub(crate) fn finish(
        &self,
        dataset: &Dataset,
        options: Options,
        trained: Trained,
    ) -> Result<Model> {
        let (space, recipe) = (&self.spec.space, &self.recipe);
        let architecture = space.decode(&self.genome)?;
        let weights = &trained.weights;
        let accuracy =
            naschain_train::evaluate(&architecture, weights, dataset, &dataset.test, options)?;
        let mut model = Model::new(space, &self.genome, dataset, recipe, trained)?;
        model.test_accuracy = Some(accuracy);
        if let Some(digest) = self.digest.filter(|digest| *digest != model.digest) {
            let (genome, found) = (self.shown(), model.digest);
            tracing::warn!(
                "{genome}: the digest of the training here is {found}, that of the miners is {digest}"
            );
        }
        self.store(&model, MODEL_FILE)?;
        Ok(model)
    }

    /// Stores a model of it.
    pub(crate) fn store(&self, model: &Model, file: &str) -> Result<()> {
        let path = self.path(file);
        let folder = path.parent().unwrap_or(&self.dir);
        create_folder(folder)?;
        model.save(&path)?;
        sync_file(&path.with_extension("json"))?;
        sync_file(&path)
    }
}

/// The genomes of the run in `dir` that have a retrained model, in order.
pub(crate) fn retrained_genomes(dir: &Path) -> Vec<Genome> {
    let Ok(folders) = std::fs::read_dir(dir.join("models")) else {
        return Vec::new();
    };
    let folders = folders.filter_map(|entry| Some(entry.ok()?.path()));
    let retrained = folders.filter(|folder| folder.join(RETRAINED_FILE).is_file());
    let mut genomes: Vec<Genome> = retrained
        .filter_map(|folder| folder.file_name()?.to_str()?.parse().ok())
        .collect();
    genomes.sort_unstable();
    genomes
}

/// The description of the retrained model of a genome in the run's folder, without its weights; `None`
/// if there is no such model, or its description cannot be read.
pub(crate) fn retrained_description(dir: &Path, genome: &Genome) -> Option<Model> {
    let file = dir.join(folder(genome)).join(RETRAINED_FILE);
    let text = std::fs::read_to_string(file.with_extension("json")).ok()?;
    let model = serde_json::from_str(&text).ok()?;
    file.is_file().then_some(model)
}

/// What `retrain` made of a network, if it did.
pub(crate) fn retrained_accuracy(dir: &Path, genome: &Genome) -> Option<RetrainedAccuracy> {
    let model = retrained_description(dir, genome)?;
    Some(RetrainedAccuracy {
        test_accuracy: model.test_accuracy.map(|accuracy| accuracy.percent()),
        epochs: model.recipe.epochs,
    })
}

/// The recipe of a job's training.
pub(crate) fn recipe_of(
    spec: &RunSpec,
    secret: Option<RunSecret>,
    job: JobId,
    genome: &Genome,
) -> Recipe {
    spec.seeded_recipe(secret.map(|secret| secret.seed_in(spec, job, genome)))
}

/// The jobs of a run that has evaluated at least one genome.
fn evaluated_jobs(dir: &Path) -> Result<Vec<EndedJob>> {
    let ended = existing_history(dir)?;
    ensure!(!ended.is_empty(), not_evaluated(dir));
    Ok(ended)
}

/// Parses a genome of this space. Dashes may separate its parts.
pub(crate) fn parse_genome(space: &SearchSpace, text: &str) -> Result<Genome> {
    let genome: Genome = text.parse()?;
    space.check(&genome)?;
    let grouped = genome.grouped(space.part_len());
    let parts = space.parts();
    ensure!(
        !text.contains('-') || text == grouped,
        "the dashes of {text} do not separate {parts}; with {parts} separated it would be {grouped}"
    );
    Ok(genome)
}
