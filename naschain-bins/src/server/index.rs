//! `GET /`: what a person who opens the address in a browser sees.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use naschain_run::RunState;

use crate::artifacts::extent::work_done;
use crate::coordinator::Coordinator;
use crate::printable::counted;
use crate::server::app::App;
use crate::web::page::wants_html;
use crate::web::run_pages;

/// Longest host that is repeated.
const MAX_HOST_BYTES: usize = 255;

/// Whether a connection has TLS, as an extension of its requests.
#[derive(Clone, Copy)]
pub(crate) struct HasTls(pub(crate) bool);

/// A page for browsers, otherwise a text.
pub(super) async fn index(State(app): State<App>, request: Request) -> Response {
    if wants_html(request.headers()) {
        return run_pages::dashboard(&app.title());
    }
    text(&app.coordinator, request).await.into_response()
}

async fn text(coordinator: &Coordinator, request: Request) -> String {
    let has_tls = request.extensions().get::<HasTls>();
    let address = address(request.headers(), has_tls.is_some_and(|has_tls| has_tls.0));
    drop(request);
    // One request at a time locks the state, as for the metrics.
    let _turn = coordinator.metrics().turn.lock().await;
    let run = coordinator
        .try_with_state(|state| state.map_or("standby".to_owned(), summary))
        .await;
    let spec = coordinator.spec();
    format!(
        "NASChain genomaster {}: neural architecture search on {}\n\
         {run}\n\n\
         Train for it:\n\
         \x20 miner --genomaster {address}\n\
         Check it:\n\
         \x20 validator --genomaster {address}\n\n\
         /v1/run      settings of the run (*)\n\
         /v1/front    the best networks so far (*)\n\
         /v1/journal  the events of the run, which anybody can audit\n\
         /v1/events   the same events as a live stream\n\
         /healthz     whether this genomaster leads and writes\n\
         /metrics     figures for Prometheus\n\n\
         (*) signed requests only, in a signed run without --open-reads\n",
        env!("CARGO_PKG_VERSION"),
        spec.data.name
    )
}

/// One line about the run.
fn summary(state: &RunState) -> String {
    let best = state.best().and_then(|job| job.verdict.consensus);
    let best = best.map_or(String::new(), |m| format!(", best {} %", m.accuracy));
    let condition = if state.is_finished() {
        "finished"
    } else {
        "running"
    };
    format!(
        "{}, {}{best}, {condition}",
        work_done(state),
        counted(present_miners(state), "miner")
    )
}

/// Number of miners that are there.
pub(crate) fn present_miners(state: &RunState) -> usize {
    let miners = state.board().miners();
    miners.filter(|(_, is_present, _)| *is_present).count()
}

/// The address by which the client reached this genomaster, or `URL` if it is not known.
fn address(headers: &HeaderMap, has_tls: bool) -> String {
    let proxied = headers.get("x-forwarded-proto");
    let is_https = has_tls || proxied.is_some_and(|scheme| scheme == "https");
    let scheme = if is_https { "https" } else { "http" };
    let host = headers.get(header::HOST);
    let host = host.and_then(|host| host.to_str().ok());
    // The client chose it, and people paste it into a shell.
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    let host = host
        .filter(|host| (1..=MAX_HOST_BYTES).contains(&host.len()) && host.chars().all(is_plain));
    host.map_or("URL".to_owned(), |host| format!("{scheme}://{host}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_the_one_that_the_client_used() {
        let with = |host: &str, has_tls| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            address(&headers, has_tls)
        };
        assert_eq!(with("10.0.0.7:5000", false), "http://10.0.0.7:5000");
        assert_eq!(with("[::1]:5000", true), "https://[::1]:5000");
        let long = "a".repeat(256);
        for wrong in ["a;reboot", "$(reboot)", "", long.as_str()] {
            assert_eq!(with(wrong, false), "URL", "{wrong}");
        }
        let mut headers = HeaderMap::new();
        assert_eq!(address(&headers, false), "URL");
        headers.insert(header::HOST, "nas.example".parse().unwrap());
        headers.insert("x-forwarded-proto", "https".parse().unwrap());
        assert_eq!(address(&headers, false), "https://nas.example");
    }
}
