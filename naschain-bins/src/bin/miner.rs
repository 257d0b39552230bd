//! A miner: trains the genomes that a genomaster assigns to it.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use naschain_bins::programs::{
    CompletionsArgs, DataCommand, ManArgs, MineArgs, ProgramArgs, SelftestArgs, SpeedArgs,
    UpdateArgs, WalletArgs, check, completions, keygen, list, man, mine, parse, print, run,
    selftest, speed, update,
};

/// Train genomes for a genomaster
#[derive(Parser)]
#[command(name = "miner", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(flatten)]
    program: ProgramArgs,
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    mine: MineArgs,
}

#[derive(Subcommand)]
enum Command {
    /// Check that training on this machine is bit-identical to other machines; run it first
    Selftest(SelftestArgs),
    /// Measure the training speed of this machine
    Speed(SpeedArgs),
    /// List and check data sets
    #[command(subcommand)]
    Data(DataCommand),
    /// Create a hotkey in a Bittensor wallet and print its address
    Keygen(WalletArgs),
    /// Say whether there is a newer release, and whether a run can go on with it
    Update(UpdateArgs),
    /// Print the completions of this program for a shell
    Completions(CompletionsArgs),
    /// Write the manual pages of this program
    Man(ManArgs),
}

fn main() -> ExitCode {
    let cli: Cli = parse();
    let format = cli.program.log_format;
    match cli.command {
        None => run(mine(cli.mine), "info", format),
        Some(Command::Selftest(args)) => run(async move { selftest(&args) }, "warn", format),
        Some(Command::Data(DataCommand::List(args))) => {
            run(async move { print(&list(&args)?) }, "warn", format)
        }
        Some(Command::Data(DataCommand::Check(args))) => {
            run(async move { check(&args) }, "warn", format)
        }
        Some(Command::Update(args)) => run(update(args, "miner"), "warn", format),
        Some(Command::Completions(args)) => completions::<Cli>(&args),
        Some(Command::Man(args)) => run(async move { man::<Cli>(&args) }, "warn", format),
        Some(Command::Keygen(args)) => run(async move { print(&keygen(&args)?) }, "warn", format),
        Some(Command::Speed(args)) => run(async move { print(&speed(&args)?) }, "warn", format),
    }
}
