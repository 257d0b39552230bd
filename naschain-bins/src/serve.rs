//! `genomaster serve`: the network's centre, over HTTP.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use tokio::sync::oneshot;

use crate::cli::{CommonArgs, OpenRun};
use crate::run::say;
use crate::search::{conclude, follow};
use crate::server;

/// Flags of the command.
#[derive(Args, Debug)]
pub struct ServeArgs {
    #[command(flatten)]
    common: CommonArgs,
    /// Address to listen on; port 0 takes a free one and prints it
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:5000")]
    listen: SocketAddr,
}

/// How long requests that are being answered may take after a signal to stop.
const GRACE: Duration = Duration::from_secs(5);

/// Serves until Ctrl-C or SIGTERM, also after the search is finished, so that validators can
/// fetch its batches.
pub async fn serve(args: ServeArgs) -> Result<()> {
    // First, so that a busy port leaves no folder behind.
    let listener = tokio::net::TcpListener::bind(args.listen)
        .await
        .with_context(|| format!("cannot listen on {}", args.listen))?;
    let OpenRun {
        dataset,
        dir,
        coordinator,
    } = args.common.open().await?;
    say(&format!("listening on http://{}\n", listener.local_addr()?))?;
    let router = server::router(coordinator.clone());
    let (stop, stopped) = oneshot::channel::<()>();
    let mut server = tokio::spawn(async move {
        let serve = axum::serve(listener, router);
        let stopped = async { drop(stopped.await) };
        serve.with_graceful_shutdown(stopped).await
    });
    let options = args.common.device.options();
    let work = async {
        follow(&coordinator, &dir, None).await?;
        conclude(&coordinator, &dir, &dataset, options).await?;
        say("finished; still serving until it is stopped\n")?;
        std::future::pending::<Result<()>>().await
    };
    let result = tokio::select! {
        result = work => result,
        result = &mut server => result?.context("the server ended"),
        _ = shutdown() => {
            tracing::info!("stopping: no new requests, answering those that are here");
            coordinator.hang_up();
            let _ = stop.send(());
            if tokio::time::timeout(GRACE, &mut server).await.is_err() {
                tracing::warn!("some clients did not take their answers in {GRACE:?}");
            }
            Ok(())
        }
    };
    coordinator.close().await?;
    result
}

/// Ctrl-C, or SIGTERM where there is one.
pub async fn shutdown() {
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
