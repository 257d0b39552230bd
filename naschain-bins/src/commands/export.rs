//! `genomaster export`: writes a model for use by other programs.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};
use naschain_train::{Model, Options};

use crate::artifacts::models::{MODEL_FILE, Member};
use crate::cli::genome_args::GenomeArgs;
use crate::cli::run_args::DeviceArgs;
use crate::files::{sync_file, write_whole};

/// Flags of the command.
#[derive(Args, Debug)]
pub struct ExportArgs {
    /// Folder of the run
    run: PathBuf,
    #[command(flatten)]
    genome: GenomeArgs,
    /// Format: safetensors (with a description of the network in its metadata and in a JSON file
    /// beside it) or onnx (opset 17) [default: by the ending of --out, else safetensors]
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,
    /// Write ONNX in eight bits (QDQ form), about a quarter of the size; activations are calibrated
    /// on training images
    #[arg(long)]
    int8: bool,
    /// File to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Export the model of `genomaster retrain` instead of that of the search
    #[arg(long)]
    retrained: bool,
    /// Folder of the data set's files, if the genome must be trained again or for --int8 [default:
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
    let format = format(args)?;
    ensure!(
        format == Format::Onnx || description != args.out,
        "{out} would be overwritten by the description of the network; use another name, such as {}",
        args.out.with_extension("safetensors").display()
    );
    let member = Member::find(&args.run, &args.genome.choose(&args.run)?)?;
    let model = if args.retrained {
        Model::load(&member.retrained()?)?
    } else {
        searched(&member, args)?
    };
    let (shape, classes) = (model.architecture.input, model.architecture.classes);
    let written = match format {
        Format::Safetensors => {
            model.save(&args.out)?;
            sync_file(&args.out)?;
            sync_file(&description)?;
            format!("{out} and {}", description.display())
        }
        Format::Onnx => {
            let file = if args.int8 {
                model.to_onnx_int8(&member.data(args.data_dir.as_deref())?)?
            } else {
                model.to_onnx()?
            };
            write_whole(&args.out, &file)?;
            format!(
                "{out}: pixels [images, {}, {}, {}] from 0 to 255 -> logits [images, {classes}]",
                shape.channels, shape.height, shape.width
            )
        }
    };
    let accuracy = model
        .test_accuracy
        .map_or("not measured".to_owned(), |a| format!("{a} %"));
    let of_float = if args.int8 {
        ", before rounding to eight bits"
    } else {
        ""
    };
    Ok(format!(
        "wrote {written}\ngenome {}, test accuracy on {}: {accuracy}{of_float}\n",
        model.genome, model.data
    ))
}

/// The format that the flags and the ending of the file ask for, which must not contradict each
/// other.
fn format(args: &ExportArgs) -> Result<Format> {
    let ending = args.out.extension().and_then(|ending| ending.to_str());
    let by_ending = match ending.map(str::to_ascii_lowercase).as_deref() {
        Some("onnx") => Some(Format::Onnx),
        Some("safetensors") => Some(Format::Safetensors),
        _ => None,
    };
    let name = |format| match format {
        Format::Onnx => "onnx",
        Format::Safetensors => "safetensors",
    };
    let by_flag = args.format.or(args.int8.then_some(Format::Onnx));
    if let (Some(flag), Some(ending)) = (by_flag, by_ending) {
        ensure!(
            flag == ending,
            "--out {} ends as a file of format {}, but the flags ask for {}; change one of them",
            args.out.display(),
            name(ending),
            name(flag)
        );
    }
    let format = by_flag.or(by_ending).unwrap_or(Format::Safetensors);
    ensure!(
        !args.int8 || format == Format::Onnx,
        "--int8 is for --format onnx; safetensors files hold the weights of the training"
    );
    Ok(format)
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
