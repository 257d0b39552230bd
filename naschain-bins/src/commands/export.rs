//! `genomaster export`: writes a model for use by other programs.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};
use naschain_train::{Model, Options};

use crate::artifacts::models::{MODEL_FILE, Member, RETRAINED_FILE};
use crate::cli::run_args::DeviceArgs;
use crate::journal::run_folder::{sync_file, write_whole};

/// Flags of the command.
#[derive(Args, Debug)]
pub struct ExportArgs {
    /// Folder of the run
    run: PathBuf,
    /// Bits of a genome that the run evaluated; - may separate phases
    #[arg(long, value_name = "BITS")]
    genome: String,
    /// Format: safetensors (with a description of the network in its metadata and in a JSON file
    /// beside it) or onnx (opset 17)
    #[arg(long, value_name = "FORMAT", default_value = "safetensors")]
    format: Format,
    /// File to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Export the model of `genomaster retrain` instead of that of the search
    #[arg(long)]
    retrained: bool,
    /// Folder of the data set's files, if the genome must be trained again [default:
    /// where the search found them]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Safetensors,
    Onnx,
}

/// Writes the files and returns what the command prints.
pub fn export(args: &ExportArgs) -> Result<String> {
    let out = args.out.display();
    let description = args.out.with_extension("json");
    ensure!(
        args.format == Format::Onnx || description != args.out,
        "{out} would be overwritten by the description of the network; use another name, such as {}",
        args.out.with_extension("safetensors").display()
    );
    let member = Member::find(&args.run, &args.genome)?;
    let model = if args.retrained {
        retrained(&member)?
    } else {
        searched(&member, args)?
    };
    let (shape, classes) = (model.architecture.input, model.architecture.classes);
    let written = match args.format {
        Format::Safetensors => {
            model.save(&args.out)?;
            sync_file(&args.out)?;
            sync_file(&description)?;
            format!("{out} and {}", description.display())
        }
        Format::Onnx => {
            write_whole(&args.out, &model.to_onnx()?)?;
            format!(
                "{out}: pixels [images, {}, {}, {}] from 0 to 255 -> logits [images, {classes}]",
                shape.channels, shape.height, shape.width
            )
        }
    };
    let accuracy = model
        .test_accuracy
        .map_or("not measured".to_owned(), |a| format!("{a} %"));
    Ok(format!(
        "wrote {written}\ntest accuracy on {}: {accuracy}\n",
        model.data
    ))
}

fn retrained(member: &Member) -> Result<Model> {
    let path = member.path(RETRAINED_FILE);
    ensure!(
        path.is_file(),
        "{} was not retrained; first run: genomaster retrain {} --genome {} --epochs N",
        member.genome,
        member.dir.display(),
        member.genome
    );
    Ok(Model::load(&path)?)
}

/// The stored model, which the networks of the front have. Any other is trained again, which gives
/// the same weights as in the search.
fn searched(member: &Member, args: &ExportArgs) -> Result<Model> {
    let path = member.path(MODEL_FILE);
    if path.is_file() {
        return Ok(Model::load(&path)?);
    }
    let options: Options = args.device.options();
    options.device.check()?;
    let dataset = member.data(args.data_dir.as_deref())?;
    let epochs = member.spec.recipe.epochs;
    tracing::info!(
        "{} has no stored model: training it again, {epochs} epochs",
        member.genome
    );
    member.train(&dataset, options, &mut |epoch| {
        tracing::info!("epoch {}/{epochs}: loss {:.4}", epoch.number, epoch.loss);
    })
}
