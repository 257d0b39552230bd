//! Hotkeys: sr25519 key pairs in the files that Bittensor's wallets keep them in.
//!
//! Format of `<path>/<name>/hotkeys/<hotkey>`: one JSON object with `accountId`, `publicKey`,
//! `ss58Address`, `cryptoType` (1 is sr25519; old files have none), `privateKey` (64 bytes in
//! schnorrkel's own form) and `secretSeed` (32 bytes), each in hexadecimal after `0x`.

use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use schnorrkel::{ExpansionMode, Keypair, MiniSecretKey, SecretKey};
use serde_json::{Map, Value, json};

use crate::ss58;

/// No wallet file is larger.
const MOST_FILE_BYTES: u64 = 64 * 1024;
/// What Substrate's chains sign in.
pub(crate) const CONTEXT: &[u8] = b"substrate";
/// How encrypted wallet files begin, with whose format that is.
const ENCRYPTED: [(&str, &str); 3] = [
    ("$NACL", "NaCl"),
    ("$ANSIBLE_VAULT", "Ansible Vault"),
    ("gAAAAA", "Fernet"),
];
const SR25519: u64 = 1;

/// Which hotkey.
#[derive(Args, Clone, Debug)]
pub struct WalletArgs {
    /// Folder of the Bittensor wallets
    #[arg(
        id = "wallet.path",
        long = "wallet.path",
        value_name = "DIR",
        default_value = "~/.bittensor/wallets"
    )]
    pub path: PathBuf,
    /// Name of the wallet
    #[arg(
        id = "wallet.name",
        long = "wallet.name",
        value_name = "NAME",
        default_value = "default"
    )]
    pub name: String,
    /// Name of the hotkey in it
    #[arg(
        id = "wallet.hotkey",
        long = "wallet.hotkey",
        value_name = "NAME",
        default_value = "default"
    )]
    pub hotkey: String,
}

impl WalletArgs {
    /// The hotkey's file.
    pub fn file(&self) -> Result<PathBuf> {
        for (flag, name) in [("name", &self.name), ("hotkey", &self.hotkey)] {
            let plain = !name.is_empty() && name.len() <= 128 && !name.contains(['/', '\\', '\0']);
            ensure!(
                plain && name != "." && name != "..",
                "--wallet.{flag} is {name:?}; it must be a plain name of 1 to 128 characters"
            );
        }
        let folder = match self.path.strip_prefix("~") {
            Err(_) => self.path.clone(),
            Ok(rest) => {
                let home = std::env::var_os("HOME");
                let home = home.context("HOME is not set; give --wallet.path")?;
                Path::new(&home).join(rest)
            }
        };
        Ok(folder.join(&self.name).join("hotkeys").join(&self.hotkey))
    }

    /// Reads the hotkey.
    pub fn load(&self) -> Result<Hotkey> {
        Hotkey::read(&self.file()?)
    }

    /// Reads the hotkey if its file is there, or if any of the flags asks for another than the
    /// default one.
    pub fn load_if_there(&self) -> Result<Option<Hotkey>> {
        let is_default = (self.path.as_os_str(), &*self.name, &*self.hotkey)
            == ("~/.bittensor/wallets".as_ref(), "default", "default");
        match self.file() {
            Ok(file) if file.exists() => Hotkey::read(&file).map(Some),
            _ if is_default => Ok(None),
            Err(error) => Err(error),
            Ok(file) => Hotkey::read(&file).map(Some),
        }
    }
}

/// `miner keygen`: makes a hotkey and says its address.
pub fn keygen(args: &WalletArgs) -> Result<String> {
    let file = args.file()?;
    let (hotkey, seed) = Hotkey::generate()?;
    hotkey.write(&seed, &file)?;
    let address = hotkey.address();
    Ok(format!(
        "{address}\nwritten to {}; whoever has this file can speak for this address\n",
        file.display()
    ))
}

/// A key pair that signs for a miner, a validator or a genomaster. Its secret is never shown.
#[derive(Clone)]
pub struct Hotkey {
    pair: Keypair,
    address: String,
}

impl fmt::Debug for Hotkey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hotkey({})", self.address)
    }
}

impl Hotkey {
    /// A new one, from the system's randomness, and the seed it came from.
    pub fn generate() -> Result<(Hotkey, [u8; 32])> {
        let mut seed = [0; 32];
        // A secret must not follow from any seed that others know.
        let random = getrandom::fill(&mut seed);
        random.map_err(|error| anyhow::anyhow!("the system gives no randomness: {error}"))?;
        Ok((Hotkey::from_seed(&seed), seed))
    }

    /// The hotkey that Substrate's tools make of a seed.
    pub fn from_seed(seed: &[u8; 32]) -> Hotkey {
        // 32 bytes are always a mini secret key.
        let mini = MiniSecretKey::from_bytes(seed).expect("32 bytes");
        Hotkey::new(mini.expand_to_keypair(ExpansionMode::Ed25519))
    }

    fn new(pair: Keypair) -> Hotkey {
        let address = ss58::encode(&pair.public.to_bytes());
        Hotkey { pair, address }
    }

    /// The address.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Signs; two signatures of the same message differ, and both hold.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.pair.sign_simple(CONTEXT, message).to_bytes()
    }

    /// Reads a wallet's file.
    pub fn read(path: &Path) -> Result<Hotkey> {
        use std::io::Read;
        let shown = path.display();
        let open = std::fs::File::open(path);
        let file = open.with_context(|| {
            format!("cannot read hotkey {shown}; `miner keygen` makes one, --wallet.path, --wallet.name and --wallet.hotkey say where it is")
        })?;
        warn_if_others_can_read(&file, path);
        let mut text = String::new();
        let read = file.take(MOST_FILE_BYTES + 1).read_to_string(&mut text);
        // The text of an error never has anything of the file in it: that may be the secret.
        ensure!(
            read.is_ok(),
            "{shown} is not a hotkey file: it is not UTF-8 text"
        );
        ensure!(
            text.len() as u64 <= MOST_FILE_BYTES,
            "{shown} is not a hotkey file: it has more than {MOST_FILE_BYTES} bytes"
        );
        Hotkey::parse(&text).with_context(|| format!("{shown} cannot be used"))
    }

    /// Reads the text of a wallet's file.
    pub fn parse(text: &str) -> Result<Hotkey> {
        for (beginning, format) in ENCRYPTED {
            ensure!(
                !text.starts_with(beginning),
                "it is encrypted ({format}); a program that signs by itself needs the hotkey unencrypted"
            );
        }
        let fields: Map<String, Value> = serde_json::from_str(text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            anyhow::anyhow!("it is not a JSON object (line {line}, column {column})")
        })?;
        match fields.get("cryptoType") {
            None | Some(Value::Null) => {}
            Some(kind) => ensure!(
                kind.as_u64() == Some(SR25519),
                "its cryptoType is not 1; only sr25519 keys can be used"
            ),
        }
        let pair = match bytes::<64>(&fields, "privateKey")? {
            Some(secret) => SecretKey::from_bytes(&secret)
                .map_err(|_| anyhow::anyhow!("its privateKey is not an sr25519 secret key"))?
                .to_keypair(),
            None => match bytes::<32>(&fields, "secretSeed")? {
                Some(seed) => Hotkey::from_seed(&seed).pair,
                None => bail!("it has neither a privateKey nor a secretSeed"),
            },
        };
        let hotkey = Hotkey::new(pair);
        hotkey.check_against(&fields)?;
        Ok(hotkey)
    }

    /// What the file says of the key in public has to be this key.
    fn check_against(&self, fields: &Map<String, Value>) -> Result<()> {
        if let Some(address) = field(fields, "ss58Address")? {
            ss58::decode(address).context("its ss58Address is wrong")?;
            ensure!(
                address == self.address,
                "its ss58Address is {address}, but its secret key is that of {}",
                self.address
            );
        }
        for name in ["accountId", "publicKey"] {
            if let Some(key) = bytes::<32>(fields, name)? {
                let named = ss58::encode(&key);
                ensure!(
                    named == self.address,
                    "its {name} is that of {named}, but its secret key is that of {}",
                    self.address
                );
            }
        }
        Ok(())
    }

    /// Writes a wallet's file that only its owner can read; one that is there is kept.
    pub fn write(&self, seed: &[u8; 32], path: &Path) -> Result<()> {
        let hexed = |bytes: &[u8]| format!("0x{}", hex::encode(bytes));
        let public = hexed(&self.pair.public.to_bytes());
        let json = json!({
            "accountId": public,
            "publicKey": public,
            "ss58Address": self.address,
            "cryptoType": SR25519,
            "secretSeed": hexed(seed),
            "privateKey": hexed(&self.pair.secret.to_bytes()),
        });
        if let Some(folder) = path.parent() {
            let made = std::fs::create_dir_all(folder);
            made.with_context(|| format!("cannot make {}", folder.display()))?;
        }
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let context = || {
            format!(
                "cannot write {}; a hotkey is never overwritten",
                path.display()
            )
        };
        let mut file = options.open(path).with_context(context)?;
        writeln!(file, "{json}").with_context(context)?;
        file.sync_all().with_context(context)
    }
}

fn field<'a>(fields: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => bail!("its {name} is not a string"),
    }
}

/// A field of exactly `N` bytes, `0x` and hexadecimal.
fn bytes<const N: usize>(fields: &Map<String, Value>, name: &str) -> Result<Option<[u8; N]>> {
    let Some(text) = field(fields, name)? else {
        return Ok(None);
    };
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let mut bytes = [0; N];
    if hex::decode_to_slice(digits, &mut bytes).is_err() {
        let length = digits.chars().count();
        let wanted = 2 * N;
        bail!(
            "its {name} has {length} characters after 0x; it must be {wanted} hexadecimal digits"
        );
    }
    Ok(Some(bytes))
}

fn warn_if_others_can_read(file: &std::fs::File, path: &Path) {
    #[cfg(unix)]
    if let Ok(data) = file.metadata() {
        use std::os::unix::fs::MetadataExt;
        if data.mode() & 0o077 != 0 {
            let path = path.display();
            tracing::warn!("others on this machine can read the hotkey {path}; chmod 600 helps");
        }
    }
    #[cfg(not(unix))]
    let _ = (file, path);
}

#[cfg(test)]
mod tests;
