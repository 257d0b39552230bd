//! The middleware that checks requests before their routes see them.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::server::auth::{Authenticator, RemoteAddress};

/// Middleware for paths that require signed requests if the genomaster has a hotkey.
pub(crate) async fn authenticate(
    State(auth): State<Arc<Authenticator>>,
    request: Request,
    next: Next,
) -> Response {
    match auth.check_request(request, true).await {
        Ok(request) => next.run(request).await,
        Err(failure) => failure.into_response(),
    }
}

/// Middleware for paths whose bodies are not read into memory: checks only rates.
pub(crate) async fn check_address(
    State(auth): State<Arc<Authenticator>>,
    request: Request,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    let address = auth.remote_address(&parts);
    parts.extensions.insert(RemoteAddress(address));
    match auth.check_rate(&parts) {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(failure) => failure.into_response(),
    }
}

/// Middleware for all other paths: checks only rates and sizes.
pub(crate) async fn check_limits(
    State(auth): State<Arc<Authenticator>>,
    request: Request,
    next: Next,
) -> Response {
    match auth.check_request(request, false).await {
        Ok(request) => next.run(request).await,
        Err(failure) => failure.into_response(),
    }
}
