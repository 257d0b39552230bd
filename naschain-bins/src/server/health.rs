//! Endpoints for operators: health and metrics.

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::clock;
use crate::coordinator::call_error::Unavailable;
use crate::server::app::{App, CoordinatorState};
use crate::server::budget::ResponseBudget;
use crate::server::problem::ErrorResponse;

/// Share of the response budget for the metrics.
const METRICS_SHARE_BYTES: usize = 64 * 1024;

/// `GET /healthz`: 200 with `ok` from the genomaster that leads; otherwise 503 with `standby`,
/// `closing` or the error of the journal, so that a proxy sends requests only to the leader.
pub(crate) async fn healthz(State(coordinator): CoordinatorState) -> Response {
    match coordinator.unavailable() {
        None => "ok\n".into_response(),
        Some(unavailable) => {
            let text = match &unavailable {
                Unavailable::Standby => "standby\n".to_owned(),
                Unavailable::Closing => "closing\n".to_owned(),
                Unavailable::Journal(reason) => format!("trouble: {reason}\n"),
            };
            (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
        }
    }
}

/// `GET /metrics`, in the text format of Prometheus.
pub(crate) async fn metrics(
    State(App {
        coordinator, auth, ..
    }): State<App>,
    State(budget): State<ResponseBudget>,
) -> Result<Response, ErrorResponse> {
    let share = budget.share(METRICS_SHARE_BYTES).await?;
    // One request at a time locks the state, so that many do not delay the writing task. Readers of
    // the journal take turns of their own: monitoring does not wait for them.
    let _turn = coordinator.metrics().turn.lock().await;
    let mut text = coordinator
        .try_with_state(|state| coordinator.metrics().text(state))
        .await;
    if let Some(registrations) = &auth.access.registrations {
        registrations.write_metrics(&mut text);
    }
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    let body = Body::from(share.hold(text.into_bytes()));
    Ok(([(header::CONTENT_TYPE, kind)], body).into_response())
}

/// Middleware: rejects requests while this genomaster does not lead, because its state may be
/// stale.
pub(crate) async fn only_leading(
    State(coordinator): CoordinatorState,
    request: Request,
    next: Next,
) -> Response {
    match coordinator.unavailable() {
        None => next.run(request).await,
        Some(unavailable) => ErrorResponse::unavailable(&unavailable).into_response(),
    }
}

/// Counts requests and how long they took.
pub(crate) async fn measure(
    State(coordinator): CoordinatorState,
    request: Request,
    next: Next,
) -> Response {
    let began = clock::now();
    let path = request.extensions().get::<MatchedPath>();
    // Paths that match no route share one label, because clients can invent any number of them.
    let route = path.map_or("other", MatchedPath::as_str).to_owned();
    let response = next.run(request).await;
    let status = response.status().as_u16();
    let metrics = coordinator.metrics();
    metrics.answered(&route, status, began.elapsed());
    response
}
