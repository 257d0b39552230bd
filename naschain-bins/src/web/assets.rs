//! The scripts and styles of the pages, which are compiled into the program.
//!
//! Their address has a digest of all of them, so browsers may keep them for ever. A development build
//! reads them from the source folder each time.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use axum::body::Bytes;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use rust_embed::RustEmbed;

use crate::web::compression::{accepts_gzip, compressed};

/// The name of the charting library among the assets.
const LIBRARY: &str = "plotly.js";
/// The sheet of styles that all pages have: all sheets, one after the other.
const STYLE: &str = "style.css";
/// Hexadecimal digits of the digest in addresses.
const DIGITS: usize = 16;

#[derive(RustEmbed)]
#[folder = "assets/"]
struct Embedded;

/// A file as it is sent.
struct Asset {
    plain: Bytes,
    compressed: Bytes,
}

/// Where the assets are: `/assets/DIGEST`.
pub(crate) fn prefix() -> String {
    static DIGEST: OnceLock<String> = OnceLock::new();
    let digest = DIGEST.get_or_init(|| {
        let mut hasher = blake3::Hasher::new();
        for name in names() {
            hasher.update(name.as_bytes());
            hasher.update(&source(&name).unwrap_or_default());
        }
        hasher.finalize().to_hex()[..DIGITS].to_owned()
    });
    format!("/assets/{digest}")
}

/// The names of the files in the source folder, in order.
fn names() -> Vec<String> {
    let mut names: Vec<String> = Embedded::iter().map(|name| name.into_owned()).collect();
    names.sort();
    names
}

fn source(name: &str) -> Option<Vec<u8>> {
    Embedded::get(name).map(|file| file.data.into_owned())
}

/// The content of an asset by its name in addresses.
pub(crate) fn content(name: &str) -> Option<Vec<u8>> {
    match name {
        LIBRARY => Some(library().as_bytes().to_vec()),
        STYLE => {
            let sheets = names().into_iter().filter(|name| name.ends_with(".css"));
            // The variables and what all pages have come first.
            let (first, others): (Vec<_>, Vec<_>) = sheets.partition(|name| name == STYLE);
            let all = first.into_iter().chain(others);
            Some(all.filter_map(|name| source(&name)).flatten().collect())
        }
        name => source(name),
    }
}

/// The scripts by name.
pub(crate) fn scripts() -> BTreeMap<String, String> {
    let scripts = names().into_iter().filter(|name| name.ends_with(".js"));
    let text = |name: String| {
        let bytes = source(&name).unwrap_or_default();
        (name, String::from_utf8_lossy(&bytes).into_owned())
    };
    scripts.map(text).collect()
}

/// plotly.js, which the crate plotly embeds.
pub(crate) fn library() -> &'static str {
    static SCRIPT: OnceLock<String> = OnceLock::new();
    SCRIPT.get_or_init(|| {
        let sources = plotly::Plot::offline_js_sources();
        // The first element of script; what follows are formulas, which the charts do not have.
        let script = sources.split_once("</script>").map(|(script, _)| script);
        let script = script.and_then(|script| script.split_once('>'));
        script.map_or_else(String::new, |(_, script)| script.to_owned())
    })
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

/// Compresses each asset once.
fn kept(name: &str) -> Option<&'static Asset> {
    static KEPT: OnceLock<BTreeMap<String, OnceLock<Asset>>> = OnceLock::new();
    let kept = KEPT.get_or_init(|| {
        let all = names().into_iter().chain([LIBRARY.to_owned()]);
        all.map(|name| (name, OnceLock::new())).collect()
    });
    let asset = kept.get(name)?.get_or_init(|| {
        let plain = content(name).unwrap_or_default();
        Asset {
            compressed: compressed(&plain, Compression::default()).into(),
            plain: plain.into(),
        }
    });
    Some(asset)
}

/// `GET /assets/{digest}/{name}`. Another digest is that of another version, whose page is still open.
pub(crate) async fn serve(
    Path((digest, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let sent = tokio::task::spawn_blocking(move || {
        let is_current = prefix() == format!("/assets/{digest}") && !cfg!(debug_assertions);
        let caching = ["no-cache", "public, max-age=31536000, immutable"][usize::from(is_current)];
        let media_type = (header::CONTENT_TYPE, media_type(&name));
        let caching = (header::CACHE_CONTROL, caching);
        if cfg!(debug_assertions) && name != LIBRARY {
            let found = content(&name)?;
            return Some(([media_type, caching], found).into_response());
        }
        let asset = kept(&name)?;
        let vary = (header::VARY, "accept-encoding");
        if !accepts_gzip(&headers) {
            return Some(([media_type, caching, vary], asset.plain.clone()).into_response());
        }
        let encoding = (header::CONTENT_ENCODING, "gzip");
        let headers = [media_type, caching, encoding, vary];
        Some((headers, asset.compressed.clone()).into_response())
    });
    let missing = || (StatusCode::NOT_FOUND, "there is no such file\n").into_response();
    sent.await.ok().flatten().unwrap_or_else(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_is_one_script_without_formulas() {
        let script = library();
        assert!(script.contains("plotly.js v") && script.contains("parcoords"));
        assert!(!script.contains("</script"));
    }

    #[test]
    fn styles_are_one_sheet_that_begins_with_the_variables() {
        let style = String::from_utf8(content(STYLE).unwrap()).unwrap();
        assert!(style.starts_with(":root {"));
        for name in names().iter().filter(|name| name.ends_with(".css")) {
            let part = String::from_utf8(source(name).unwrap()).unwrap();
            assert!(style.contains(&part), "{name}");
        }
    }

    /// What any page needs before charts are drawn, as it is sent: less than 150 KB.
    #[test]
    fn the_first_page_is_small() {
        let sent = |name: &str| kept(name).unwrap().compressed.len();
        // Of all pages together.
        let scripts: usize = scripts().keys().map(|name| sent(name)).sum();
        let style = sent(STYLE);
        assert!(scripts + style < 150_000, "{scripts} + {style}");
    }
}
