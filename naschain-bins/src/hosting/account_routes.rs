//! `/v1/users`, `/v1/tokens`, `/v1/me`: users and what they may do.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::{Extension, Json};
use naschain_run::ProblemKind;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::home::now_s;
use crate::home::tokens::{Scope, TokenInfo};
use crate::home::users::{AddedUser, User, check_name};
use crate::hosting::caller::{Sender, check_same_origin, trouble, wrong};
use crate::hosting::host::Host;
use crate::hosting::openapi::Refusals;
use crate::hosting::settings::Registration;
use crate::server::app::Reply;
use crate::server::auth::RemoteAddress;
use crate::server::problem::ErrorResponse;
use crate::server::requests::Body;

/// Most characters of a token's label.
const MAX_LABEL: usize = 100;
/// Longest life of a token.
const MAX_DAYS: u32 = 3650;

/// Somebody who registers.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewUser {
    /// 1 to 64 characters of a-z 0-9 . _ -, beginning with a letter or digit.
    pub(crate) name: String,
    /// At least 10 characters.
    pub(crate) password: String,
    /// Where registration is by invitation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) invitation: Option<String>,
}

/// A token that is wanted.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewToken {
    /// The user.
    pub(crate) user: String,
    /// The user's password.
    pub(crate) password: String,
    /// What the token is for; at most 100 characters.
    #[serde(default)]
    pub(crate) label: String,
    /// What it allows; everything that the user may do, if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) scopes: Option<Vec<Scope>>,
    /// How many days it is valid, 1 to 3650; without end, if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 3650)]
    pub(crate) days: Option<u32>,
}

/// A new token, which is shown only now.
#[derive(Deserialize, Serialize, ToSchema)]
pub(crate) struct MadeToken {
    /// Sent as `Authorization: Bearer TOKEN`.
    pub(crate) token: String,
}

/// A user, and what of the quotas is used.
#[derive(Deserialize, Serialize, ToSchema)]
pub(crate) struct Account {
    /// The user's name.
    pub(crate) name: String,
    /// Whether the user may see and change everything.
    pub(crate) admin: bool,
    /// Runs that have not ended, and how many there may be.
    pub(crate) open_runs: u32,
    /// How many there may be.
    pub(crate) max_runs: u32,
    /// Bytes of the user's data sets.
    pub(crate) stored_bytes: u64,
    /// How many there may be.
    pub(crate) max_bytes: u64,
    /// Hours of miners' processors that the user's runs have used.
    pub(crate) used_hours: f64,
    /// How many there may be.
    pub(crate) max_hours: u32,
}

/// Registers a user.
#[utoipa::path(post, path = "/v1/users", tag = "account", request_body = NewUser,
    responses((status = 201), Refusals))]
pub(super) async fn register(
    State(host): State<Arc<Host>>,
    Extension(RemoteAddress(from)): Extension<RemoteAddress>,
    headers: HeaderMap,
    Body(new): Body<NewUser>,
) -> Reply<StatusCode> {
    check_same_origin(&headers)?;
    let refused = |detail: &str| ErrorResponse::new(ProblemKind::NotPermitted, detail);
    check_name(&new.name).map_err(|error| wrong(&error))?;
    host.sign_ins.check_registration(from)?;
    let invitation = match (host.settings.registration, new.invitation.as_deref()) {
        (Registration::Closed, _) => {
            let detail = "registration is closed: ask the administrator for an account";
            return Err(refused(detail));
        }
        (Registration::Invited, None) => {
            return Err(refused("registration is by invitation: give one"));
        }
        (Registration::Invited, some) => some,
        (Registration::Open, _) => None,
    };
    let user = User::new(new.name, false);
    let added = host
        .home
        .add_invited(&user, Some(new.password), invitation)
        .await;
    match added.map_err(|error| wrong(&error))? {
        AddedUser::Added => {}
        AddedUser::NotInvited => {
            let detail = "the invitation is unknown, was used before, or has expired";
            return Err(refused(detail));
        }
        AddedUser::NameTaken => {
            let detail = format!("there is a user {} already; choose another name", user.name);
            return Err(ErrorResponse::new(ProblemKind::Refused, detail));
        }
    }
    tracing::info!("{} registers", user.name);
    Ok(StatusCode::CREATED)
}

/// Makes a token.
#[utoipa::path(post, path = "/v1/tokens", tag = "account", request_body = NewToken,
    responses((status = 201, body = MadeToken), Refusals))]
pub(super) async fn make_token(
    State(host): State<Arc<Host>>,
    Extension(RemoteAddress(from)): Extension<RemoteAddress>,
    headers: HeaderMap,
    Body(new): Body<NewToken>,
) -> Reply<(StatusCode, Json<MadeToken>)> {
    check_same_origin(&headers)?;
    host.sign_ins.check_sign_in(&new.user, from)?;
    let wrong_data = |detail: String| ErrorResponse::new(ProblemKind::WrongData, detail);
    let length = new.label.chars().count();
    if length > MAX_LABEL {
        let detail = format!("label has {length} characters; it may have {MAX_LABEL}");
        return Err(wrong_data(detail));
    }
    let days = new.days.unwrap_or(1);
    if !(1..=MAX_DAYS).contains(&days) {
        let detail = format!("days is {days}; it must be 1 to {MAX_DAYS}");
        return Err(wrong_data(detail));
    }
    let is_right = host.home.is_password(&new.user, new.password).await;
    if !is_right.map_err(|error| trouble(&error))? {
        let detail = "there is no user with this name and this password";
        return Err(ErrorResponse::new(ProblemKind::NeedsSignIn, detail));
    }
    let scopes = new.scopes.unwrap_or_else(|| Scope::ALL.to_vec());
    let scopes: BTreeSet<Scope> = scopes.into_iter().collect();
    let expires_s = new.days.map(|days| now_s() + i64::from(days) * 86_400);
    let made = host
        .home
        .add_token(&new.user, &new.label, &scopes, expires_s)
        .await;
    let token = made.map_err(|error| trouble(&error))?;
    Ok((StatusCode::CREATED, Json(MadeToken { token })))
}

/// Lists the user's tokens, without their secrets.
#[utoipa::path(get, path = "/v1/tokens", tag = "account", security(("token" = []), ("session" = [])),
    responses((status = 200, body = Vec<TokenInfo>), Refusals))]
pub(super) async fn tokens(
    State(host): State<Arc<Host>>,
    sender: Sender,
) -> Reply<Json<Vec<TokenInfo>>> {
    let user = sender.needs(Scope::Account)?;
    let tokens = host.home.tokens(&user.name).await;
    tokens.map(Json).map_err(|error| trouble(&error))
}

/// Revokes a token of the user.
#[utoipa::path(delete, path = "/v1/tokens/{id}", tag = "account", params(("id" = String, Path)),
    security(("token" = []), ("session" = [])), responses((status = 204), Refusals))]
pub(super) async fn revoke(
    State(host): State<Arc<Host>>,
    sender: Sender,
    Path(id): Path<String>,
) -> Reply<StatusCode> {
    let user = sender.needs(Scope::Account)?;
    let revoked = host.home.revoke_token(&user.name, &id).await;
    if !revoked.map_err(|error| trouble(&error))? {
        let detail = format!("{} has no token {id}; GET /v1/tokens lists them", user.name);
        return Err(ErrorResponse::new(ProblemKind::NotFound, detail));
    }
    Ok(StatusCode::NO_CONTENT)
}

/// The user whose token this is.
#[utoipa::path(get, path = "/v1/me", tag = "account", security(("token" = []), ("session" = [])),
    responses((status = 200, body = Account), Refusals))]
pub(super) async fn me(State(host): State<Arc<Host>>, sender: Sender) -> Reply<Json<Account>> {
    let user = sender.needs(Scope::Read)?;
    Account::of(&host, user).await.map(Json)
}

impl Account {
    /// That of a user.
    pub(super) async fn of(host: &Host, user: &User) -> Reply<Account> {
        let home = &host.home;
        let open_runs = home.count_open_runs(&user.name).await;
        let stored_bytes = home.stored_bytes(&user.name).await;
        Ok(Account {
            name: user.name.clone(),
            admin: user.is_admin,
            open_runs: open_runs.map_err(|error| trouble(&error))?,
            max_runs: user.quota.max_runs,
            stored_bytes: stored_bytes.map_err(|error| trouble(&error))?,
            max_bytes: user.quota.max_bytes,
            used_hours: user.used_ms as f64 / 3_600_000.0,
            max_hours: user.quota.max_hours,
        })
    }
}
