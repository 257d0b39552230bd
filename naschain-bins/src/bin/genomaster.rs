//! The genomaster: searches in one process, serves a network, and hands over models.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use naschain_bins::cli::config::{ProgramArgs, parse};
use naschain_bins::cli::presets::PRESETS;
use naschain_bins::cli::run::{run, say};
use naschain_bins::cli::run_args::help;
use naschain_bins::commands::audit::{AuditArgs, run_audit};
use naschain_bins::commands::export::{ExportArgs, export};
use naschain_bins::commands::inspect::{InspectArgs, inspect};
use naschain_bins::commands::predict::{PredictArgs, predict};
use naschain_bins::commands::retrain::{RetrainArgs, retrain};
use naschain_bins::commands::search::{SearchArgs, search};
use naschain_bins::commands::serve::{ServeArgs, serve};

/// Neural architecture search among parties that need not trust each other
#[derive(Parser)]
#[command(name = "genomaster", version)]
struct Cli {
    #[command(flatten)]
    program: ProgramArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
#[allow(clippy::large_enum_variant)] // there is one, for as long as the program starts
enum Command {
    /// Search in one process: miners, verdicts and all
    #[command(after_help = PRESETS, after_long_help = help(), args_override_self = true)]
    Search(SearchArgs),
    /// Serve miners and validators over HTTP
    #[command(after_help = PRESETS, after_long_help = help(), args_override_self = true)]
    Serve(Box<ServeArgs>),
    /// Verify a run from its journal alone: chain, proofs, verdicts
    Audit(AuditArgs),
    /// Show the network that a genome stands for, and its costs
    Inspect(InspectArgs),
    /// Write a run's network with its weights for other programs: safetensors or ONNX
    Export(ExportArgs),
    /// Train a run's network longer, on training and validation images, and test it once
    Retrain(RetrainArgs),
    /// Say what a network sees in images
    Predict(PredictArgs),
}

fn main() -> ExitCode {
    let Cli { program, command } = parse();
    let format = program.log_format;
    match command {
        Command::Search(args) => run(search(args), "warn", format),
        Command::Serve(args) => run(serve(*args), "info", format),
        Command::Audit(args) => run(run_audit(args), "warn", format),
        Command::Inspect(args) => run(async move { say(&inspect(&args)?) }, "warn", format),
        Command::Export(args) => run(async move { say(&export(&args)?) }, "info", format),
        Command::Retrain(args) => run(async move { say(&retrain(&args)?) }, "info", format),
        Command::Predict(args) => run(async move { say(&predict(&args)?) }, "warn", format),
    }
}
