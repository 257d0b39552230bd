//! Who sends a request: a user by a token or a session, or somebody unknown.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use naschain_core::Digest;
use naschain_run::ProblemKind;
use tower_sessions::Session;

use crate::home::runs::StoredRun;
use crate::home::sessions::SESSION_USER;
use crate::home::shares::SESSION_SHARES;
use crate::home::tokens::Scope;
use crate::home::users::User;
use crate::hosting::host::{Host, Moving};
use crate::server::app::Reply;
use crate::server::problem::ErrorResponse;

/// The sender of a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sender {
    user: Option<(User, BTreeSet<Scope>)>,
    /// Runs whose links were opened in this session.
    shared: BTreeSet<Digest>,
}

impl Sender {
    /// The user, if the token allows this.
    pub(crate) fn needs(&self, scope: Scope) -> Reply<&User> {
        let Some((user, scopes)) = &self.user else {
            let detail = "this request needs the token of a user, in the header `Authorization: Bearer TOKEN`; `genomaster token make NAME` makes one with a password";
            return Err(ErrorResponse::new(ProblemKind::NeedsSignIn, detail));
        };
        if !scopes.contains(&scope) {
            let detail = format!("the token does not have the scope {scope}, which this needs");
            return Err(ErrorResponse::new(ProblemKind::NotPermitted, detail));
        }
        Ok(user)
    }

    /// The user, if the token allows reading.
    pub(crate) fn reader(&self) -> Option<&User> {
        let (user, scopes) = self.user.as_ref()?;
        scopes.contains(&Scope::Read).then_some(user)
    }

    /// Whether the sender may read a run.
    pub(crate) fn may_read(&self, run: &StoredRun) -> bool {
        let is_own = |user: &User| user.is_admin || user.name == run.owner;
        run.is_public || self.reader().is_some_and(is_own) || self.shared.contains(&run.id)
    }
}

/// The user whose session a request belongs to.
async fn of_session(parts: &Parts, host: &Host) -> Reply<Sender> {
    let Some(session) = parts.extensions.get::<Session>() else {
        return Ok(Sender::default());
    };
    let failed = |error: tower_sessions::session::Error| trouble(&error.into());
    let shares: Option<Vec<String>> = session.get(SESSION_SHARES).await.map_err(failed)?;
    let shared = host.home.shared_runs(&shares.unwrap_or_default()).await;
    let shared = shared.map_err(|error| trouble(&error))?;
    let name: Option<String> = session.get(SESSION_USER).await.map_err(failed)?;
    let Some(name) = name else {
        return Ok(Sender { user: None, shared });
    };
    if !matches!(parts.method, Method::GET | Method::HEAD) {
        check_same_origin(&parts.headers)?;
    }
    let user = host.home.user(&name).await;
    let user = user.map_err(|error| trouble(&error))?;
    let user = user.map(|user| (user, Scope::ALL.into_iter().collect()));
    Ok(Sender { user, shared })
}

impl FromRequestParts<Arc<Host>> for Sender {
    type Rejection = ErrorResponse;

    async fn from_request_parts(parts: &mut Parts, host: &Arc<Host>) -> Reply<Sender> {
        let Some(value) = parts.headers.get(header::AUTHORIZATION) else {
            return of_session(parts, host).await;
        };
        let token = value.to_str().ok().and_then(|text| {
            let (scheme, token) = text.split_once(' ')?;
            scheme
                .eq_ignore_ascii_case("bearer")
                .then_some(token.trim())
        });
        let refused = |detail: &str| Err(ErrorResponse::new(ProblemKind::NeedsSignIn, detail));
        let Some(token) = token else {
            return refused("the header Authorization must be `Bearer TOKEN`");
        };
        match host.home.token(token).await {
            Ok(Some(known)) => Ok(Sender {
                user: Some(known),
                ..Sender::default()
            }),
            Ok(None) => {
                refused("the token is unknown: it was revoked, has expired, or is mistyped")
            }
            Err(error) => Err(trouble(&error)),
        }
    }
}

/// Refuses what a page of another site makes a browser send.
pub(super) fn check_same_origin(headers: &HeaderMap) -> Reply<()> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let from_site =
        text("sec-fetch-site").is_none_or(|site| ["same-origin", "none"].contains(&site));
    let host = text(header::HOST.as_str()).unwrap_or_default();
    let from_host = text(header::ORIGIN.as_str()).is_none_or(|origin| {
        origin
            .split_once("://")
            .is_some_and(|(_, name)| name == host)
    });
    if from_site && from_host {
        return Ok(());
    }
    let detail = "a page of another site may not send this request";
    Err(ErrorResponse::new(ProblemKind::NotPermitted, detail))
}

/// The response to a request that the home's database could not answer.
pub(crate) fn trouble(error: &anyhow::Error) -> ErrorResponse {
    if error.is::<Moving>() {
        return ErrorResponse::new(ProblemKind::Standby, error.to_string());
    }
    tracing::error!("{error:#}");
    let detail =
        "the genomaster cannot do this now, for a reason that its log has; try again later";
    ErrorResponse::new(ProblemKind::JournalTrouble, detail)
}

/// The response to a request with wrong content.
pub(crate) fn wrong(error: &anyhow::Error) -> ErrorResponse {
    ErrorResponse::new(ProblemKind::WrongData, format!("{error:#}"))
}

/// The run with the id in a path; a text that is no id names none.
pub(crate) async fn run_named(host: &Host, id: &str) -> Reply<Option<StoredRun>> {
    match id.parse() {
        Ok(id) => host.home.run(id).await.map_err(|error| trouble(&error)),
        Err(_) => Ok(None),
    }
}

/// Does a change to its end, also if the client closes the connection meanwhile.
pub(crate) async fn whole<T: Send + 'static>(
    change: impl Future<Output = Reply<T>> + Send + 'static,
) -> Reply<T> {
    let done = tokio::spawn(change).await;
    done.map_err(|error| trouble(&error.into()))?
}
