//! Files that are sent in parts, as clients ask for them.

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use naschain_core::Digest;
use naschain_run::ProblemKind;

use crate::server::app::Reply;
use crate::server::budget::Share;
use crate::server::problem::ErrorResponse;

/// Maximum size of one response; a client asks for the rest with `Range`.
pub(crate) const MAX_RANGE_BYTES: u64 = 1 << 20;

/// A part of a file.
pub(super) struct FileRange {
    pub(super) bytes: Vec<u8>,
    pub(super) start: u64,
    /// The size of the whole file.
    pub(super) size: u64,
}

/// The digest in a path.
pub(super) fn digest_in_path(digest: &str) -> Reply<Digest> {
    let digest = digest.parse();
    digest.map_err(|error| ErrorResponse::new(ProblemKind::BadPath, format!("{error}")))
}

/// The response of a part, with its place in `Content-Range`.
pub(super) fn respond(range: FileRange, share: Share) -> Response {
    let FileRange { bytes, start, size } = range;
    let end = start + bytes.len() as u64;
    let content_range = format!("bytes {start}-{}/{size}", end - 1);
    let is_whole = start == 0 && end == size;
    let status = if is_whole {
        StatusCode::OK
    } else {
        StatusCode::PARTIAL_CONTENT
    };
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::ACCEPT_RANGES, "bytes".to_owned()),
        (header::CONTENT_RANGE, content_range),
    ];
    (status, headers, Body::from(share.hold(bytes))).into_response()
}

/// The start of `Range: bytes=N-`, 0 without the header. An end is allowed and not used: the response
/// ends after [`MAX_RANGE_BYTES`] in any case.
pub(super) fn range_start(headers: &HeaderMap) -> Reply<u64> {
    let Some(range) = headers.get(header::RANGE) else {
        return Ok(0);
    };
    let start = range.to_str().ok().and_then(|text| {
        let (start, _) = text.strip_prefix("bytes=")?.split_once('-')?;
        start.parse().ok()
    });
    start.ok_or_else(|| {
        let detail = format!("the range is {range:?}; it must be bytes=N-, such as bytes=1048576-");
        ErrorResponse::new(ProblemKind::BadQuery, detail)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_have_one_form() {
        let start = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RANGE, text.parse().unwrap());
            range_start(&headers).ok()
        };
        assert_eq!(start("bytes=7-"), Some(7));
        assert_eq!(start("bytes=7-9"), Some(7));
        assert_eq!(range_start(&HeaderMap::new()).ok(), Some(0));
        for wrong in ["bytes=-7", "7-", "bytes=a-", "lines=1-", "bytes"] {
            assert_eq!(start(wrong), None, "{wrong}");
        }
    }
}
