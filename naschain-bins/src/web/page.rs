//! What is the same on all pages, and making their HTML.

use askama::Template;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};

use crate::web::assets;

/// The user whose page it is.
pub(crate) struct PageUser {
    pub(crate) name: String,
    pub(crate) is_admin: bool,
}

/// What the templates need.
pub(crate) struct Page {
    /// Where the scripts are.
    pub(crate) assets: String,
    /// Prefix of the JSON routes of the page's run.
    pub(crate) api: Option<String>,
    /// Prefix of the pages of that run.
    pub(crate) base: String,
    pub(crate) title: String,
    pub(crate) user: Option<PageUser>,
    /// Whether the genomaster has users.
    pub(crate) has_accounts: bool,
    pub(crate) is_registration_open: bool,
    /// Whether only those who have an invitation may register.
    pub(crate) is_by_invitation: bool,
    /// Whether the user may change the page's run.
    pub(crate) is_own: bool,
    /// Whether requests of miners have to be signed.
    pub(crate) is_signed: bool,
}

impl Page {
    /// A page at a genomaster without users.
    pub(crate) fn new(title: impl Into<String>) -> Page {
        Page {
            assets: assets::prefix(),
            api: None,
            base: String::new(),
            title: title.into(),
            user: None,
            has_accounts: false,
            is_registration_open: false,
            is_by_invitation: false,
            is_own: false,
            is_signed: false,
        }
    }

    /// The same page of a run whose routes and pages have these prefixes.
    pub(crate) fn of_run(self, api: impl Into<String>, base: impl Into<String>) -> Page {
        Page {
            api: Some(api.into()),
            base: base.into(),
            ..self
        }
    }
}

/// Declares the template of a page that shows nothing but what all pages have.
macro_rules! pages {
    ($($name:ident: $path:literal,)*) => {$(
        #[derive(Template)]
        #[template(path = $path)]
        pub(crate) struct $name {
            pub(crate) page: Page,
        }
    )*};
}

pages! {
    HomePage: "home.html",
    SignInPage: "sign_in.html",
    RegisterPage: "register.html",
    AccountPage: "account.html",
    DataPage: "data.html",
    UploadPage: "upload.html",
    DataSetPage: "data_set.html",
    NewRunPage: "new_run.html",
    OperatorPage: "operator.html",
    SharedPage: "shared.html",
    ComparisonPage: "compare.html",
    DashboardPage: "dashboard.html",
    CandidatePage: "candidate.html",
    ChoicePage: "choose.html",
}

/// The page that says what is missing.
#[derive(Template)]
#[template(path = "not_found.html")]
pub(crate) struct NotFoundPage {
    pub(crate) page: Page,
    pub(crate) detail: String,
}

/// The page of a run in one file.
#[derive(Template)]
#[template(path = "report.html")]
pub(crate) struct ReportPage {
    pub(crate) page: Page,
    pub(crate) style: String,
    pub(crate) import_map: String,
    pub(crate) library: &'static str,
    pub(crate) record: String,
    pub(crate) details: String,
}

/// A page as a response. It is never stored: it may be a user's.
pub(crate) fn html(page: &impl Template) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    match page.render() {
        Ok(text) => (headers, text).into_response(),
        Err(error) => {
            tracing::error!("a page cannot be made: {error}");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// The response for a page that is not there, or not for this visitor.
pub(crate) fn not_found(page: Page, detail: impl Into<String>) -> Response {
    let detail = detail.into();
    (StatusCode::NOT_FOUND, html(&NotFoundPage { page, detail })).into_response()
}

/// Sends a visitor to the page for signing in, and back afterwards.
pub(crate) fn sign_in_first(path: &str) -> Response {
    // The characters of a path need no escapes in a query, except these.
    let escaped = path
        .replace('%', "%25")
        .replace('&', "%26")
        .replace('#', "%23");
    Redirect::to(&format!("/sign-in?next={}", escaped.replace('+', "%2B"))).into_response()
}

/// Whether the client is a browser that wants a page.
pub(crate) fn wants_html(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT);
    let accepted = accepted.and_then(|text| text.to_str().ok());
    accepted.is_some_and(|text| text.contains("text/html"))
}
