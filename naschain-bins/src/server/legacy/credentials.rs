//! HTTP Basic credentials of the reference network's miners: a token for each uid.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use crate::line_file;

const MIN_CHARACTERS: usize = 8;
const MAX_CHARACTERS: usize = 256;

/// Hashes of the tokens; the tokens themselves are not kept.
#[derive(Clone, Default)]
pub struct LegacyCredentials(BTreeMap<u32, blake3::Hash>);

impl fmt::Debug for LegacyCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LegacyCredentials({} users)", self.0.len())
    }
}

impl LegacyCredentials {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<LegacyCredentials> {
        line_file::read_file(path, "credentials", LegacyCredentials::parse)
    }

    /// Parses lines of `UID:TOKEN`. Empty lines and lines that begin with `#` are ignored.
    pub fn parse(text: &str) -> Result<LegacyCredentials> {
        let mut hashes = BTreeMap::new();
        for (number, line) in line_file::entries(text) {
            // Errors do not quote the line, because it may be a token.
            let Some((uid, token)) = line.split_once(':') else {
                bail!("line {number} is not UID:TOKEN");
            };
            let uid: u32 = uid.parse().with_context(|| {
                format!("line {number} must begin with a uid, which is a whole number")
            })?;
            let length = token.chars().count();
            ensure!(
                (MIN_CHARACTERS..=MAX_CHARACTERS).contains(&length),
                "line {number}: the token has {length} characters; it must have {MIN_CHARACTERS} to {MAX_CHARACTERS}"
            );
            let before = hashes.insert(uid, blake3::hash(token.as_bytes()));
            ensure!(before.is_none(), "line {number}: uid {uid} appears twice");
        }
        Ok(LegacyCredentials(hashes))
    }

    /// The largest uid that has a token.
    pub fn largest_uid(&self) -> Option<u32> {
        self.0.keys().next_back().copied()
    }

    /// Whether an `Authorization` header has the token of this uid.
    pub fn allow(&self, uid: u32, header: &[u8]) -> bool {
        let Some((user, token)) = basic(header) else {
            return false;
        };
        // blake3 compares hashes in constant time, so the duration reveals nothing about the token.
        user == uid.to_string()
            && self
                .0
                .get(&uid)
                .is_some_and(|hash| *hash == blake3::hash(token.as_bytes()))
    }
}

/// User and password of a Basic header (RFC 7617).
fn basic(header: &[u8]) -> Option<(String, String)> {
    use base64::Engine;
    let text = std::str::from_utf8(header).ok()?;
    let (scheme, encoded) = text.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = base64::engine::general_purpose::STANDARD.decode(encoded.trim());
    let pair = String::from_utf8(decoded.ok()?).ok()?;
    let (user, password) = pair.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_token_is_for_its_uid() {
        let credentials =
            LegacyCredentials::parse("# ours\n7:to:ken-of-7\n8:token-of-8\n").unwrap();
        // "7:to:ken-of-7"
        let seven = b"Basic Nzp0bzprZW4tb2YtNw==";
        assert!(credentials.allow(7, seven));
        assert!(!credentials.allow(8, seven));
        for wrong in [
            &b"Basic"[..],
            b"",
            b"Bearer Nzp0bzprZW4tb2YtNw==",
            b"Basic !!!",
            b"Basic Nzo=",
        ] {
            assert!(!credentials.allow(7, wrong));
        }
        assert!(!format!("{credentials:?}").contains("ken"));
    }

    #[test]
    fn errors_name_the_line_and_no_token() {
        let error = |text: &str| format!("{:#}", LegacyCredentials::parse(text).unwrap_err());
        assert!(error("7:long-enough\nsecret-token").contains("line 2 is not UID:TOKEN"));
        assert!(error("x:secret-token").contains("line 1"));
        assert!(error("7:short").contains("5 characters"));
        assert!(error("7:secret-token\n7:secret-token").contains("appears twice"));
        for text in [
            "secret-token",
            "x:secret-token",
            "7:secret-token\n7:secret-token",
        ] {
            assert!(!error(text).contains("secret-token"));
        }
    }

    proptest! {
        #[test]
        fn arbitrary_headers_are_rejected_without_panic(header: Vec<u8>, text in "(Basic )?[A-Za-z0-9+/=]{0,40}") {
            let credentials = LegacyCredentials::parse("7:long-enough").unwrap();
            prop_assert!(!credentials.allow(7, &header));
            prop_assert!(!credentials.allow(7, text.as_bytes()) || text == "Basic Nzpsb25nLWVub3VnaA==");
        }
    }
}
