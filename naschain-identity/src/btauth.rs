//! Signed requests by the rules of btauth/1, the scheme of version 11 of the bittensor package.
//!
//! Signed are eight lines: `btauth/1`, the signature scheme, the method in capitals, path and
//! query as sent, the SHA-256 of the body, the nonce, the sender's address, and the receiver's or
//! `-`. The nonce is the time in nanoseconds since 1970.

use http::HeaderMap;
use schnorrkel::{PublicKey, Signature};
use sha2::{Digest, Sha256};

use crate::hotkey::{Hotkey, SIGNING_CONTEXT};
use crate::ss58;

/// A request is refused when it was signed longer ago than this, in nanoseconds.
pub const MAX_AGE_NS: u64 = 10_000_000_000;
/// A request is refused when its sender's clock is further ahead than this, in nanoseconds.
pub const MAX_AHEAD_NS: u64 = 2_000_000_000;

const SCHEME: &str = "sr25519";
/// The signature schemes that btauth/1 names. Bittensor's hotkeys are of the first one.
const SCHEMES: [&str; 4] = [SCHEME, "ed25519", "hashed", "mldsa"];
const VERSION: &str = "X-Bittensor-Version";
const HOTKEY: &str = "X-Bittensor-Hotkey";
const RECEIVER: &str = "X-Bittensor-Receiver";
const NONCE: &str = "X-Bittensor-Nonce";
const CRYPTO: &str = "X-Bittensor-Crypto";
const SIGNATURE: &str = "X-Bittensor-Signature";

/// Why a request is rejected. No message contains a signature.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// A header is missing or cannot be read.
    #[error("header {header} {problem}")]
    Malformed {
        /// The header.
        header: &'static str,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// It was signed for another receiver, or for none.
    #[error("the request was signed for {found}; this genomaster is {expected}")]
    WrongReceiver {
        /// The receiver that was signed.
        found: String,
        /// The actual receiver.
        expected: String,
    },
    /// It was signed too long ago or by a clock too far ahead.
    #[error("the request was signed {problem}; check the clock and sign it again")]
    Stale {
        /// How long ago, or how far in the future.
        problem: String,
    },
    /// The signature is invalid for this sender and request.
    #[error("the signature is not a valid one of {hotkey} for this request")]
    BadSignature {
        /// The sender named.
        hotkey: String,
    },
    /// The nonce was used before.
    #[error("{hotkey} used nonce {nonce} before; sign each request with a new nonce")]
    Replayed {
        /// The sender.
        hotkey: String,
        /// The nonce.
        nonce: u64,
    },
}

/// The signed parts of a request.
#[derive(Clone, Copy, Debug)]
pub struct SignedParts<'a> {
    /// The method, in capitals.
    pub method: &'a str,
    /// Path and query, as sent.
    pub path: &'a str,
    /// The body's bytes.
    pub body: &'a [u8],
}

/// The contents of the headers of a signed request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth {
    /// The sender's address.
    pub hotkey: String,
    /// The receiver's address.
    pub receiver: Option<String>,
    /// Nanoseconds since 1970.
    pub nonce: u64,
    /// sr25519, in the signing context `substrate`.
    pub signature: [u8; 64],
}

impl Auth {
    /// Signs a request for `receiver`. `nonce` is the time in nanoseconds since 1970.
    pub fn sign(hotkey: &Hotkey, message: SignedParts, receiver: Option<&str>, nonce: u64) -> Auth {
        let mut auth = Auth {
            hotkey: hotkey.address().to_owned(),
            receiver: receiver.map(str::to_owned),
            nonce,
            signature: [0; 64],
        };
        auth.signature = hotkey.sign(auth.payload(message).as_bytes());
        auth
    }

    /// The headers to send.
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = vec![
            (VERSION, "1".to_owned()),
            (HOTKEY, self.hotkey.clone()),
            (NONCE, self.nonce.to_string()),
            (SIGNATURE, format!("0x{}", hex::encode(self.signature))),
        ];
        if let Some(receiver) = &self.receiver {
            headers.push((RECEIVER, receiver.clone()));
        }
        headers
    }

    /// Parses the headers of a request. Checks only their syntax.
    ///
    /// # Errors
    /// [`AuthError::Malformed`] names the header.
    pub fn from_headers(headers: &HeaderMap) -> Result<Auth, AuthError> {
        if required(headers, VERSION)? != "1" {
            return Err(malformed(VERSION, "must be 1"));
        }
        let hotkey = address(HOTKEY, required(headers, HOTKEY)?)?;
        let receiver = optional(headers, RECEIVER)?;
        let receiver = receiver.map(|text| address(RECEIVER, text)).transpose()?;
        let nonce = nonce(required(headers, NONCE)?)?;
        if let Some(scheme) = optional(headers, CRYPTO)?.filter(|scheme| *scheme != SCHEME) {
            return Err(malformed(CRYPTO, unsupported_scheme(scheme)));
        }
        let signature = parse_signature(required(headers, SIGNATURE)?)
            .ok_or_else(|| malformed(SIGNATURE, "must be 0x and 128 hexadecimal digits"))?;
        Ok(Auth {
            hotkey,
            receiver,
            nonce,
            signature,
        })
    }

    /// The eight lines to sign.
    pub fn payload(&self, message: SignedParts) -> String {
        let receiver = self.receiver.as_deref().unwrap_or("-");
        [
            "btauth/1",
            SCHEME,
            message.method,
            message.path,
            &hex::encode(Sha256::digest(message.body)),
            &self.nonce.to_string(),
            &self.hotkey,
            receiver,
        ]
        .join("\n")
    }

    /// Checks that `own` is the receiver, that the request is fresh at `now_ns`, and that the
    /// signature is valid, in this order. Replays are detected by [`crate::Nonces`].
    ///
    /// # Errors
    /// [`AuthError`] describes the first check that fails.
    pub fn check(&self, message: SignedParts, own: &str, now_ns: u64) -> Result<(), AuthError> {
        if self.receiver.as_deref() != Some(own) {
            return Err(AuthError::WrongReceiver {
                found: self.receiver.clone().unwrap_or("nobody".to_owned()),
                expected: own.to_owned(),
            });
        }
        check_age(self.nonce, now_ns)?;
        self.check_signature(message)
    }

    /// Verifies the signature.
    ///
    /// # Errors
    /// [`AuthError::BadSignature`], also if the sender's address is invalid.
    pub fn check_signature(&self, message: SignedParts) -> Result<(), AuthError> {
        let bad = || AuthError::BadSignature {
            hotkey: self.hotkey.clone(),
        };
        if is_signed_by(
            &self.hotkey,
            self.payload(message).as_bytes(),
            &self.signature,
        ) {
            return Ok(());
        }
        Err(bad())
    }
}

/// Checks that a request with this nonce is fresh at `now_ns`.
///
/// # Errors
/// [`AuthError::Stale`].
pub fn check_age(nonce: u64, now_ns: u64) -> Result<(), AuthError> {
    let stale = |amount: u64, direction: &str| AuthError::Stale {
        problem: format!("{:.1} s {direction}", amount as f64 / 1e9),
    };
    let (age, ahead) = (now_ns.saturating_sub(nonce), nonce.saturating_sub(now_ns));
    if age > MAX_AGE_NS {
        return Err(stale(age, "ago; the maximum is 10 s"));
    }
    if ahead > MAX_AHEAD_NS {
        return Err(stale(ahead, "in the future; the maximum is 2 s"));
    }
    Ok(())
}

/// Whether `signature` is a valid signature of `message` by this address.
pub fn is_signed_by(address: &str, message: &[u8], signature: &[u8; 64]) -> bool {
    let Ok(key) = ss58::decode(address) else {
        return false;
    };
    let (Ok(key), Ok(signature)) = (
        PublicKey::from_bytes(&key),
        Signature::from_bytes(signature),
    ) else {
        return false;
    };
    key.verify_simple(SIGNING_CONTEXT, message, &signature)
        .is_ok()
}

/// Parses a signature: `0x` and 128 hexadecimal digits.
pub fn parse_signature(text: &str) -> Option<[u8; 64]> {
    let mut bytes = [0; 64];
    hex::decode_to_slice(text.strip_prefix("0x")?, &mut bytes).ok()?;
    Some(bytes)
}

fn malformed(header: &'static str, problem: impl Into<String>) -> AuthError {
    let problem = problem.into();
    AuthError::Malformed { header, problem }
}

fn optional<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<Option<&'a str>, AuthError> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let repeats = values.count();
    if repeats > 0 {
        let times = repeats + 1;
        let problem = format!("appears {times} times; it must appear once");
        return Err(malformed(name, problem));
    }
    let text = value.to_str();
    text.map(Some)
        .map_err(|_| malformed(name, "is not plain text"))
}

fn required<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<&'a str, AuthError> {
    optional(headers, name)?
        .ok_or_else(|| malformed(name, "is missing; requests must be signed (btauth/1)"))
}

fn unsupported_scheme(scheme: &str) -> String {
    let all = SCHEMES.join(", ");
    if SCHEMES.contains(&scheme) {
        return format!(
            "is {scheme}; of the schemes of btauth/1 ({all}) only sr25519 is supported, so it must be sr25519, or missing"
        );
    }
    let start: String = scheme.chars().take(32).collect();
    format!(
        "is {start:?}, which is none of the schemes of btauth/1 ({all}); it must be sr25519, or missing"
    )
}

fn address(header: &'static str, text: &str) -> Result<String, AuthError> {
    match ss58::decode(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(malformed(
            header,
            format!("must be a hotkey's address: {error}"),
        )),
    }
}

/// Accepts canonical decimal only: two spellings of one number could count as two nonces.
fn nonce(text: &str) -> Result<u64, AuthError> {
    let number = text.parse::<u64>().ok();
    number
        .filter(|number| number.to_string() == text)
        .ok_or_else(|| malformed(NONCE, "must be nanoseconds since 1970 in plain decimal"))
}

#[cfg(test)]
mod tests;
