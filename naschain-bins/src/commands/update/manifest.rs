//! The manifest of a release, and its signature.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use naschain_identity::{Hotkey, is_signed_by, parse_signature, ss58};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The form of manifests that this program reads and writes.
const FORM: u32 = 1;
/// Maximum size of a manifest. One with three programs for ten machines has 5 KB.
pub(super) const MAX_MANIFEST_BYTES: usize = 64 << 10;
/// Maximum size of a signature's file.
pub(super) const MAX_SIGNATURE_BYTES: usize = 1 << 10;
/// Precedes the signed bytes, so that no other signature of the key is one of a release.
const SIGNED_FOR: &[u8] = b"naschain release 1\n";
/// Protocols that these programs speak, and their versions: the paths under /v1, and signatures.
pub(super) const PROTOCOLS: [(&str, u32); 2] = [("api", 1), ("btauth", 1)];

/// What a release is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct ReleaseManifest {
    /// The form of the manifest itself.
    pub(super) form: u32,
    /// The version of the programs, such as 0.1.0.
    pub(super) version: String,
    /// The version of the arithmetic: releases that share it compute the same digests.
    pub(super) arithmetic: u32,
    /// Versions of protocols by name.
    pub(super) protocols: BTreeMap<String, u32>,
    /// When it was signed, by RFC 3339.
    pub(super) signed: String,
    /// The programs.
    pub(super) files: Vec<ReleaseFile>,
}

/// One program of a release.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct ReleaseFile {
    /// genomaster, miner or validator.
    pub(super) program: String,
    /// Processor and operating system, such as x86_64-linux.
    pub(super) target: String,
    /// Size of the file.
    pub(super) bytes: u64,
    /// SHA-256 of the file, in hexadecimal digits, as `sha256sum` prints it.
    pub(super) sha256: String,
}

impl ReleaseManifest {
    /// A release of this program's version.
    pub(super) fn of_this_version(signed: String, files: Vec<ReleaseFile>) -> ReleaseManifest {
        ReleaseManifest {
            form: FORM,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            arithmetic: naschain_train::ARITHMETIC_VERSION,
            protocols: own_protocols(),
            signed,
            files,
        }
    }

    /// Reads a manifest that this key has signed. `name` is shown in errors.
    ///
    /// # Errors
    /// If the signature is missing or of another key, before anything of the manifest is believed.
    pub(super) fn verified(
        name: &str,
        bytes: &[u8],
        signature: &[u8],
        key: &str,
    ) -> Result<ReleaseManifest> {
        ss58::decode(key).context("--release-key")?;
        let text = std::str::from_utf8(signature).unwrap_or_default();
        let signature = parse_signature(text.trim()).with_context(|| {
            format!("{name}.sig is no signature: it must be 0x and 128 hexadecimal digits")
        })?;
        ensure!(
            is_signed_by(key, &signed_bytes(bytes), &signature),
            "{name} is not signed by {key}: it was changed, or {name}.sig is of another key or of another release"
        );
        let manifest: ReleaseManifest = serde_json::from_slice(bytes)
            .with_context(|| format!("{name} is signed, but is no manifest of a release"))?;
        ensure!(
            manifest.form == FORM,
            "{name} has form {}; this program reads form {FORM}: get a newer program by other means",
            manifest.form
        );
        numbers(&manifest.version).with_context(|| name.to_owned())?;
        Ok(manifest)
    }

    /// The text of the manifest, and that of its signature.
    pub(super) fn signed_by(&self, key: &Hotkey) -> Result<(String, String)> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        let signature = key.sign(&signed_bytes(text.as_bytes()));
        Ok((text, format!("0x{}\n", hexadecimal(&signature))))
    }

    /// A program of the release for a machine.
    pub(super) fn file(&self, program: &str, target: &str) -> Option<&ReleaseFile> {
        let is_it = |file: &&ReleaseFile| file.program == program && file.target == target;
        self.files.iter().find(is_it)
    }
}

fn signed_bytes(manifest: &[u8]) -> Vec<u8> {
    [SIGNED_FOR, manifest].concat()
}

/// The protocols of this program.
pub(super) fn own_protocols() -> BTreeMap<String, u32> {
    PROTOCOLS
        .map(|(name, version)| (name.to_owned(), version))
        .into()
}

/// The three numbers of a version, which are compared in order.
pub(super) fn numbers(version: &str) -> Result<[u64; 3]> {
    let numbers: Result<Vec<u64>, _> = version.split('.').map(str::parse).collect();
    match numbers.as_deref() {
        Ok([major, minor, patch]) => Ok([*major, *minor, *patch]),
        _ => bail!("version {version:?} must be three numbers, such as 0.1.0"),
    }
}

/// The SHA-256 of bytes, as `sha256sum` prints it.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
