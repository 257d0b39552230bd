//! A validator: recomputes a genomaster's verdicts, scores its miners, and sets weights.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use naschain_bins::programs::{
    ProgramArgs, UpdateArgs, ValidateArgs, parse, run, update, validate,
};

/// Recompute every verdict of a genomaster, score its miners, and set weights
#[derive(Parser)]
#[command(name = "validator", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(flatten)]
    program: ProgramArgs,
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    validate: ValidateArgs,
}

#[derive(Subcommand)]
enum Command {
    /// Say whether there is a newer release, and whether a run can go on with it
    Update(UpdateArgs),
}

fn main() -> ExitCode {
    let cli: Cli = parse();
    let format = cli.program.log_format;
    match cli.command {
        None => run(validate(cli.validate), "info", format),
        Some(Command::Update(args)) => run(update(args, "validator"), "warn", format),
    }
}
