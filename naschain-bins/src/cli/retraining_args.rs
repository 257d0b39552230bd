//! Flags by which `serve` lets the miners retrain a network instead of searching.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use clap::{Arg, Args};
use naschain_nsga::SearchConfig;
use naschain_run::{RunSpec, objectives};
use naschain_train::{DataName, Dataset};

use crate::artifacts::models::Member;
use crate::cli::common_args::{CommonArgs, PlannedRun};
use crate::cli::genome_args::GenomeArgs;

/// Flags that describe a search or its data, of which a retraining takes over those of its run.
const OF_SEARCHES: [&str; 30] = [
    "data",
    "image_size",
    "skip_bad",
    "keep_images",
    "budget",
    "population",
    "generations",
    "seed",
    "space",
    "phases",
    "nodes",
    "blocks",
    "layers",
    "stages",
    "depth",
    "init_channels",
    "params_limit",
    "flops_limit",
    "train_images",
    "validation_images",
    "batch_size",
    "learning_rate",
    "label_smoothing",
    "warmup_epochs",
    "drop_path",
    "nesterov",
    "mode",
    "rungs",
    "pace",
    "objective",
];

/// Which network the miners retrain, if they do.
#[derive(Args, Debug)]
#[command(mut_args(only_with_retrain))]
pub(crate) struct RetrainingArgs {
    /// Let the miners retrain a network of the run in this folder, instead of searching
    ///
    /// They train it on all training images, which are the training and validation images of the
    /// search, agree on its digest and deliver its weights; the accuracy is measured on the test images.
    /// Everything else is as in the search, but --epochs (by default ten times those of the search, at
    /// least 30 and at most 300), --flip, --crop-padding and --cutout may be given. The result is stored
    /// as that of `genomaster retrain`. The retraining is a run of its own, in the folder
    /// RUN-retrain-GENOME by default.
    #[arg(long, value_name = "RUN", conflicts_with_all = OF_SEARCHES, conflicts_with = "legacy")]
    retrain: Option<PathBuf>,
    #[command(flatten)]
    genome: GenomeArgs,
}

/// The flags that choose the network mean nothing in a search, and most users of `serve` only search.
fn only_with_retrain(arg: Arg) -> Arg {
    match arg.get_id().as_str() {
        "genome" | "max_params" => arg.requires("retrain").hide_short_help(true),
        _ => arg,
    }
}

impl RetrainingArgs {
    /// The network to retrain; `None` for a search.
    pub(crate) fn member(&self) -> Result<Option<Member>> {
        let Some(run) = &self.retrain else {
            return Ok(None);
        };
        Ok(Some(Member::find(run, &self.genome.choose(run)?)?))
    }
}

/// The run that retrains a network by these flags. Creates nothing.
pub(crate) async fn plan_retraining(
    common: &CommonArgs,
    member: &Arc<Member>,
) -> Result<PlannedRun> {
    common.device.device.check()?;
    let data_dir = common.data.data_dir.clone();
    let place = member.data_place(data_dir.as_deref());
    let loading = member.clone();
    // On a thread of its own, so that a signal can end the command while many pictures are read.
    let loaded = tokio::task::spawn_blocking(move || loading.data(data_dir.as_deref()));
    let dataset = Arc::new(loaded.await??);
    Ok(PlannedRun {
        spec: retraining_spec(common, member, &dataset)?,
        place: place?,
        default_dir: default_folder(member)?,
        dataset,
    })
}

/// The specification of a run whose only network is this one.
fn retraining_spec(common: &CommonArgs, member: &Member, dataset: &Dataset) -> Result<RunSpec> {
    let searched = &member.spec;
    let mut spec = RunSpec::new(searched.space.clone(), searched.data.clone());
    // Not the recipe of the network's job, whose seed is not for everybody before the run reveals its
    // secret.
    let training = &common.run.training;
    spec.recipe = training.retraining(&searched.recipe, dataset.train.len());
    spec.search = SearchConfig::new(spec.space.genome_len(), objectives());
    (spec.search.population, spec.search.generations) = (1, 1);
    spec.search.seed = searched.search.seed;
    spec.initial_genomes = vec![member.genome.clone()];
    let name: DataName = spec.data.name.parse()?;
    common
        .run
        .complete(spec, common.run.replication(&name), dataset)
}

/// The folder beside the run's, named after it and the network.
fn default_folder(member: &Member) -> Result<PathBuf> {
    let mut run = member.dir.clone();
    if run.file_name().is_none() {
        // It is given as `.`, for example.
        run = run.canonicalize()?;
    }
    let name = run.file_name().unwrap_or_default().to_string_lossy();
    Ok(run.with_file_name(format!("{name}-retrain-{}", member.shown())))
}
