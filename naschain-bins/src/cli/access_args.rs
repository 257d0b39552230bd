//! The flags of `serve` that say who is let in.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Result, ensure};
use clap::Args;

use crate::cli::wallet_args::WalletArgs;
use crate::coordinator::Coordinator;
use crate::coordinator::shared::Settings;
use crate::server::access::Access;
use crate::server::allow_list::AllowList;
use crate::server::auth::Authenticator;
use crate::server::legacy;
use crate::server::legacy::Legacy;
use crate::server::legacy::credentials::Credentials;
use crate::server::listen::Listening;
use crate::server::tls::TlsArgs;

/// Flags of `serve` about who is let in.
#[derive(Args, Clone, Debug)]
pub struct AccessArgs {
    #[command(flatten)]
    wallet: WalletArgs,
    /// Take requests that are not signed: whoever comes is believed to be who it says. For
    /// machines that all are yours
    #[arg(long)]
    unsigned: bool,
    /// File of those who may mine, a hotkey's address and its owner's name in each line; an
    /// owner gets one seat of a job [default: everybody]
    #[arg(long, value_name = "FILE", conflicts_with = "unsigned")]
    allow_list: Option<PathBuf>,
    /// Answer also GET /v1/run, /v1/batches and /v1/front without a signature; the journal and the
    /// events never need one
    #[arg(long)]
    open_reads: bool,
    /// Most miners that may ever join the run; those that have are let in again
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..))]
    max_miners: u32,
    /// Most requests a second of one hotkey; 0 is no limit
    #[arg(long, value_name = "N", default_value_t = 100)]
    rate_per_key: u32,
    /// Most requests a second from one address that is not this machine's; 0 is no limit
    #[arg(long, value_name = "N", default_value_t = 1000)]
    rate_per_address: u32,
    /// Most connections at a time; one address gets an eighth of them
    #[arg(long, value_name = "N", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(8..=1_000_000))]
    max_connections: u32,
    /// Believe the last address of X-Forwarded-For, which a proxy in front of this has to set
    #[arg(long)]
    behind_proxy: bool,
    #[command(flatten)]
    tls: TlsArgs,
    /// Also serve the reference network's Python miners and validators
    #[arg(long)]
    pub(crate) legacy: bool,
    /// File of the old network's credentials, UID:TOKEN in each line [default: everybody may
    /// speak for every uid]
    #[arg(long, value_name = "FILE", requires = "legacy")]
    legacy_credentials: Option<PathBuf>,
}

/// Everything of these flags that is read from files.
pub struct Opened {
    access: Access,
    credentials: Option<Credentials>,
    legacy: bool,
    max_miners: usize,
    /// How to listen.
    pub listening: Listening,
}

impl AccessArgs {
    /// Reads the files that are named.
    pub fn open(&self) -> Result<Opened> {
        let hotkey = match self.unsigned {
            true => None,
            false => Some(self.wallet.load().map_err(|error| {
                error.context("the genomaster signs and is signed for; --unsigned does without")
            })?),
        };
        let allow_list = self.allow_list.as_deref().map(AllowList::read);
        let credentials = self.legacy_credentials.as_deref().map(Credentials::read);
        Ok(Opened {
            access: Access {
                hotkey,
                allow_list: allow_list.transpose()?,
                uids_have_tokens: credentials.is_some(),
                open_reads: self.open_reads,
                rate_per_key: self.rate_per_key,
                rate_per_address: self.rate_per_address,
                behind_proxy: self.behind_proxy,
            },
            credentials: credentials.transpose()?,
            legacy: self.legacy,
            max_miners: self.max_miners as usize,
            listening: Listening {
                tls: self.tls.load()?,
                max_connections: self.max_connections as usize,
                behind_proxy: self.behind_proxy,
            },
        })
    }
}

impl Opened {
    /// What the coordinator is told of them.
    pub fn settings(&self) -> Settings {
        let hotkey = self.access.hotkey.as_ref();
        Settings {
            genomaster: hotkey.map(|hotkey| hotkey.address().to_owned()),
            max_miners: self.max_miners,
        }
    }

    /// The auth of a run, and its old endpoints; says aloud what is not protected.
    pub fn auth(self, coordinator: &Coordinator) -> Result<(Arc<Authenticator>, Option<Legacy>)> {
        match (&self.access.hotkey, &self.access.allow_list) {
            (None, _) => tracing::warn!(
                "UNSIGNED: every miner is believed to be who it says; whoever reaches this address can speak for any of them"
            ),
            (Some(key), None) => {
                tracing::info!("genomaster {}; everybody may mine", key.address());
            }
            (Some(key), Some(list)) => {
                ensure!(!list.is_empty(), "nobody is on the allow-list");
                tracing::info!("genomaster {}; {} may mine", key.address(), list.len());
            }
        }
        let auth = Arc::new(Authenticator::new(self.access, coordinator.nonces()));
        if !self.legacy {
            return Ok((auth, None));
        }
        legacy::check_rule(coordinator.spec().rules.agreement.rule)?;
        if self.credentials.is_none() {
            tracing::warn!(
                "--legacy without --legacy-credentials: whoever reaches this address can speak for any uid"
            );
        }
        let legacy = Legacy {
            credentials: self.credentials,
            auth: auth.clone(),
        };
        Ok((auth, Some(legacy)))
    }
}
