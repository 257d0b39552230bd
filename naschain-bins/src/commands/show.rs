//! `genomaster show`: draws a network of a run and lists its layers.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use naschain_train::Model;

use crate::artifacts::drawing::network_svg;
use crate::artifacts::layers::layer_table;
use crate::artifacts::models::{Member, RETRAINED_FILE};
use crate::artifacts::results::{Results, measured};
use crate::cli::genome_args::GenomeArgs;
use crate::files::{create_folder, write_whole};

/// Flags of the command.
#[derive(Args, Debug)]
pub struct ShowArgs {
    /// Folder of the run
    run: PathBuf,
    #[command(flatten)]
    genome: GenomeArgs,
    /// SVG file to write [default: network.svg in the folder of the network's models]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Writes the picture and returns what the command prints.
pub fn show(args: &ShowArgs) -> Result<String> {
    let member = Member::find(&args.run, &args.genome.choose(&args.run)?)?;
    let results = Results::read(&args.run)?;
    let space = &member.spec.space;
    let architecture = space.decode(&member.genome)?;
    let default = || member.path("network.svg");
    let out = args.out.clone().unwrap_or_else(default);
    if let (None, Some(folder)) = (&args.out, out.parent()) {
        create_folder(folder)?;
    }
    write_whole(&out, network_svg(&architecture).as_bytes())?;
    let mut jobs = measured(&results.ended);
    let found = jobs.find(|(job, _)| job.genome == member.genome);
    let percent = |accuracy: Option<naschain_core::Accuracy>| {
        accuracy.map_or("not measured".to_owned(), |accuracy| {
            format!("{accuracy} %")
        })
    };
    let mut validation = percent(found.map(|(_, measurement)| measurement.accuracy));
    if let Some(rung) = found.and_then(|(job, _)| results.stopped.get(&job.job)) {
        let all = results.spec.recipe.epochs;
        validation += &format!(", stopped after {rung} of {all} epochs");
    }
    let test = percent(
        results
            .model(&member.genome)
            .map(|model| model.test_accuracy),
    );
    let mut text = format!("genome      {}\n", member.genome.grouped(space.part_len()));
    if !member.spec.recipe.is_measured_on_test() {
        text += &format!("validation  {validation}\n");
    }
    text += &format!("test        {test}\n");
    text += &format!("retrained   {}\n\n", retrained(&member)?);
    text += &layer_table(&architecture.layers()?, architecture.costs()?);
    text += &format!("\nwrote {}\n", out.display());
    Ok(text)
}

/// What the run has from `genomaster retrain`: the accuracy of this network, or the names of others.
fn retrained(member: &Member) -> Result<String> {
    if member.path(RETRAINED_FILE).is_file() {
        let model = Model::load(&member.path(RETRAINED_FILE))?;
        let accuracy = model.test_accuracy;
        let accuracy = accuracy.map_or("test not measured".to_owned(), |a| format!("test {a} %"));
        return Ok(format!("{accuracy}, after {} epochs", model.recipe.epochs));
    }
    Ok(match &member.retrained_names()[..] {
        [] => "no".to_owned(),
        others => format!("no (retrained in this run: {})", others.join(", ")),
    })
}
