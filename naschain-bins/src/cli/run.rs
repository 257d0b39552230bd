//! What the three binaries' `main` functions share: runtime, logs, exit codes.

use std::future::Future;
use std::io::{ErrorKind, IsTerminal, Write};
use std::process::ExitCode;

use anyhow::Result;
use tracing_subscriber::EnvFilter;

use crate::cli::run_args::EXIT_WRONG;
use crate::cli::training_line;

/// How logs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Runs a command: logs go to standard error, an error ends with exit code 2.
pub fn run(
    command: impl Future<Output = Result<()>>,
    default_log: &str,
    format: LogFormat,
) -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default_log));
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(coloured())
        .with_writer(training_line::stderr);
    match format {
        LogFormat::Text => logs.init(),
        LogFormat::Json => logs.json().flatten_event(true).init(),
    }
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.into(), format),
    };
    let result = runtime.block_on(command);
    // A training in progress is abandoned, not waited for.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, format),
    }
}

/// Whether logs are read on a screen, by somebody who does not refuse colours
/// (<https://no-color.org>).
fn coloured() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    std::io::stderr().is_terminal() && !refused
}

/// Prints to standard output; a reader that went away, as `head` does, is no error.
pub fn say(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

fn fail(error: &anyhow::Error, format: LogFormat) -> ExitCode {
    // Some causes are already the end of the text before them.
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(|cause| cause.to_string()) {
        if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    match format {
        LogFormat::Text => drop(writeln!(std::io::stderr(), "error: {text}")),
        // Whoever reads the log reads nothing but JSON.
        LogFormat::Json => tracing::error!("{text}"),
    }
    ExitCode::from(EXIT_WRONG)
}
