//! Commands of users of a genomaster with many runs, and of its administrator.

use std::process::ExitCode;

use clap::Subcommand;

use crate::cli::program::{LogFormat, print, run};
use crate::commands::check_upload::{CheckUploadArgs, check_upload};
use crate::commands::move_home::{MoveHomeArgs, move_home};
use crate::commands::remote_data::{DataCommandArgs, data};
use crate::commands::remote_runs::{
    ChangeArgs, ExtendArgs, FetchArgs, StatusArgs, change, extend, fetch, status,
};
use crate::commands::remote_tokens::{TokenArgs, token};
use crate::commands::submit::{SubmitArgs, submit};
use crate::commands::user::{UserArgs, user};

/// Commands of users of a genomaster with many runs, and of its administrator.
#[derive(Subcommand, Debug)]
pub enum RemoteCommand {
    /// Begin a run at a genomaster with many, and upload its data
    #[command(args_override_self = true)]
    Submit(Box<SubmitArgs>),
    /// List the runs of a genomaster with many, or show one
    Status(StatusArgs),
    /// Copy the files of a run from a genomaster with many
    Fetch(FetchArgs),
    /// Pause, resume, stop or delete a run of a genomaster with many
    Change(ChangeArgs),
    /// Give a run of a genomaster with many more generations
    Extend(ExtendArgs),
    /// List, upload and delete data sets at a genomaster with many runs
    Data(DataCommandArgs),
    /// Register at a genomaster with many runs; make, list and revoke tokens
    Token(TokenArgs),
    /// Add and change users of a genomaster with many runs
    User(UserArgs),
    /// Move the home of a genomaster to a database that several share
    MoveHome(MoveHomeArgs),
    /// Read what a user has uploaded; for `serve --home`, which runs it in a process of its own
    #[command(hide = true)]
    CheckUpload(CheckUploadArgs),
}

/// Runs the command.
pub fn run_remote(command: RemoteCommand, format: LogFormat) -> ExitCode {
    match command {
        RemoteCommand::Submit(args) => run(async { print(&submit(*args).await?) }, "info", format),
        RemoteCommand::Status(args) => run(async { print(&status(args).await?) }, "warn", format),
        RemoteCommand::Fetch(args) => run(async { print(&fetch(args).await?) }, "warn", format),
        RemoteCommand::Change(args) => run(async { print(&change(args).await?) }, "warn", format),
        RemoteCommand::Extend(args) => run(async { print(&extend(args).await?) }, "warn", format),
        RemoteCommand::Data(args) => run(async { print(&data(args).await?) }, "info", format),
        RemoteCommand::Token(args) => run(async { print(&token(args).await?) }, "warn", format),
        RemoteCommand::User(args) => run(async { print(&user(args).await?) }, "warn", format),
        RemoteCommand::MoveHome(args) => {
            run(async { print(&move_home(args).await?) }, "info", format)
        }
        RemoteCommand::CheckUpload(args) => {
            run(async move { print(&check_upload(&args)?) }, "warn", format)
        }
    }
}
