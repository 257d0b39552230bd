//! The models in a run's folder: which genomes there are, and training them.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use naschain_core::{Digest, Genome};
use naschain_train::{Dataset, Epoch, Model, Options};

use crate::cli::data_args;
use crate::cli::data_args::KEEP_MIB;
use crate::commands::inspect::parse_genome;
use crate::journal::run_folder::{check_data, read_spec};
use naschain_run::{ClosedJob, RunSpec};

/// A network as it was trained in the search.
pub const MODEL_FILE: &str = "model.safetensors";
/// A network as `retrain` trained it.
pub const RETRAINED_FILE: &str = "retrained.safetensors";

/// The folder of a genome's models, within the run's.
pub fn folder(genome: &Genome) -> PathBuf {
    Path::new("models").join(genome.to_string())
}

/// One genome of a run.
pub struct Member {
    /// The run's folder.
    pub dir: PathBuf,
    /// The run.
    pub spec: RunSpec,
    /// The genome, in the form that the run trained.
    pub genome: Genome,
    /// The training digest that the miners agreed on, if they did.
    pub digest: Option<Digest>,
}

impl Member {
    /// Finds a genome among those that the run in `dir` evaluated.
    ///
    /// Another genome of the same network will do.
    pub fn find(dir: &Path, genome: &str) -> Result<Member> {
        let spec = read_spec(&dir.join("run.json"))?;
        let asked = parse_genome(&spec.space, genome)?;
        let canonical = spec.space.canonical(&asked)?;
        let closed = closed_jobs(&dir.join("history.jsonl"))?;
        let evaluated = closed.len();
        let is_it = |job: &ClosedJob| job.genome == asked || job.genome == canonical;
        let Some(job) = closed.into_iter().find(is_it) else {
            bail!(
                "genome {asked} is none of the {evaluated} that were evaluated in {}; its history.jsonl and front.json have them",
                dir.display()
            );
        };
        Ok(Member {
            dir: dir.to_owned(),
            spec,
            digest: job.verdict.consensus.map(|row| row.digest),
            genome: job.genome,
        })
    }

    /// Where one of its models is or would be.
    pub fn path(&self, file: &str) -> PathBuf {
        self.dir.join(folder(&self.genome)).join(file)
    }

    /// The data that the run was made with.
    pub fn data(&self, data_dir: Option<&Path>) -> Result<Dataset> {
        let dataset = data_args::load(&self.spec.data.name.parse()?, data_dir, KEEP_MIB)?;
        check_data(&self.spec, &dataset)?;
        Ok(dataset)
    }

    /// Trains it as the miners did, tests it, and stores the model. `on_epoch` is called after
    /// each epoch.
    pub fn train(
        &self,
        dataset: &Dataset,
        options: Options,
        on_epoch: &mut (dyn FnMut(&Epoch) + Send),
    ) -> Result<Model> {
        let (space, recipe) = (&self.spec.space, &self.spec.recipe);
        let architecture = space.decode(&self.genome)?;
        let mut proceed = |epoch: &Epoch| {
            on_epoch(epoch);
            ControlFlow::Continue(())
        };
        let trained = naschain_train::train(&architecture, dataset, recipe, options, &mut proceed)?;
        let weights = &trained.weights;
        let accuracy =
            naschain_train::evaluate(&architecture, weights, dataset, &dataset.test, options)?;
        let mut model = Model::new(space, &self.genome, dataset, recipe, trained)?;
        model.test_accuracy = Some(accuracy);
        if let Some(digest) = self.digest.filter(|digest| *digest != model.digest) {
            let (genome, found) = (&self.genome, model.digest);
            tracing::warn!(
                "{genome}: trained here the digest is {found}, the miners' was {digest}"
            );
        }
        self.store(&model, MODEL_FILE)?;
        Ok(model)
    }

    /// Writes one of its models.
    pub fn store(&self, model: &Model, file: &str) -> Result<()> {
        let path = self.path(file);
        let folder = path.parent().unwrap_or(&self.dir);
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(model.save(&path)?)
    }
}

/// The jobs of `history.jsonl`.
fn closed_jobs(path: &Path) -> Result<Vec<ClosedJob>> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read {}; has the run begun?", path.display()))?;
    let lines = text.lines().enumerate();
    let job = |(index, line)| {
        serde_json::from_str(line)
            .with_context(|| format!("{}, line {}: not a job", path.display(), index + 1))
    };
    let closed: Vec<ClosedJob> = lines.map(job).collect::<Result<_>>()?;
    ensure!(
        !closed.is_empty(),
        "nothing has been evaluated in this run yet: {} is empty",
        path.display()
    );
    Ok(closed)
}
