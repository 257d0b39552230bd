//! `/v1/session`: signing in and out with a browser.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use naschain_run::ProblemKind;
use serde::{Deserialize, Serialize};
use tower_sessions::cookie::SameSite;
use tower_sessions::cookie::time::Duration;
use tower_sessions::{Expiry, Session, SessionManagerLayer};
use utoipa::ToSchema;

use crate::home::sessions::{HomeSessions, SESSION_USER};
use crate::hosting::caller::{check_same_origin, trouble};
use crate::hosting::host::Host;
use crate::hosting::openapi::Refusals;
use crate::server::app::Reply;
use crate::server::auth::RemoteAddress;
use crate::server::problem::ErrorResponse;
use crate::server::requests::Body;

/// How long a session lasts.
const SESSION_DAYS: i64 = 7;

/// Somebody who signs in.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignIn {
    /// The user.
    pub(crate) user: String,
    /// The user's password.
    pub(crate) password: String,
}

/// The layer that reads and writes the cookie.
pub(super) fn layer(host: &Host) -> SessionManagerLayer<HomeSessions> {
    SessionManagerLayer::new(host.home.sessions())
        .with_name("naschain_session")
        .with_http_only(true)
        .with_same_site(SameSite::Strict)
        .with_secure(host.settings.has_tls)
        .with_expiry(Expiry::OnInactivity(Duration::days(SESSION_DAYS)))
}

/// Signs in: the response sets a cookie, which is valid for a week and allows everything that the user
/// may do.
#[utoipa::path(post, path = "/v1/session", tag = "account", request_body = SignIn,
    responses((status = 204), Refusals))]
pub(super) async fn sign_in(
    State(host): State<Arc<Host>>,
    Extension(RemoteAddress(from)): Extension<RemoteAddress>,
    session: Session,
    headers: HeaderMap,
    Body(sign_in): Body<SignIn>,
) -> Reply<StatusCode> {
    check_same_origin(&headers)?;
    host.sign_ins.check_sign_in(&sign_in.user, from)?;
    let is_right = host.home.is_password(&sign_in.user, sign_in.password).await;
    if !is_right.map_err(|error| trouble(&error))? {
        let detail = "there is no user with this name and this password";
        return Err(ErrorResponse::new(ProblemKind::NeedsSignIn, detail));
    }
    let stored = async {
        // A new id: the old one may be known to others.
        session.cycle_id().await?;
        session.insert(SESSION_USER, sign_in.user).await
    };
    stored.await.map_err(|error| trouble(&error.into()))?;
    Ok(StatusCode::NO_CONTENT)
}

/// Signs out.
#[utoipa::path(delete, path = "/v1/session", tag = "account",
    responses((status = 204), Refusals))]
pub(super) async fn sign_out(session: Session, headers: HeaderMap) -> Reply<StatusCode> {
    check_same_origin(&headers)?;
    session
        .flush()
        .await
        .map_err(|error| trouble(&error.into()))?;
    Ok(StatusCode::NO_CONTENT)
}
