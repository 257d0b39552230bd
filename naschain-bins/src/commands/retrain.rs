//! `genomaster retrain`: trains a chosen network on all training images.

use std::ops::ControlFlow;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use naschain_train::{Epoch, Model, train_on_all};

use crate::artifacts::models::{Member, RETRAINED_FILE};
use crate::cli::genome_args::GenomeArgs;
use crate::cli::run_args::DeviceArgs;

/// Flags of the command.
#[derive(Args, Debug)]
pub struct RetrainArgs {
    /// Folder of the run
    run: PathBuf,
    #[command(flatten)]
    genome: GenomeArgs,
    /// Number of epochs, starting from new weights
    #[arg(long, allow_negative_numbers = true, value_name = "N")]
    epochs: u32,
    /// Folder of the data set's files [default: where the search found them]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceArgs,
}

/// Trains on every image that is not a test image, tests once, stores the model, and returns what
/// the command prints.
pub fn retrain(args: &RetrainArgs) -> Result<String> {
    let options = args.device.options();
    options.device.check()?;
    let member = Member::find(&args.run, &args.genome.choose(&args.run)?)?;
    let dataset = member.data(args.data_dir.as_deref())?;
    let (space, genome) = (&member.spec.space, &member.genome);
    let mut recipe = member.recipe.clone();
    recipe.epochs = args.epochs;
    let images = dataset.train.len();
    tracing::info!(
        "training {} on all {images} images of {}",
        member.shown(),
        dataset.name
    );
    let mut report = |epoch: &Epoch| {
        let (number, loss, accuracy) = (epoch.number, epoch.loss, epoch.train_accuracy);
        tracing::info!(
            "epoch {number}/{}: loss {loss:.4}, {accuracy} % of the training images",
            args.epochs
        );
        ControlFlow::Continue(())
    };
    let architecture = space.decode(genome)?;
    let trained = train_on_all(&architecture, &dataset, &recipe, options, &mut report)?;
    let accuracy = trained.measurement.accuracy;
    // The description of the model must state what it was trained on, which is not what the recipe
    // of the run says.
    (recipe.train_images, recipe.validation_images) = (images, 0);
    let mut model = Model::new(space, genome, &dataset, &recipe, trained)?;
    model.test_accuracy = Some(accuracy);
    member.store(&model, RETRAINED_FILE)?;
    Ok(format!(
        "test accuracy on {}: {accuracy} % after {} epochs on {images} images\nwrote {}; `genomaster export --retrained` exports it\n",
        dataset.name,
        args.epochs,
        member.path(RETRAINED_FILE).display()
    ))
}
