//! The pages of a genomaster with many runs.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use tower_sessions::Session;

use crate::home::shares::SESSION_SHARES;
use crate::hosting::caller::{Sender, check_same_origin, trouble};
use crate::hosting::host::Host;
use crate::hosting::run_routes::readable;
use crate::hosting::settings::Registration;
use crate::server::app::Reply;
use crate::web::assets;
use crate::web::page::{
    AccountPage, CandidatePage, ChoicePage, ComparisonPage, DashboardPage, DataPage, DataSetPage,
    HomePage, NewRunPage, OperatorPage, Page, PageUser, RegisterPage, SharedPage, SignInPage,
    UploadPage, html, not_found, sign_in_first, wants_html,
};

/// Links that a session remembers, at most; the first is forgotten.
const MAX_OPENED_LINKS: usize = 5;

/// The pages.
pub(super) fn routes() -> Router<Arc<Host>> {
    Router::new()
        .route("/", get(home))
        .route("/sign-in", get(sign_in))
        .route("/register", get(register))
        .route("/account", get(account))
        .route("/data", get(data))
        .route("/data/new", get(upload))
        .route("/data/{digest}", get(data_set))
        .route("/runs/new", get(new_run))
        .route("/runs/{run}", get(dashboard))
        .route("/runs/{run}/", get(dashboard))
        .route("/runs/{run}/candidates/{job}", get(candidate))
        .route("/runs/{run}/choose", get(choice))
        .route("/compare", get(comparison))
        .route("/operator", get(operator))
        .route("/share/{secret}", get(shared).post(open_shared))
        .route("/assets/{digest}/{name}", get(assets::serve))
}

/// A page for this sender.
fn page(host: &Host, sender: &Sender, title: &str) -> Page {
    let user = sender.reader().map(|user| PageUser {
        name: user.name.clone(),
        is_admin: user.is_admin,
    });
    Page {
        user,
        has_accounts: true,
        is_by_invitation: host.settings.registration == Registration::Invited,
        is_signed: host.auth.hotkey().is_some(),
        is_registration_open: host.settings.registration != Registration::Closed,
        ..Page::new(title)
    }
}

/// The response to a browser that asks for a path that does not exist.
pub(super) fn missing(host: &Host, sender: &Sender) -> Response {
    not_found(page(host, sender, "Not found"), "There is no such page.")
}

/// A page for users: visitors who have not signed in do that first.
fn for_user(
    host: &Host,
    sender: &Sender,
    uri: &Uri,
    title: &str,
    make: impl FnOnce(Page) -> Response,
) -> Response {
    if sender.reader().is_none() {
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        return sign_in_first(path);
    }
    make(page(host, sender, title))
}

async fn home(State(host): State<Arc<Host>>, sender: Sender, headers: HeaderMap) -> Response {
    if !wants_html(&headers) {
        return text().into_response();
    }
    if sender.reader().is_none() && !host.settings.is_public {
        return sign_in_first("/");
    }
    html(&HomePage {
        page: page(&host, &sender, "Searches"),
    })
}

/// What programs are sent at `/`.
fn text() -> String {
    format!(
        "NASChain genomaster {}, with many runs of neural architecture search\n\n\
         Train for it:\n\
         \x20 miner --genomaster URL\n\
         Search with it: open this address in a browser, or\n\
         \x20 genomaster submit --genomaster URL --data PATH --name NAME\n\n\
         /v1/runs          the public runs\n\
         /v1/openapi.json  all routes of users\n\
         /healthz          whether this genomaster is there\n",
        env!("CARGO_PKG_VERSION")
    )
}

async fn sign_in(State(host): State<Arc<Host>>, sender: Sender) -> Response {
    html(&SignInPage {
        page: page(&host, &sender, "Sign in"),
    })
}

async fn register(State(host): State<Arc<Host>>, sender: Sender) -> Response {
    html(&RegisterPage {
        page: page(&host, &sender, "Register"),
    })
}

/// Declares the handler of a page for users who have signed in.
macro_rules! pages_of_users {
    ($($name:ident: $page:ident, $title:literal;)*) => {$(
        async fn $name(State(host): State<Arc<Host>>, sender: Sender, uri: Uri) -> Response {
            for_user(&host, &sender, &uri, $title, |page| html(&$page { page }))
        }
    )*};
}

pages_of_users! {
    account: AccountPage, "Account";
    data: DataPage, "Data sets";
    upload: UploadPage, "Upload pictures";
    data_set: DataSetPage, "Data set";
    new_run: NewRunPage, "New search";
}

async fn comparison(State(host): State<Arc<Host>>, sender: Sender) -> Response {
    html(&ComparisonPage {
        page: page(&host, &sender, "Comparison"),
    })
}

async fn operator(State(host): State<Arc<Host>>, sender: Sender, uri: Uri) -> Response {
    for_user(&host, &sender, &uri, "Operator", |page| {
        if page.user.as_ref().is_some_and(|user| user.is_admin) {
            html(&OperatorPage { page })
        } else {
            not_found(page, "This page is for administrators.")
        }
    })
}

/// The page of a run that the sender may read; other runs are as if they were not there.
async fn for_run(
    host: &Host,
    sender: &Sender,
    uri: &Uri,
    id: &str,
    make: impl FnOnce(Page) -> Response,
) -> Response {
    let run = match readable(host, sender, id).await {
        Ok(run) => run,
        // The visitor may be able to read it after signing in.
        Err(error) if error.status() == StatusCode::NOT_FOUND && sender.reader().is_none() => {
            return sign_in_first(uri.path());
        }
        Err(error) if error.status() == StatusCode::NOT_FOUND => {
            let detail = "There is no such search, or it is not yours to see.";
            return not_found(page(host, sender, "Not found"), detail);
        }
        Err(error) => return error.into_response(),
    };
    let mut of_run = page(host, sender, &run.name);
    let may_change = |user: &PageUser| user.is_admin || user.name == run.owner;
    of_run.is_own = of_run.user.as_ref().is_some_and(may_change);
    make(of_run.of_run(format!("/v1/runs/{}", run.id), format!("/runs/{}", run.id)))
}

async fn dashboard(
    State(host): State<Arc<Host>>,
    sender: Sender,
    uri: Uri,
    Path(id): Path<String>,
) -> Response {
    for_run(&host, &sender, &uri, &id, |page| {
        html(&DashboardPage { page })
    })
    .await
}

async fn candidate(
    State(host): State<Arc<Host>>,
    sender: Sender,
    uri: Uri,
    Path((id, _)): Path<(String, String)>,
) -> Response {
    for_run(&host, &sender, &uri, &id, |page| {
        html(&CandidatePage { page })
    })
    .await
}

async fn choice(
    State(host): State<Arc<Host>>,
    sender: Sender,
    uri: Uri,
    Path(id): Path<String>,
) -> Response {
    for_run(&host, &sender, &uri, &id, |page| html(&ChoicePage { page })).await
}

/// The page of a link to a run.
async fn shared(
    State(host): State<Arc<Host>>,
    sender: Sender,
    Path(secret): Path<String>,
) -> Reply<Response> {
    let share = host.home.share(&secret).await;
    let Some((_, run)) = share.map_err(|error| trouble(&error))? else {
        return Ok(revoked(&host, &sender));
    };
    let stored = host.home.run(run).await.map_err(|error| trouble(&error))?;
    let name = stored.map_or_else(String::new, |run| run.name);
    let page = page(&host, &sender, &name);
    let page = page.of_run(format!("/v1/runs/{run}"), format!("/runs/{run}"));
    Ok(html(&SharedPage { page }))
}

fn revoked(host: &Host, sender: &Sender) -> Response {
    let detail = "This link was revoked, or is incomplete: ask for another one.";
    not_found(page(host, sender, "Not found"), detail)
}

/// Opens a link: it is remembered in the session, which may be that of nobody. The page sends this, because
/// a browser that comes from another site does not show its session to the page itself.
async fn open_shared(
    State(host): State<Arc<Host>>,
    sender: Sender,
    Extension(session): Extension<Session>,
    headers: HeaderMap,
    Path(secret): Path<String>,
) -> Reply<Response> {
    check_same_origin(&headers)?;
    let share = host.home.share(&secret).await;
    let Some((hash, _)) = share.map_err(|error| trouble(&error))? else {
        return Ok(revoked(&host, &sender));
    };
    let failed = |error: tower_sessions::session::Error| trouble(&error.into());
    let opened: Option<Vec<String>> = session.get(SESSION_SHARES).await.map_err(failed)?;
    let mut opened = opened.unwrap_or_default();
    opened.retain(|known| *known != hash);
    opened.push(hash);
    let excess = opened.len().saturating_sub(MAX_OPENED_LINKS);
    opened.drain(..excess);
    session
        .insert(SESSION_SHARES, opened)
        .await
        .map_err(failed)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
