//! Signals: requests to stop the program, and the limit of file sizes.

/// A request to stop the program. As the error of a command it prints nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StopSignal {
    /// Ctrl-C.
    #[error("stopped by Ctrl-C")]
    Interrupt,
    /// SIGTERM.
    #[error("stopped by SIGTERM")]
    Terminate,
}

impl StopSignal {
    /// The exit code that shells expect of a program that a signal stopped: 128 and its number.
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            StopSignal::Interrupt => 130,
            StopSignal::Terminate => 143,
        }
    }
}

/// Waits for Ctrl-C or, on Unix, SIGTERM, which systemd and containers send.
pub(crate) async fn shutdown() -> StopSignal {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            return tokio::select! {
                _ = tokio::signal::ctrl_c() => StopSignal::Interrupt,
                _ = terminate.recv() => StopSignal::Terminate,
            };
        }
    }
    let _ = tokio::signal::ctrl_c().await;
    StopSignal::Interrupt
}

/// Makes a write beyond the limit of file sizes (`ulimit -f`) an error of that write, as on a full
/// disk; the default is that the system kills the program. Must be called in a runtime.
pub(crate) fn survive_file_size_limit() -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        // The handler stays when the stream of its signals is dropped.
        let _signals = signal(SignalKind::from_raw(libc::SIGXFSZ))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_those_that_shells_expect() {
        let codes = [StopSignal::Interrupt, StopSignal::Terminate].map(StopSignal::exit_code);
        assert_eq!(codes, [130, 143]);
    }
}
