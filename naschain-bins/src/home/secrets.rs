//! Secrets that are stored as hashes.

/// The hash of a secret with 256 random bits, for which no slow hash is needed.
pub(super) fn hash(secret: &str) -> String {
    blake3::hash(secret.as_bytes()).to_hex().to_string()
}
