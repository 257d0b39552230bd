//! A validator: recomputes a genomaster's verdicts, scores its miners, and sets weights.

use std::process::ExitCode;

use clap::Parser;
use naschain_bins::programs::{ProgramArgs, ValidateArgs, parse, run, validate};

/// Recompute every verdict of a genomaster, score its miners, and set weights
#[derive(Parser)]
#[command(name = "validator", version)]
struct Cli {
    #[command(flatten)]
    program: ProgramArgs,
    #[command(flatten)]
    validate: ValidateArgs,
}

fn main() -> ExitCode {
    let Cli {
        program,
        validate: args,
    } = parse();
    run(validate(args), "warn", program.log_format)
}
