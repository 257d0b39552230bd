//! `genomaster export`: writes a model for use by other programs.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use naschain_train::{Model, Options};

use crate::artifacts::models::{MODEL_FILE, Member, RETRAINED_FILE};
use crate::cli::genome_args::GenomeArgs;
use crate::cli::run_args::DeviceArgs;
use crate::files::{check_writable, create_folder, sync_file, write_whole};
use crate::printable::counted;

/// Flags of the command.
#[derive(Args, Debug)]
pub struct ExportArgs {
    /// Folder of the run
    run: PathBuf,
    #[command(flatten)]
    genome: GenomeArgs,
    /// Format: safetensors (with a description of the network in its metadata and in a JSON file
    /// beside it) or onnx (opset 17) [default: by the ending of --out; without --out onnx]
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,
    /// Write ONNX in eight bits (QDQ form), about a third of the size; activations are calibrated
    /// on training images, and the result is tested
    #[arg(long)]
    int8: bool,
    /// File to write, NAME.onnx or NAME.safetensors [default: model.onnx or, with --retrained,
    /// retrained.onnx (--int8: .int8.onnx) in the folder of the network's models]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
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

impl Format {
    fn name(self) -> &'static str {
        match self {
            Format::Onnx => "onnx",
            Format::Safetensors => "safetensors",
        }
    }
}

/// Writes the files and returns what the command prints.
pub fn export(args: &ExportArgs) -> Result<String> {
    let format = format(args)?;
    let member = Member::find(&args.run, &args.genome.choose(&args.run)?)?;
    let path = args
        .out
        .clone()
        .unwrap_or_else(|| default_out(args, &member, format));
    let (out, description) = (path.display(), path.with_extension("json"));
    // Before a training that may take minutes.
    if let (None, Some(folder)) = (&args.out, path.parent()) {
        create_folder(folder)?;
    }
    check_writable(&path)?;
    let model = if args.retrained {
        Model::load(&member.retrained()?)?
    } else {
        searched(&member, args)?
    };
    let (shape, classes) = (model.space.input(), model.space.classes());
    let mut rounded = None;
    let written = match format {
        Format::Safetensors => {
            model.save(&path)?;
            sync_file(&path)?;
            sync_file(&description)?;
            format!("{out} and {}", description.display())
        }
        Format::Onnx => {
            let file = if args.int8 {
                let dataset = member.data(args.data_dir.as_deref())?;
                rounded = Some(model.test_int8(&dataset, args.device.options())?);
                model.to_onnx_int8(&dataset)?
            } else {
                model.to_onnx()?
            };
            write_whole(&path, &file)?;
            format!(
                "{out}: pixels [images, {}, {}, {}] from 0 to 255 -> logits [images, {classes}]",
                shape.channels, shape.height, shape.width
            )
        }
    };
    let accuracy = match (rounded, model.test_accuracy) {
        (Some(rounded), _) => format!(
            "{} % in eight bits, {} % before, on {}",
            rounded.after,
            rounded.before,
            counted(rounded.images, "image")
        ),
        (None, Some(accuracy)) => format!("{accuracy} %"),
        (None, None) => "not measured".to_owned(),
    };
    Ok(format!(
        "wrote {written}\ngenome {}, test accuracy on {}: {accuracy}\n",
        member.shown(),
        model.data
    ))
}

/// The format that the flags and the ending of the file ask for, which must not contradict each
/// other.
fn format(args: &ExportArgs) -> Result<Format> {
    let by_flag = args.format.or(args.int8.then_some(Format::Onnx));
    ensure!(
        !args.int8 || by_flag == Some(Format::Onnx),
        "--int8 is for --format onnx; safetensors files hold the weights of the training"
    );
    let Some(out) = &args.out else {
        return Ok(by_flag.unwrap_or(Format::Onnx));
    };
    let ending = out.extension().and_then(|ending| ending.to_str());
    let by_ending = match ending.map(str::to_ascii_lowercase).as_deref() {
        Some("onnx") => Some(Format::Onnx),
        Some("safetensors") => Some(Format::Safetensors),
        _ => None,
    };
    let shown = out.display();
    ensure!(
        !out.is_dir(),
        "--out {shown} is a folder; name a file, such as {}",
        out.join("model.onnx").display()
    );
    if let (Some(flag), Some(ending)) = (by_flag, by_ending) {
        ensure!(
            flag == ending,
            "--out {shown} ends as a file of format {}, but the flags ask for {}; change one of them",
            ending.name(),
            flag.name()
        );
    }
    let format = by_flag.or(by_ending).with_context(|| {
        format!(
            "--out {shown} ends neither in .onnx nor in .safetensors, the formats that are written; use a name such as {}, or --format",
            out.with_extension("safetensors").display()
        )
    })?;
    ensure!(
        format == Format::Onnx || out.with_extension("json") != *out,
        "{shown} would be overwritten by the description of the network; use another name, such as {}",
        out.with_extension("safetensors").display()
    );
    Ok(format)
}

/// The file without `--out`, beside the model that it is made from.
fn default_out(args: &ExportArgs, member: &Member, format: Format) -> PathBuf {
    let source = if args.retrained {
        RETRAINED_FILE
    } else {
        MODEL_FILE
    };
    let source = member.path(source);
    match format {
        Format::Safetensors => source,
        Format::Onnx if args.int8 => source.with_extension("int8.onnx"),
        Format::Onnx => source.with_extension("onnx"),
    }
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
        "{} has no stored model: training it again, {}",
        member.shown(),
        counted(epochs, "epoch")
    );
    member.train(&dataset, options, &mut |epoch| {
        tracing::info!("epoch {}/{epochs}: loss {:.4}", epoch.number, epoch.loss);
    })
}
