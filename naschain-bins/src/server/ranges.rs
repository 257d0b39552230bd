//! Files that are sent in parts, as clients ask for them.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

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
pub(crate) struct FileRange {
    pub(crate) bytes: Vec<u8>,
    pub(crate) start: u64,
    /// The size of the whole file.
    pub(crate) size: u64,
}

/// The digest in a path.
pub(crate) fn digest_in_path(digest: &str) -> Reply<Digest> {
    let digest = digest.parse();
    digest.map_err(|error| ErrorResponse::new(ProblemKind::BadPath, format!("{error}")))
}

/// The response of a part, with its place in `Content-Range`.
pub(crate) fn respond(range: FileRange, share: Share) -> Response {
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
pub(crate) fn range_start(headers: &HeaderMap) -> Reply<u64> {
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

/// A part of a file from byte `start` on.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] if the file ends before `start`.
pub(crate) fn read_range(path: &Path, start: u64) -> std::io::Result<FileRange> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    if start >= size {
        let text = format!("the range begins at {start}; the file has {size} bytes");
        return Err(std::io::Error::new(ErrorKind::InvalidInput, text));
    }
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(MAX_RANGE_BYTES).read_to_end(&mut bytes)?;
    Ok(FileRange { bytes, start, size })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_folder::test_folder;

    #[test]
    fn a_file_is_read_in_ranges() {
        let dir = test_folder("ranges");
        let path = dir.join("file");
        let content: Vec<u8> = (0..MAX_RANGE_BYTES + 10).map(|i| i as u8).collect();
        std::fs::write(&path, &content).unwrap();
        let first = read_range(&path, 0).unwrap();
        let rest = read_range(&path, first.bytes.len() as u64).unwrap();
        assert_eq!([first.bytes, rest.bytes].concat(), content);
        assert_eq!(
            (rest.start, rest.size),
            (MAX_RANGE_BYTES, content.len() as u64)
        );
        assert!(read_range(&path, content.len() as u64).is_err());
        std::fs::remove_dir_all(dir).unwrap();
    }

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
