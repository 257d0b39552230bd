//! What a file is that is no picture of a format that is read: for messages only.

/// Formats by bytes at an offset of the file.
const SIGNATURES: [(usize, &[u8], &str); 16] = [
    (0, b"%PDF", "a PDF; export its pages as pictures"),
    (0, b"II*\0", "a TIFF; convert it to PNG"),
    (0, b"MM\0*", "a TIFF; convert it to PNG"),
    (
        4,
        b"ftypheic",
        "a HEIC, as telephones make it; convert it to JPEG",
    ),
    (
        4,
        b"ftypheix",
        "a HEIC, as telephones make it; convert it to JPEG",
    ),
    (4, b"ftypmif1", "a HEIF; convert it to JPEG"),
    (4, b"ftypavif", "an AVIF; convert it to PNG or JPEG"),
    (4, b"ftyp", "a video or an audio file"),
    (0, b"\0\0\0\x0cJXL ", "a JPEG XL; convert it to PNG or JPEG"),
    (0, b"\xff\x0a", "a JPEG XL; convert it to PNG or JPEG"),
    (
        0,
        b"\0\0\0\x0cjP  ",
        "a JPEG 2000; convert it to PNG or JPEG",
    ),
    (0, b"8BPS", "a Photoshop file; export it as PNG"),
    (0, b"\0\0\x01\0", "an icon (ICO); convert it to PNG"),
    (0, b"PK\x03\x04", "a ZIP archive; unpack it"),
    (0, b"\x1f\x8b", "compressed by gzip; unpack it"),
    (
        0,
        b"version https://git-lfs",
        "a pointer of Git LFS; fetch the files with `git lfs pull`",
    ),
];

/// Texts by their beginning, in lower case.
const TEXTS: [(&str, &str); 5] = [
    (
        "<!doctype html",
        "an HTML page, as a failed download leaves it",
    ),
    ("<html", "an HTML page, as a failed download leaves it"),
    ("<svg", "an SVG; export it as PNG"),
    ("<?xml", "XML, such as SVG; export it as PNG"),
    ("{", "JSON"),
];

/// How much of a file decides whether it is a text.
const TEXT_BYTES: usize = 512;

/// The end of a message that names what the file seems to be, beginning with `: `; empty if that is
/// unknown.
pub(super) fn looks_like(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return ": the file is empty".to_owned();
    }
    let has = |(at, magic, _): &&(usize, &[u8], &str)| {
        bytes.get(*at..).is_some_and(|rest| rest.starts_with(magic))
    };
    if let Some((_, _, name)) = SIGNATURES.iter().find(has) {
        return format!(": it looks like {name}");
    }
    if bytes.iter().all(|byte| *byte == 0) {
        return ": it contains only zeros, as an interrupted copy leaves it".to_owned();
    }
    let start = &bytes[..bytes.len().min(TEXT_BYTES)];
    let is_control = |byte: &u8| *byte < 0x20 && !b"\t\n\r\x0c\x1b".contains(byte);
    if start.iter().any(is_control) {
        return String::new();
    }
    let text = String::from_utf8_lossy(start).to_lowercase();
    let text = text.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
    let known = TEXTS.iter().find(|(begin, _)| text.starts_with(begin));
    let name = known.map_or("a text", |(_, name)| name);
    format!(": it looks like {name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_files_are_recognised() {
        for (bytes, expected) in [
            (&b""[..], ": the file is empty"),
            (b"%PDF-1.7", "a PDF"),
            (b"II*\0\x08\0", "a TIFF"),
            (b"\0\0\0\x18ftypheic\0\0", "a HEIC"),
            (b"\0\0\0\x20ftypisom\0\0", "a video"),
            (b"\n<!DOCTYPE html><html>", "an HTML page"),
            (b"\xef\xbb\xbf<html>", "an HTML page"),
            (b"version https://git-lfs.github.com/spec/v1", "Git LFS"),
            (b"words", ": it looks like a text"),
            (&[0; 100], "only zeros"),
        ] {
            let found = looks_like(bytes);
            assert!(found.contains(expected), "{bytes:02x?}: {found}");
        }
        assert_eq!(looks_like(&[1, 2, 3, 0x80]), "");
        // A PNG of which only the beginning is left.
        assert_eq!(looks_like(b"\x89P\x01"), "");
    }
}
