//! Flags that choose a hotkey in a Bittensor wallet.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Args;
use naschain_identity::{Hotkey, HotkeyError, readable_by_others};

/// Flags that choose a hotkey.
#[derive(Args, Clone, Debug)]
pub struct WalletArgs {
    /// Folder of Bittensor wallets
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
    /// Name of the hotkey in the wallet
    #[arg(
        id = "wallet.hotkey",
        long = "wallet.hotkey",
        value_name = "NAME",
        default_value = "default"
    )]
    pub hotkey: String,
}

impl WalletArgs {
    /// Path of the hotkey's file.
    pub fn file(&self) -> Result<PathBuf> {
        for (flag, name) in [("name", &self.name), ("hotkey", &self.hotkey)] {
            // The name becomes a part of the path, which must stay inside the folder of wallets.
            let plain = !name.is_empty() && name.len() <= 128 && !name.contains(['/', '\\', '\0']);
            ensure!(
                plain && name != "." && name != "..",
                "--wallet.{flag} is {name:?}; it must be a file name of 1 to 128 characters"
            );
        }
        // No shell expands `~` in a default value or in a configuration file.
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
        read(&self.file()?)
    }

    fn is_default(&self) -> bool {
        (self.path.as_os_str(), &*self.name, &*self.hotkey)
            == ("~/.bittensor/wallets".as_ref(), "default", "default")
    }

    /// Reads the hotkey, or the one in `file` if no flag is set: `file` is made if neither it nor the
    /// default hotkey exists, so that a genomaster keeps the hotkey that it had first.
    pub fn load_or_create(&self, file: &Path) -> Result<Hotkey> {
        if !self.is_default() {
            return self.load();
        }
        if file.exists() {
            return read(file);
        }
        if let Some(hotkey) = self.load_if_any()? {
            return Ok(hotkey);
        }
        let (hotkey, seed) = Hotkey::generate()?;
        hotkey.write(&seed, file)?;
        let (address, file) = (hotkey.address(), file.display());
        tracing::info!("created the hotkey {address} in {file}; keep this file secret");
        Ok(hotkey)
    }

    /// Reads the hotkey, or returns `None` if no flag is set and the default hotkey does not exist:
    /// a missing hotkey is an error only if the user asked for it.
    pub fn load_if_any(&self) -> Result<Option<Hotkey>> {
        match self.file() {
            Ok(file) if file.exists() => read(&file).map(Some),
            _ if self.is_default() => Ok(None),
            Err(error) => Err(error),
            Ok(file) => read(&file).map(Some),
        }
    }
}

/// `miner keygen`: creates a hotkey and returns what the command prints.
pub fn keygen(args: &WalletArgs) -> Result<String> {
    let file = args.file()?;
    let (hotkey, seed) = Hotkey::generate()?;
    hotkey.write(&seed, &file)?;
    let address = hotkey.address();
    Ok(format!(
        "{address}\nwritten to {}; keep this file secret: it can sign for this address\n",
        file.display()
    ))
}

fn read(file: &Path) -> Result<Hotkey> {
    let hotkey = Hotkey::read(file).map_err(|error| match &error {
        HotkeyError::Io { .. } => anyhow::Error::new(error).context(
            "`miner keygen` creates a hotkey; --wallet.path, --wallet.name and --wallet.hotkey choose its file",
        ),
        _ => error.into(),
    })?;
    if readable_by_others(file) {
        let file = file.display();
        tracing::warn!(
            "the hotkey {file} is readable by other users of this machine; run chmod 600 {file}"
        );
    }
    Ok(hotkey)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_folder::test_folder;

    #[test]
    fn the_error_for_a_missing_hotkey_names_keygen_and_paths_cannot_leave_the_folder() {
        let dir = test_folder("wallet");
        let args = WalletArgs {
            path: dir.clone(),
            name: "w".to_owned(),
            hotkey: "h".to_owned(),
        };
        assert!(format!("{:#}", args.load().unwrap_err()).contains("miner keygen"));
        let printed = keygen(&args).unwrap();
        assert!(
            printed.starts_with(args.load().unwrap().address()),
            "{printed}"
        );
        let outside = WalletArgs {
            hotkey: "../../x".to_owned(),
            ..args
        };
        assert!(outside.file().is_err());
        let error = outside.load_or_create(&dir.join("hotkey"));
        assert!(error.is_err() && !dir.join("hotkey").exists());
        std::fs::remove_dir_all(dir).unwrap();
    }
}
