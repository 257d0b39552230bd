//! Signals: requests to stop the program, and the limit of file sizes.

/// Waits for Ctrl-C or, on Unix, SIGTERM, which systemd and containers send.
pub(crate) async fn shutdown() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
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
