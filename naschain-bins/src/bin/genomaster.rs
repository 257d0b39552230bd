//! The genomaster: searches in one process or serves a network of miners, and exports models.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use naschain_bins::programs::*;

/// Neural architecture search among mutually untrusting parties
#[derive(Parser)]
#[command(name = "genomaster", version)]
struct Cli {
    #[command(flatten)]
    program: ProgramArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
#[allow(clippy::large_enum_variant)] // parsed once; its size does not matter
enum Command {
    /// Run a whole search in one process, miners included
    #[command(after_help = SEARCH_EXAMPLES, after_long_help = help(), args_override_self = true)]
    Search(SearchArgs),
    /// Serve miners and validators over HTTP
    #[command(after_help = SERVE_EXAMPLES, after_long_help = help(), args_override_self = true)]
    Serve(Box<ServeArgs>),
    /// Verify a run from its journal: hash chain, signatures, verdicts
    Audit(AuditArgs),
    /// Show the network that a genome encodes, and its costs
    Inspect(InspectArgs),
    /// Measure how long networks take on this machine, to search by their latency
    Latency(LatencyArgs),
    /// Draw a network of a run, and list its layers with shapes, parameters and FLOPs
    Show(ShowArgs),
    /// List the runs in a folder with state, best network, size of the front and time
    Runs(RunsArgs),
    /// Draw the fronts of several runs in one picture, and print their hypervolumes
    Compare(CompareArgs),
    /// Export a network of a run with its weights as safetensors or ONNX
    Export(ExportArgs),
    /// Train a network of a run on all training and validation images, and test it once
    Retrain(RetrainArgs),
    /// Classify images with a trained network
    Predict(PredictArgs),
    #[command(flatten)]
    Remote(RemoteCommand),
    /// Say whether there is a newer release, and whether a run can go on with it
    Update(UpdateArgs),
    /// Print the completions of this program for a shell
    Completions(CompletionsArgs),
    /// Write the manual pages of this program
    Man(ManArgs),
}

fn main() -> ExitCode {
    let Cli { program, command } = parse();
    let format = program.log_format;
    match command {
        Command::Search(args) => run(search(args), SEARCH_LOG, format),
        Command::Serve(args) => run(serve(*args), "info", format),
        Command::Audit(args) => run(run_audit(args), "warn", format),
        Command::Inspect(args) => run(async move { print(&inspect(&args)?) }, "warn", format),
        Command::Latency(args) => run(async move { print(&latency(&args)?) }, "info", format),
        Command::Show(args) => run(async move { print(&show(&args)?) }, "warn", format),
        Command::Runs(args) => run(async move { print(&runs(&args).await?) }, "warn", format),
        Command::Compare(args) => run(async move { print(&compare(&args)?) }, "warn", format),
        Command::Export(args) => run(async move { print(&export(&args)?) }, "info", format),
        Command::Retrain(args) => run(async move { print(&retrain(&args)?) }, "info", format),
        Command::Remote(command) => run_remote(command, format),
        Command::Update(args) => run(update(args, "genomaster"), "warn", format),
        Command::Completions(args) => completions::<Cli>(&args),
        Command::Man(args) => run(async move { man::<Cli>(&args) }, "warn", format),
        Command::Predict(args) => run(async move { predict(&args) }, "warn", format),
    }
}
