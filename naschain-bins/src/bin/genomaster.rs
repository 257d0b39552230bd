//! The genomaster: searches in one process, serves a network, inspects genomes.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use naschain_bins::cli::PRESETS;
use naschain_bins::inspect::{InspectArgs, inspect};
use naschain_bins::run::{run, say};
use naschain_bins::search::{SearchArgs, search};
use naschain_bins::serve::{ServeArgs, serve};

/// Neural architecture search among parties that need not trust each other
#[derive(Parser)]
#[command(name = "genomaster", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Search in one process: miners, verdicts and all
    #[command(after_help = PRESETS, args_override_self = true)]
    Search(SearchArgs),
    /// Serve miners and validators over HTTP
    #[command(after_help = PRESETS, args_override_self = true)]
    Serve(ServeArgs),
    /// Show the network that a genome stands for, and its costs
    Inspect(InspectArgs),
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Search(args) => run(search(args), "warn"),
        Command::Serve(args) => run(serve(args), "info"),
        Command::Inspect(args) => run(async move { say(&inspect(&args)?) }, "warn"),
    }
}
