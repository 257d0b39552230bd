//! Flags of miners and validators: who calls, and whom it believes.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use naschain_consensus::MinerId;

use crate::cli::wallet_args::WalletArgs;
use crate::client::Credentials;
use naschain_identity::ss58;

/// The flags.
#[derive(Args, Clone, Debug)]
pub struct CallerArgs {
    #[command(flatten)]
    wallet: WalletArgs,
    /// Address of the only genomaster that is spoken to [default: whoever answers first]
    #[arg(long, value_name = "ADDRESS")]
    genomaster_hotkey: Option<String>,
    /// Certificates to believe besides the public ones, in PEM, for https
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

impl CallerArgs {
    /// Which hotkey.
    pub fn wallet(&self) -> &WalletArgs {
        &self.wallet
    }

    /// The only genomaster that is believed, if one is named.
    pub fn genomaster_hotkey(&self) -> Result<Option<String>> {
        if let Some(address) = &self.genomaster_hotkey {
            ss58::decode(address).context("--genomaster-hotkey")?;
        }
        Ok(self.genomaster_hotkey.clone())
    }

    /// Reads the hotkey, where there is one.
    pub fn credentials(&self, name: Option<MinerId>) -> Result<Credentials> {
        Ok(Credentials {
            hotkey: self.wallet.load_if_there()?,
            name,
            genomaster: self.genomaster_hotkey.clone(),
            ca_file: self.ca_file.clone(),
        })
    }
}
