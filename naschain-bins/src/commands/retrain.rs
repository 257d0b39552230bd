//! `genomaster retrain`: trains a chosen network on all training images.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use naschain_core::{Accuracy, Network, Recipe};
use naschain_train::{Dataset, Epoch, Model, Options, Trained};

use crate::artifacts::front::renew_report;
use crate::artifacts::models::{MODEL_FILE, Member, RETRAINED_FILE, folder};
use crate::artifacts::results::Results;
use crate::cli::genome_args::GenomeArgs;
use crate::cli::run_args::DeviceArgs;
use crate::cli::training_args::AugmentationArgs;
use crate::clock;
use crate::commands::calibration::Calibration;
use crate::commands::overfitting::overfitting;
use crate::printable::about_from_1_s;
use crate::printable::{counted, pasteable};

/// Time between two lines about epochs.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// Flags of the command.
#[derive(Args, Debug)]
#[command(after_help = "To let the miners of the network train it: genomaster serve --retrain RUN")]
pub struct RetrainArgs {
    /// Folder of the run
    run: PathBuf,
    #[command(flatten)]
    genome: GenomeArgs,
    /// Number of epochs, starting from new weights [default: ten times those of the search, at
    /// least 30 and at most 300]
    #[arg(long, allow_negative_numbers = true, value_name = "N")]
    epochs: Option<u32>,
    /// Folder of the data set's files [default: where the search found them]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(
        flatten,
        next_help_heading = "Random changes of the training images [default: as in the search]"
    )]
    augmentation: AugmentationArgs,
    #[command(flatten)]
    device: DeviceArgs,
}

/// Trains on every image that is not a test image, tests once, stores the model, and returns what
/// the command prints.
pub fn retrain(args: &RetrainArgs) -> Result<String> {
    let options = args.device.options();
    options.device.check()?;
    let member = Member::find(&args.run, &args.genome.choose(&args.run)?)?;
    let results = Results::read(&args.run)?;
    let dataset = member.data(args.data_dir.as_deref())?;
    let (space, genome) = (&member.spec.space, &member.genome);
    let (searched, images) = (member.recipe.epochs, dataset.train.len());
    let augmentation = &args.augmentation;
    let recipe = augmentation.retraining(&member.recipe, images, args.epochs);
    recipe.validate()?;
    let architecture = space.decode(genome)?;
    tracing::info!(
        "training {} on all {} of {}: {}{}{}",
        member.shown(),
        counted(images, "image"),
        dataset.name,
        counted(recipe.epochs, "epoch"),
        match args.epochs {
            Some(_) => String::new(),
            None => format!(" (the search had {searched}; --epochs changes this)"),
        },
        expected_time(&architecture, &dataset, &recipe, options)
            .and_then(about_from_1_s)
            .map_or_else(String::new, |time| format!(", about {time}"))
    );
    let (trained, last) = train(&architecture, &dataset, &recipe, options)?;
    let accuracy = trained.measurement.accuracy;
    let mut model = Model::new(space, genome, &dataset, &recipe, trained)?;
    model.test_accuracy = Some(accuracy);
    member.store(&model, RETRAINED_FILE)?;
    renew(&args.run);
    let in_search = results.model(genome).map(|model| model.test_accuracy);
    let hint = too_short(recipe.epochs, accuracy, searched, in_search)
        .or_else(|| overfitting(last, accuracy, &recipe, space.input()));
    Ok(format!(
        "test accuracy on {}: {accuracy} % after {} on {}\n{}wrote {}; `genomaster export {} --retrained{}` exports it\n",
        dataset.name,
        counted(recipe.epochs, "epoch"),
        counted(images, "image"),
        hint.map_or_else(String::new, |hint| hint + "\n"),
        member.path(RETRAINED_FILE).display(),
        pasteable(&args.run.display().to_string()),
        args.genome.repeated()
    ))
}

/// Stores the model of a network that miners have retrained, in the run in `served`, as that of this
/// network of another run. Returns what is printed.
pub(crate) fn store_retrained(member: &Member, served: &Path) -> Result<String> {
    let file = served.join(folder(&member.genome)).join(MODEL_FILE);
    let model = Model::load(&file)?;
    member.store(&model, RETRAINED_FILE)?;
    renew(&member.dir);
    let accuracy = model
        .test_accuracy
        .context("the model has no test accuracy")?;
    Ok(format!(
        "test accuracy on {}: {accuracy} % after {} on {}\nwrote {}; `genomaster export {} --retrained --genome {}` exports it\n",
        model.data,
        counted(model.recipe.epochs, "epoch"),
        counted(model.recipe.train_images, "image"),
        member.path(RETRAINED_FILE).display(),
        pasteable(&member.dir.display().to_string()),
        member.shown()
    ))
}

fn renew(run: &Path) {
    if let Err(error) = renew_report(run) {
        tracing::warn!("report.html does not show this training: {error:#}");
    }
}

/// Says that more epochs may help if the training had fewer than the `searched` ones, or a lower test
/// accuracy than the model of the search.
fn too_short(
    epochs: u32,
    accuracy: Accuracy,
    searched: u32,
    in_search: Option<Accuracy>,
) -> Option<String> {
    let is_worse = in_search.is_some_and(|before| accuracy < before);
    if epochs >= searched && !is_worse {
        return None;
    }
    let searched = counted(searched, "epoch");
    let before = match in_search {
        Some(before) => format!("test accuracy was {before} % with {searched} in the search"),
        None => format!("the search had {searched}"),
    };
    Some(format!("{before}; more --epochs may help"))
}

/// How long the training will take; `None` if that cannot be measured, as where it needs more memory
/// than is allowed, which the training then reports.
fn expected_time(
    architecture: &Network,
    dataset: &Dataset,
    recipe: &Recipe,
    options: Options,
) -> Option<Duration> {
    let calibration = Calibration::of_network(architecture, recipe, options).ok()?;
    let (images, tested) = (dataset.train.len() as f64, dataset.test.len() as f64);
    // The backward pass costs twice as much as the forward pass.
    let passes = 3.0 * images * f64::from(recipe.epochs) + tested;
    let flops = passes * architecture.costs().ok()?.flops as f64;
    Duration::try_from_secs_f64(flops / calibration.rate()).ok()
}

/// Trains, and logs the epochs. Returns the accuracy on the training images in the last one too.
fn train(
    architecture: &Network,
    dataset: &Dataset,
    recipe: &Recipe,
    options: Options,
) -> Result<(Trained, Accuracy)> {
    let started = clock::now();
    let mut shown: Option<Instant> = None;
    let mut last = None;
    let mut report = |epoch: &Epoch| {
        last = Some(epoch.train_accuracy);
        let now = clock::now();
        let is_due = shown.is_none_or(|shown| now.duration_since(shown) >= LINE_INTERVAL);
        if is_due || epoch.number == recipe.epochs {
            shown = Some(now);
            let (number, of) = (epoch.number, recipe.epochs);
            let (loss, accuracy) = (epoch.loss, epoch.train_accuracy);
            let left = now.duration_since(started) * of.saturating_sub(number) / number.max(1);
            let left = about_from_1_s(left).filter(|_| number < of);
            let left = left.map_or_else(String::new, |left| format!(", about {left} left"));
            tracing::info!(
                "epoch {number} of {of}: loss {loss:.4}, {accuracy} % of the training images{left}"
            );
        }
        ControlFlow::Continue(())
    };
    let trained = naschain_train::train(architecture, dataset, recipe, options, &mut report)?;
    Ok((trained, last.context("no epoch was trained")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_epochs_may_help_a_network_that_was_better_in_the_search() {
        let of = |percent| Accuracy::from_percent(percent).unwrap();
        let hint = |epochs, accuracy, in_search: Option<f64>| {
            too_short(epochs, of(accuracy), 5, in_search.map(of))
        };
        let text = "test accuracy was 60.00 % with 5 epochs in the search; more --epochs may help";
        assert_eq!(hint(50, 59.0, Some(60.0)).as_deref(), Some(text));
        assert_eq!(hint(2, 61.0, Some(60.0)).as_deref(), Some(text));
        let text = "the search had 5 epochs; more --epochs may help";
        assert_eq!(hint(2, 61.0, None).as_deref(), Some(text));
        assert_eq!(hint(5, 60.0, Some(60.0)), None);
        assert_eq!(hint(50, 10.0, None), None);
    }
}
