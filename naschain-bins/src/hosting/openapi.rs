//! The OpenAPI document of the routes for users.

use axum::http::header;
use axum::response::IntoResponse;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{IntoResponses, Modify, OpenApi, ToSchema};

/// An error, as RFC 9457 has it.
#[derive(ToSchema)]
#[schema(as = Problem)]
#[allow(dead_code, reason = "only its schema is used")]
pub(crate) struct ProblemBody {
    /// The kind of error, such as `wrong_data`.
    #[schema(rename = "type")]
    r#type: String,
    /// The HTTP status.
    status: u16,
    /// What was wrong and what would be right.
    detail: String,
}

/// The responses that every route may have.
#[derive(IntoResponses)]
#[allow(dead_code, reason = "only its schema is used")]
pub(crate) enum Refusals {
    /// The request is wrong, or not permitted.
    #[response(status = "4XX", content_type = "application/problem+json")]
    Refused(ProblemBody),
    /// The genomaster cannot answer now.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(ProblemBody),
}

/// The document, without its paths, which the routes add.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "NASChain genomaster",
        description = "Runs of neural architecture search, their data sets and their users. The routes of miners and validators, which are signed, are described in docs/protocol.md."
    ),
    components(schemas(ProblemBody)),
    paths(front, batches, journal, events),
    modifiers(&Tokens),
    tags(
        (name = "runs", description = "Searches"),
        (name = "data", description = "Data sets"),
        (name = "account", description = "Users and their tokens"),
        (name = "miners", description = "Signed routes of miners that concern no single run"),
    )
)]
pub(super) struct Document;

// Each run's own router answers these; docs/protocol.md describes what they return.

/// The networks of the front so far.
#[utoipa::path(get, path = "/v1/runs/{run}/front", tag = "runs", params(("run" = String, Path)),
    security((), ("token" = []), ("session" = [])),
    responses((status = 200, body = Vec<serde_json::Value>), Refusals))]
#[allow(dead_code, reason = "only its description is used")]
fn front() {}

/// Up to 1,000 ended jobs with their rows and verdicts, from index `after` on.
#[utoipa::path(get, path = "/v1/runs/{run}/batches", tag = "runs",
    params(("run" = String, Path), ("after" = Option<u64>, Query)),
    security((), ("token" = []), ("session" = [])),
    responses((status = 200, body = serde_json::Value), Refusals))]
#[allow(dead_code, reason = "only its description is used")]
fn batches() {}

/// Up to 1,000 entries of the journal after number `after`, by which anybody can audit the run.
#[utoipa::path(get, path = "/v1/runs/{run}/journal", tag = "runs",
    params(("run" = String, Path), ("after" = Option<u64>, Query)),
    security((), ("token" = []), ("session" = [])),
    responses((status = 200, body = serde_json::Value), Refusals))]
#[allow(dead_code, reason = "only its description is used")]
fn journal() {}

/// What happens in the run, as a stream of server-sent events, from cursor `after` on.
#[utoipa::path(get, path = "/v1/runs/{run}/events", tag = "runs",
    params(("run" = String, Path), ("after" = Option<String>, Query)),
    security((), ("token" = []), ("session" = [])),
    responses((status = 200, content_type = "text/event-stream"), Refusals))]
#[allow(dead_code, reason = "only its description is used")]
fn events() {}

struct Tokens;

impl Modify for Tokens {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer);
        let scheme = SecurityScheme::Http(scheme.build());
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", scheme);
        let cookie = ApiKey::Cookie(ApiKeyValue::new("naschain_session"));
        components.add_security_scheme("session", SecurityScheme::ApiKey(cookie));
    }
}

/// The document as a response.
pub(super) fn respond(document: &str) -> impl IntoResponse + use<> {
    (
        [(header::CONTENT_TYPE, "application/json")],
        document.to_owned(),
    )
}
