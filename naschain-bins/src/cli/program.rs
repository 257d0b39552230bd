//! The runtime, logs, output and exit codes of the three programs.

use std::future::Future;
use std::io::{ErrorKind, IsTerminal, Write};
use std::process::{ExitCode, Termination};
use std::time::{Duration, UNIX_EPOCH};

use anyhow::Result;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

use crate::cli::run_args::EXIT_ERROR;
use crate::clock::unix_nanos;
use crate::miner::progress_line;
use crate::printable::printable_lines;
use crate::shutdown::{StopSignal, survive_file_size_limit};

/// Format of logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Lines of text.
    Text,
    /// One JSON object per line.
    Json,
}

/// Runs a command. Logs are written to standard error; an error is printed and gives exit code 2,
/// a signal that stopped the command gives 128 more than its number.
///
/// `default_log` is the log level if `RUST_LOG` is not set.
pub fn run<T: Termination>(
    command: impl Future<Output = Result<T>>,
    default_log: &str,
    format: LogFormat,
) -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default_log));
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_timer(ToTheSecond)
        .with_ansi(coloured())
        // They are printed by a macro that panics if standard error is closed, as in `2>&1 | head -1`.
        .log_internal_errors(false)
        .with_writer(progress_line::stderr);
    match format {
        LogFormat::Text => logs.init(),
        LogFormat::Json => logs.json().flatten_event(true).init(),
    }
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.into(), format),
    };
    let result = runtime.block_on(async {
        survive_file_size_limit()?;
        command.await
    });
    // Does not wait for a training in progress, which may take hours.
    runtime.shutdown_background();
    match result {
        Ok(done) => done.report(),
        Err(error) => match error.downcast_ref::<StopSignal>() {
            Some(signal) => ExitCode::from(signal.exit_code()),
            None => fail(&error, format),
        },
    }
}

/// The time of a log line, in UTC as RFC 3339 has it.
struct ToTheSecond;

impl FormatTime for ToTheSecond {
    fn format_time(&self, w: &mut Writer<'_>) -> std::fmt::Result {
        let now = UNIX_EPOCH + Duration::from_nanos(unix_nanos());
        write!(w, "{}", humantime::format_rfc3339_seconds(now))
    }
}

/// Whether logs are coloured: on a terminal, unless `NO_COLOR` is set (<https://no-color.org>).
fn coloured() -> bool {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    std::io::stderr().is_terminal() && !no_color
}

/// Prints to standard output. A closed pipe, as in `... | head`, is not an error.
pub fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    // Names and reasons in it may come from others.
    let text = printable_lines(text);
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

fn fail(error: &anyhow::Error, format: LogFormat) -> ExitCode {
    // Some errors already end with the text of their cause.
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(|cause| cause.to_string()) {
        if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    let text = printable_lines(&text);
    match format {
        LogFormat::Text => drop(writeln!(std::io::stderr(), "error: {text}")),
        // With this format every line of standard error must be JSON.
        LogFormat::Json => tracing::error!("{text}"),
    }
    ExitCode::from(EXIT_ERROR)
}
