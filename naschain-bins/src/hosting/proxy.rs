//! Requests that another genomaster has to answer: about a run that it leads, or an upload that it
//! receives. They are sent on to it, so that clients can use any genomaster.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use naschain_core::Digest;
use naschain_run::ProblemKind;

use crate::hosting::caller::trouble;
use crate::hosting::cluster::Cluster;
use crate::hosting::host::Host;
use crate::server::app::Reply;
use crate::server::index::HasTls;
use crate::server::problem::ErrorResponse;

/// The header with the genomasters' password.
const PASSWORD: HeaderName = HeaderName::from_static("x-naschain-genomaster");
/// The header with the address of the client.
const CLIENT: HeaderName = HeaderName::from_static("x-naschain-client");
/// The header with the name by which the client calls the genomaster.
const CLIENT_HOST: HeaderName = HeaderName::from_static("x-naschain-client-host");
/// The header that says whether the client's connection has TLS.
const CLIENT_TLS: HeaderName = HeaderName::from_static("x-naschain-client-tls");
/// Headers of one connection, which are not sent on.
const OF_CONNECTION: [HeaderName; 5] = [
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::HOST,
    header::TE,
];

/// How long another genomaster is waited for to complete a list.
const LIST_TIMEOUT: Duration = Duration::from_secs(5);
/// Size of its part, at most.
const MAX_LIST_BYTES: usize = 1 << 20;

/// Marks a request that another genomaster has sent on; it is answered here in any case.
#[derive(Clone, Copy)]
pub(super) struct SentOn;

/// Middleware for all requests: recognises those that another genomaster has sent on.
pub(super) async fn recognise(
    State(host): State<Arc<Host>>,
    mut request: Request,
    next: Next,
) -> Response {
    let headers = request.headers_mut();
    let found = [PASSWORD, CLIENT, CLIENT_HOST, CLIENT_TLS].map(|name| headers.remove(name));
    let [Some(password), client, client_host, tls] = found else {
        return next.run(request).await;
    };
    // Hashes, so that the time of the comparison says nothing about the password.
    let is_right = host.cluster.as_ref().is_some_and(|cluster| {
        blake3::hash(password.as_bytes()) == blake3::hash(cluster.password().as_bytes())
    });
    if is_right {
        let client = client.and_then(|client| client.to_str().ok()?.parse::<SocketAddr>().ok());
        if let Some(client) = client {
            request.extensions_mut().insert(ConnectInfo(client));
        }
        if let Some(client_host) = client_host {
            request.headers_mut().insert(header::HOST, client_host);
        }
        request.extensions_mut().insert(HasTls(tls.is_some()));
        request.extensions_mut().insert(SentOn);
    }
    next.run(request).await
}

/// Middleware for the routes of runs: sends a request on to the genomaster that leads the run.
pub(super) async fn to_leader(
    State(host): State<Arc<Host>>,
    request: Request,
    next: Next,
) -> Response {
    let Some(cluster) = host.cluster.as_ref().filter(|_| !is_sent_on(&request)) else {
        return next.run(request).await;
    };
    let (path, is_known) = (request.uri().path().to_owned(), is_known_sender(&request));
    let address = leader_of(&host, cluster, &path, is_known).await;
    answer_at(cluster, address, request, next).await
}

/// Middleware for the routes of one upload: sends a request on to the genomaster that receives it.
pub(super) async fn to_receiver(
    State(host): State<Arc<Host>>,
    request: Request,
    next: Next,
) -> Response {
    let Some(cluster) = host.cluster.as_ref().filter(|_| !is_sent_on(&request)) else {
        return next.run(request).await;
    };
    let upload = request.uri().path().rsplit('/').next().unwrap_or_default();
    let address = cluster.receiver_of(upload);
    let address =
        address.map_err(|error| ErrorResponse::new(ProblemKind::Standby, format!("{error}")));
    answer_at(cluster, address, request, next).await
}

/// Answers a request here, or sends it on where another genomaster has to answer it.
async fn answer_at(
    cluster: &Cluster,
    address: Reply<Option<String>>,
    request: Request,
    next: Next,
) -> Response {
    match address {
        Ok(None) => next.run(request).await,
        Ok(Some(address)) => send(cluster, &address, request).await.into_response(),
        Err(failure) => failure.into_response(),
    }
}

/// Whether another genomaster has sent the request on.
pub(super) fn is_sent_on(request: &Request) -> bool {
    request.extensions().get::<SentOn>().is_some()
}

/// The address of the genomaster that leads the run in a path, unless it is this one, or nobody needs
/// to.
async fn leader_of(
    host: &Host,
    cluster: &Cluster,
    path: &str,
    is_known_sender: bool,
) -> Reply<Option<String>> {
    let id = path.strip_prefix("/v1/runs/").unwrap_or_default();
    let id = id.split('/').next().unwrap_or_default();
    let Ok(id) = id.parse::<Digest>() else {
        return Ok(None);
    };
    if host.is_open(id) {
        return Ok(None);
    }
    let stored = host.home.run(id).await.map_err(|error| trouble(&error))?;
    // The routes themselves tell strangers that there is no such run.
    let Some(stored) = stored.filter(|run| run.is_public || is_known_sender) else {
        return Ok(None);
    };
    let leader = stored.leader.filter(|leader| leader != cluster.id());
    let address = leader.as_deref().and_then(|id| cluster.address_of(id));
    if address.is_some() || !stored.status.is_open() {
        return Ok(address);
    }
    let detail = "the run moves to another genomaster; try again in a moment";
    Err(ErrorResponse::new(ProblemKind::Standby, detail))
}

/// Whether a request says who sends it; what it says is checked where it is answered.
fn is_known_sender(request: &Request) -> bool {
    let names = ["authorization", "cookie", "x-bittensor-signature"];
    names
        .iter()
        .any(|name| request.headers().contains_key(*name))
}

/// Sends a request on, and returns the response.
pub(super) async fn send(cluster: &Cluster, address: &str, request: Request) -> Reply<Response> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut headers = parts.headers;
    if let Some(client_host) = headers.get(header::HOST).cloned() {
        headers.insert(CLIENT_HOST, client_host);
    }
    for name in OF_CONNECTION {
        headers.remove(name);
    }
    if let Ok(password) = HeaderValue::from_str(cluster.password()) {
        headers.insert(PASSWORD, password);
    }
    if let Some(ConnectInfo(client)) = parts.extensions.get::<ConnectInfo<SocketAddr>>()
        && let Ok(client) = HeaderValue::from_str(&client.to_string())
    {
        headers.insert(CLIENT, client);
    }
    if parts.extensions.get::<HasTls>().is_some_and(|tls| tls.0) {
        headers.insert(CLIENT_TLS, HeaderValue::from_static("1"));
    }
    let mut call = cluster
        .http
        .request(parts.method, format!("{address}{path}"))
        .headers(headers);
    if !body.is_end_stream() {
        call = call.body(reqwest::Body::wrap_stream(body.into_data_stream()));
    }
    let response = tokio::select! {
        response = call.send() => response,
        () = cluster.gone(address) => {
            let detail = "the genomaster that leads this is gone; try again in a moment";
            return Err(ErrorResponse::new(ProblemKind::Standby, detail));
        }
    };
    let response = response.map_err(|error| {
        tracing::debug!("the genomaster at {address}: {error}");
        if error.is_connect() {
            let detail = "the genomaster that leads this cannot be reached; try again in a moment";
            return ErrorResponse::new(ProblemKind::Standby, detail);
        }
        // It may have been done.
        let detail = "the genomaster that leads this has not answered; see whether it was done";
        ErrorResponse::new(ProblemKind::JournalTrouble, detail)
    })?;
    let response: axum::http::Response<reqwest::Body> = response.into();
    let mut response = response.map(Body::new);
    for name in OF_CONNECTION {
        response.headers_mut().remove(name);
    }
    Ok(response)
}

/// The bodies of the responses of all other genomasters to a request without a body, unless it is one
/// that another has sent on.
pub(super) async fn ask_others(host: &Host, request: Request) -> Vec<Vec<u8>> {
    let Some(cluster) = host.cluster.as_ref().filter(|_| !is_sent_on(&request)) else {
        return Vec::new();
    };
    let (parts, _) = request.into_parts();
    let mut bodies = Vec::new();
    for address in cluster.others().into_values() {
        let same = Request::from_parts(parts.clone(), Body::empty());
        let answered = async {
            let response = send(cluster, &address, same).await.ok()?;
            let body = axum::body::to_bytes(response.into_body(), MAX_LIST_BYTES).await;
            body.ok()
        };
        let body = tokio::time::timeout(LIST_TIMEOUT, answered).await;
        bodies.extend(body.ok().flatten().map(Vec::from));
    }
    bodies
}
