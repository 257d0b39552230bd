//! What is wrong with a hotkey or its file.

use std::path::PathBuf;

use crate::ss58::AddressError;

/// Why a hotkey cannot be read, created or written.
///
/// No message contains anything from a hotkey file except its public address.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HotkeyError {
    /// The operating system refused a file operation.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was attempted, for example `read hotkey`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The file was read, but its content is not a usable hotkey.
    #[error("hotkey file {} cannot be used: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with its content.
        source: Box<HotkeyError>,
    },
    /// The operating system provides no random numbers for a new key.
    #[error("the operating system provides no random numbers: {reason}")]
    Randomness {
        /// The cause.
        reason: String,
    },
    /// The content is not UTF-8.
    #[error("it is not a hotkey file: it is not UTF-8 text")]
    NotText,
    /// The content is too long.
    #[error("it is not a hotkey file: it has more than {limit} bytes")]
    TooLarge {
        /// The maximum size in bytes.
        limit: u64,
    },
    /// The content is encrypted.
    #[error(
        "it is encrypted ({format}); a program that signs without asking needs an unencrypted hotkey"
    )]
    Encrypted {
        /// The format of the encryption.
        format: &'static str,
    },
    /// The content is not one JSON object.
    #[error("it is not a JSON object (line {line}, column {column})")]
    NotJson {
        /// The line, counted from 1.
        line: usize,
        /// The column.
        column: usize,
    },
    /// The key is not an sr25519 key.
    #[error("its cryptoType is not 1; only sr25519 keys are supported")]
    CryptoType,
    /// A field is not a string.
    #[error("its {field} is not a string")]
    NotAString {
        /// The field.
        field: String,
    },
    /// A field has the wrong length or is not hexadecimal.
    #[error(
        "its {field} has {found} characters after 0x; it must have {expected} hexadecimal digits"
    )]
    Hexadecimal {
        /// The field.
        field: String,
        /// Its number of characters after `0x`.
        found: usize,
        /// The required number of hexadecimal digits.
        expected: usize,
    },
    /// `privateKey` is not a secret key.
    #[error("its privateKey is not an sr25519 secret key")]
    NotASecretKey,
    /// There is no secret in the file.
    #[error("it has neither a privateKey nor a secretSeed")]
    NoSecret,
    /// `ss58Address` is not an address.
    #[error("its ss58Address is wrong: {0}")]
    Address(#[from] AddressError),
    /// A public field belongs to another key.
    #[error("its {field} is {found}, but its secret key belongs to {expected}")]
    OtherKey {
        /// The field.
        field: String,
        /// The address in the field.
        found: String,
        /// The address of the secret key.
        expected: String,
    },
}
