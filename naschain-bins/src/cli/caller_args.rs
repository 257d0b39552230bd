//! Flags of clients: the hotkey that signs requests, and which genomasters are trusted.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use naschain_consensus::MinerId;

use crate::alive::Alive;
use crate::cli::wallet_args::WalletArgs;
use crate::client::Credentials;
use naschain_identity::ss58;

/// Flags of miners and validators about identities.
#[derive(Args, Clone, Debug)]
pub(crate) struct CallerArgs {
    #[command(flatten)]
    wallet: WalletArgs,
    /// Hotkey address that the genomaster must have [default: trust the first address seen]
    #[arg(long, value_name = "ADDRESS")]
    genomaster_hotkey: Option<String>,
    /// PEM file of certificates to trust for https, besides the public ones
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// File to which the time is written when the genomaster answers (with --chain: when the chain was
    /// followed), at most every 10 seconds, for health checks [default: none]
    #[arg(long, value_name = "FILE")]
    alive: Option<PathBuf>,
}

impl CallerArgs {
    /// The flags that choose the hotkey.
    pub(crate) fn wallet(&self) -> &WalletArgs {
        &self.wallet
    }

    /// The address that the genomaster must have, if one is required.
    pub(crate) fn genomaster_hotkey(&self) -> Result<Option<String>> {
        if let Some(address) = &self.genomaster_hotkey {
            ss58::decode(address).context("--genomaster-hotkey")?;
        }
        Ok(self.genomaster_hotkey.clone())
    }

    /// Reads the hotkey, if there is one. `name` is the miner's name, if it has one.
    pub(crate) fn credentials(&self, name: Option<MinerId>) -> Result<Credentials> {
        Ok(Credentials {
            hotkey: self.wallet.load_if_any()?,
            name,
            genomaster: self.genomaster_hotkey.clone(),
            ca_file: self.ca_file.clone(),
            program: None,
            alive: self.alive()?,
        })
    }

    /// What writes when this program was last at work.
    pub(crate) fn alive(&self) -> Result<Alive> {
        Alive::at(self.alive.as_deref())
    }
}
