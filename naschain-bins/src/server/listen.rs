//! Connections: accepted up to a limit, with a timeout for everything that a client can delay.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use axum::extract::ConnectInfo;
use axum::{Extension, Router};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use crate::server::index::HasTls;
use crate::server::limits::NetworkLimit;

/// Timeout for receiving a request's headers, counted from the last response, so it also closes
/// idle connections. Clients of this program close theirs earlier.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// Timeout of a TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Timeout for sending to a client that does not read.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// Timeout for the last responses when the server stops.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum size of the request line and headers together.
const MAX_HEAD_BYTES: usize = 16 * 1024;
const MAX_HEADERS: usize = 64;
/// A non-loopback address may have at most 1/8 of all connections, so that one client cannot use up
/// all of them.
const MAX_SHARE: usize = 8;

/// Settings of a server's connections.
#[derive(Clone)]
pub struct Listening {
    /// TLS configuration; plain HTTP if `None`.
    pub tls: Option<Arc<ServerConfig>>,
    /// Maximum number of simultaneous connections; further clients wait.
    pub max_connections: usize,
    /// Whether a reverse proxy makes all connections, so that one address may have all of them.
    pub behind_proxy: bool,
}

/// Listens on `HOST:PORT`.
///
/// # Errors
/// Says what is right where the host or the port is missing. A missing host is not taken for all
/// interfaces: that opens a run to the network, so it has to be written.
pub(crate) async fn bind(address: &str) -> Result<TcpListener> {
    check_address(address)?;
    let bound = TcpListener::bind(address).await;
    bound.with_context(|| format!("cannot listen on {address}"))
}

fn check_address(address: &str) -> Result<()> {
    let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
    let is_port = |text: &str| text.parse::<u16>().is_ok();
    let bare = if is_port(address) { address } else { port };
    ensure!(
        !host.is_empty() && !is_port(address) || !is_port(bare),
        "--listen {address} has no host; use 127.0.0.1:{bare} for programs on this machine, or 0.0.0.0:{bare} for all networks of it"
    );
    // An IPv6 address without brackets has colons but no port.
    let has_host = !host.is_empty() && (!host.contains(':') || host.ends_with(']'));
    ensure!(
        has_host && is_port(port),
        "--listen is {address:?}; it must be HOST:PORT with a port of 0 to 65535, such as 127.0.0.1:5000 or [::1]:5000"
    );
    Ok(())
}

/// Serves until `stop`, then gives requests in progress a few seconds to finish.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    listening: Listening,
    stop: impl Future<Output = ()>,
) -> Result<()> {
    let slots = Arc::new(Semaphore::new(listening.max_connections));
    let share = if listening.behind_proxy { 1 } else { MAX_SHARE };
    let remote = Arc::new(NetworkLimit::new(listening.max_connections / share));
    let acceptor = listening.tls.map(TlsAcceptor::from);
    let graceful = GracefulShutdown::new();
    tokio::pin!(stop);
    loop {
        // Before `accept`: above the limit, clients wait in the kernel and need no file descriptor
        // here.
        let slot = tokio::select! {
            slot = slots.clone().acquire_owned() => slot?,
            _ = &mut stop => break,
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = &mut stop => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // There are no file descriptors left, or the client has closed the connection. The
                // former persists for a while, so without a pause this loop would be busy.
                tracing::warn!("cannot accept a connection: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Some(permit) = remote.enter(peer.ip()) else {
            tracing::debug!("{peer} has too many connections");
            continue;
        };
        let (router, acceptor, watcher) = (router.clone(), acceptor.clone(), graceful.watcher());
        tokio::spawn(async move {
            let _held = (slot, permit);
            // Responses are small; without this they might wait for the acknowledgement of earlier
            // packets.
            let _ = stream.set_nodelay(true);
            match acceptor {
                None => connection(plain(stream), peer, HasTls(false), router, watcher).await,
                Some(acceptor) => {
                    let shake = acceptor.accept(plain(stream));
                    match tokio::time::timeout(HANDSHAKE_TIMEOUT, shake).await {
                        Ok(Ok(stream)) => {
                            connection(stream, peer, HasTls(true), router, watcher).await;
                        }
                        Ok(Err(error)) => tracing::debug!("{peer}: TLS handshake failed: {error}"),
                        Err(_) => {
                            tracing::debug!("{peer}: no TLS handshake in {HANDSHAKE_TIMEOUT:?}");
                        }
                    }
                }
            }
        });
    }
    // New clients are refused at once instead of waiting for a server that will not accept them.
    drop(listener);
    let closed = tokio::time::timeout(CLOSE_TIMEOUT, graceful.shutdown()).await;
    if closed.is_err() {
        tracing::warn!("some clients did not receive their responses within {CLOSE_TIMEOUT:?}");
    }
    Ok(())
}

fn plain(stream: TcpStream) -> std::pin::Pin<Box<TimeoutStream<TcpStream>>> {
    let mut stream = TimeoutStream::new(stream);
    // No read timeout: a client that waits for work sends nothing for a while.
    stream.set_write_timeout(Some(WRITE_TIMEOUT));
    Box::pin(stream)
}

async fn connection(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    peer: SocketAddr,
    has_tls: HasTls,
    router: Router,
    watcher: hyper_util::server::graceful::Watcher,
) {
    let service = router
        .layer(Extension(ConnectInfo(peer)))
        .layer(Extension(has_tls));
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    if let Err(error) = watcher.watch(served).await {
        tracing::debug!("{peer}: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::check_address;

    #[test]
    fn an_address_without_host_or_port_is_refused_with_a_right_one() {
        for right in ["127.0.0.1:0", "localhost:5000", "[::1]:5000", "[::]:1"] {
            check_address(right).unwrap();
        }
        for (wrong, problem) in [
            (":5099", "0.0.0.0:5099 for all networks"),
            ("5099", "use 127.0.0.1:5099 for programs"),
            ("localhost", "it must be HOST:PORT"),
            ("localhost:", "it must be HOST:PORT"),
            ("localhost:70000", "a port of 0 to 65535"),
            (":70000", "a port of 0 to 65535"),
            ("::1:5000", "[::1]:5000"),
            ("", "it must be HOST:PORT"),
        ] {
            let error = check_address(wrong).unwrap_err().to_string();
            assert!(error.contains(problem), "{wrong}: {error}");
        }
    }
}
