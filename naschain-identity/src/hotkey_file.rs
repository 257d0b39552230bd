//! The files in which Bittensor's wallets store hotkeys.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use schnorrkel::SecretKey;
use serde_json::{Map, Value, json};

use crate::error::HotkeyError;
use crate::hotkey::Hotkey;
use crate::ss58;

/// Maximum size of a hotkey file. Real ones have less than 1 KiB.
const MAX_FILE_BYTES: u64 = 64 * 1024;
/// How encrypted wallet files begin, and the name of each format.
const ENCRYPTED: [(&str, &str); 3] = [
    ("$NACL", "NaCl"),
    ("$ANSIBLE_VAULT", "Ansible Vault"),
    ("gAAAAA", "Fernet"),
];
const SR25519: u64 = 1;

/// Hotkey files: `<wallets>/<name>/hotkeys/<hotkey>`, one JSON object with `accountId`,
/// `publicKey`, `ss58Address`, `cryptoType` (1 is sr25519; old files have none), `privateKey` (64
/// bytes in schnorrkel's canonical form) and `secretSeed` (32 bytes), each hexadecimal after `0x`.
impl Hotkey {
    /// Reads a hotkey file.
    ///
    /// # Errors
    /// [`HotkeyError::Io`] or [`HotkeyError::File`].
    pub fn read(path: &Path) -> Result<Hotkey, HotkeyError> {
        let read = || -> Result<Vec<u8>, io::Error> {
            let mut bytes = Vec::new();
            let file = File::open(path)?;
            file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let bytes = read().map_err(io_error("read hotkey", path))?;
        let parse = || {
            if bytes.len() as u64 > MAX_FILE_BYTES {
                let limit = MAX_FILE_BYTES;
                return Err(HotkeyError::TooLarge { limit });
            }
            let text = std::str::from_utf8(&bytes).map_err(|_| HotkeyError::NotText)?;
            Hotkey::parse(text)
        };
        parse().map_err(|error| HotkeyError::File {
            path: path.to_owned(),
            source: Box::new(error),
        })
    }

    /// Parses the content of a hotkey file. The public fields have to belong to the secret key.
    ///
    /// # Errors
    /// [`HotkeyError`] says which field is wrong.
    pub fn parse(text: &str) -> Result<Hotkey, HotkeyError> {
        let is_encrypted = |(beginning, _): &&(&str, &str)| text.starts_with(beginning);
        if let Some((_, format)) = ENCRYPTED.iter().find(is_encrypted) {
            return Err(HotkeyError::Encrypted { format });
        }
        // Only the position: serde's own message may quote the secret.
        let not_json = |error: serde_json::Error| HotkeyError::NotJson {
            line: error.line(),
            column: error.column(),
        };
        let fields: Map<String, Value> = serde_json::from_str(text).map_err(not_json)?;
        match fields.get("cryptoType") {
            None | Some(Value::Null) => {}
            Some(kind) if kind.as_u64() == Some(SR25519) => {}
            Some(_) => return Err(HotkeyError::CryptoType),
        }
        let hotkey = if let Some(secret) = bytes::<64>(&fields, "privateKey")? {
            let secret = SecretKey::from_bytes(&secret);
            let secret = secret.map_err(|_| HotkeyError::NotASecretKey)?;
            Hotkey::new(secret.to_keypair())
        } else if let Some(seed) = bytes::<32>(&fields, "secretSeed")? {
            Hotkey::from_seed(&seed)
        } else {
            return Err(HotkeyError::NoSecret);
        };
        hotkey.check_public_fields(&fields)?;
        Ok(hotkey)
    }

    fn check_public_fields(&self, fields: &Map<String, Value>) -> Result<(), HotkeyError> {
        let check = |field: &str, found: String| {
            if found == self.address() {
                return Ok(());
            }
            Err(HotkeyError::OtherKey {
                field: field.to_owned(),
                found,
                expected: self.address().to_owned(),
            })
        };
        if let Some(address) = string(fields, "ss58Address")? {
            ss58::decode(address)?;
            check("ss58Address", address.to_owned())?;
        }
        for name in ["accountId", "publicKey"] {
            if let Some(key) = bytes::<32>(fields, name)? {
                check(name, ss58::encode(&key))?;
            }
        }
        Ok(())
    }

    /// Writes a hotkey file that only its owner can read. An existing file is never overwritten.
    ///
    /// # Errors
    /// [`HotkeyError::Io`].
    pub fn write(&self, seed: &[u8; 32], path: &Path) -> Result<(), HotkeyError> {
        let hexed = |bytes: &[u8]| format!("0x{}", hex::encode(bytes));
        let public = hexed(&self.pair.public.to_bytes());
        let json = json!({
            "accountId": public,
            "publicKey": public,
            "ss58Address": self.address(),
            "cryptoType": SR25519,
            "secretSeed": hexed(seed),
            "privateKey": hexed(&self.pair.secret.to_bytes()),
        });
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(io_error("create folder", folder))?;
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let write = || -> Result<(), io::Error> {
            let mut file = options.open(path)?;
            writeln!(file, "{json}")?;
            file.sync_all()
        };
        write().map_err(io_error("write hotkey (an existing one is kept)", path))
    }
}

/// Whether users of this machine other than the owner can read a file; always `false` where files
/// have no Unix permissions.
pub fn readable_by_others(path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        std::fs::metadata(path).is_ok_and(|data| data.mode() & 0o077 != 0)
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        false
    }
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> HotkeyError {
    let path = path.to_owned();
    move |source| HotkeyError::Io {
        action,
        path,
        source,
    }
}

fn string<'a>(fields: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, HotkeyError> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(HotkeyError::NotAString {
            field: name.to_owned(),
        }),
    }
}

/// A field of exactly `N` bytes: `0x` and hexadecimal digits.
fn bytes<const N: usize>(
    fields: &Map<String, Value>,
    name: &str,
) -> Result<Option<[u8; N]>, HotkeyError> {
    let Some(text) = string(fields, name)? else {
        return Ok(None);
    };
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let mut bytes = [0; N];
    if hex::decode_to_slice(digits, &mut bytes).is_err() {
        return Err(HotkeyError::Hexadecimal {
            field: name.to_owned(),
            found: digits.chars().count(),
            expected: 2 * N,
        });
    }
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests;
