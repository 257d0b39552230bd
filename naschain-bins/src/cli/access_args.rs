//! Flags of `serve` about access: authentication, limits, TLS.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use naschain_identity::Hotkey;

use crate::cli::chain_args::RegistrationArgs;
use crate::cli::tls_args::TlsArgs;
use crate::cli::wallet_args::WalletArgs;
use crate::coordinator::Coordinator;
use crate::coordinator::shared::Settings;
use crate::printable::counted;
use crate::server::access::Access;
use crate::server::allow_list::AllowList;
use crate::server::auth::Authenticator;
use crate::server::exams::Exams;
use crate::server::legacy::Legacy;
use crate::server::legacy::credentials::LegacyCredentials;
use crate::server::legacy::reports::Reports;
use crate::server::legacy::suitability;
use crate::server::listen::Listening;
use crate::server::registrations::RegistrationReader;

/// The hotkey of a home that was first served without a wallet, in its folder.
pub(crate) const HOTKEY_FILE: &str = "hotkey";

/// Flags of `serve` about access.
#[derive(Args, Clone, Debug)]
pub(crate) struct AccessArgs {
    #[command(flatten)]
    wallet: WalletArgs,
    /// Accept unsigned requests, without authentication. Use it only if all machines are yours
    #[arg(long)]
    unsigned: bool,
    /// File of miners to accept: a hotkey's address and its owner's name on each line; all miners
    /// of an owner together get at most one seat of a job [default: accept every miner]
    #[arg(long, value_name = "FILE", conflicts_with = "unsigned")]
    allow_list: Option<PathBuf>,
    #[command(flatten)]
    registration: RegistrationArgs,
    /// Answer GET /v1/run, /v1/batches and /v1/front without a signature; the journal and the
    /// events never need one
    #[arg(long, hide_short_help = true)]
    open_reads: bool,
    /// Maximum number of miners that ever join the run; those that have joined may always return
    #[arg(long, hide_short_help = true, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..))]
    max_miners: u32,
    /// Maximum requests per second for each hotkey; 0 for no limit
    #[arg(long, hide_short_help = true, value_name = "N", default_value_t = 100)]
    rate_per_key: u32,
    /// Maximum requests per second for each IP address other than loopback; 0 for no limit
    #[arg(long, hide_short_help = true, value_name = "N", default_value_t = 1000)]
    rate_per_address: u32,
    /// Maximum number of new hotkeys that join within ten minutes from each IP address, or IPv6 /64
    /// network, where there are no entrance examinations; 0 for no limit
    #[arg(long, hide_short_help = true, value_name = "N", default_value_t = 1000)]
    new_hotkeys: u32,
    /// Maximum number of simultaneous connections; one IP address, or IPv6 /64 network, gets at most
    /// an eighth of them
    #[arg(long, hide_short_help = true, value_name = "N", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(8..=1_000_000))]
    max_connections: u32,
    /// Take client addresses from the last entry of X-Forwarded-For, which a reverse proxy must set
    #[arg(long, hide_short_help = true)]
    behind_proxy: bool,
    #[command(flatten)]
    tls: TlsArgs,
    /// Also serve the reference network's Python miners and validators
    #[arg(long)]
    pub(crate) legacy: bool,
    /// File of credentials for --legacy, UID:TOKEN on each line; required unless --unsigned or
    /// --allow-list is given
    #[arg(long, hide_short_help = true, value_name = "FILE", requires = "legacy")]
    legacy_credentials: Option<PathBuf>,
    /// Number of uids of the reference network's subnet, for --legacy: uids must be smaller
    #[arg(long, hide_short_help = true, value_name = "N", default_value_t = 256, requires = "legacy", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    legacy_uids: u32,
}

/// The flags, with their files read.
pub(crate) struct Opened {
    access: Access,
    credentials: Option<LegacyCredentials>,
    legacy: bool,
    legacy_uids: u32,
    max_miners: usize,
    /// TLS and limits of the listener.
    pub listening: Listening,
    /// What reads from the chain who may mine, if that is asked for.
    pub reader: Option<RegistrationReader>,
}

impl AccessArgs {
    /// Reads the files that the flags name.
    pub(crate) fn open(&self) -> Result<Opened> {
        let load = || self.wallet.load();
        self.open_with(load)
    }

    /// The same for a home, which gets a hotkey of its own if there is none. `file` is where it has it.
    pub(crate) fn open_in_home(&self, file: &Path) -> Result<Opened> {
        let load = || self.wallet.load_or_create(file);
        self.open_with(load)
    }

    fn open_with(&self, load: impl FnOnce() -> Result<Hotkey>) -> Result<Opened> {
        let load = (!self.unsigned).then(load).transpose();
        let hotkey = load.context("the genomaster needs a hotkey, unless --unsigned is given")?;
        let allow_list = self.allow_list.as_deref().map(AllowList::read);
        let credentials = self
            .legacy_credentials
            .as_deref()
            .map(LegacyCredentials::read)
            .transpose()?;
        let largest = credentials.as_ref().and_then(|all| all.largest_uid());
        if let Some(uid) = largest.filter(|uid| *uid >= self.legacy_uids) {
            bail!(
                "--legacy-credentials has uid {uid}; uids must be below --legacy-uids, which is {}",
                self.legacy_uids
            );
        }
        // Their leases have no heartbeats and last for a whole job: a few requests in the names of
        // uids that nobody owns would hold the seats of all jobs for a day.
        ensure!(
            !self.legacy || self.unsigned || self.allow_list.is_some() || credentials.is_some(),
            "--legacy needs --legacy-credentials FILE, with a token for each uid, or an --allow-list that names the uids: without them any stranger could act as all uids and hold every job; if all machines are yours, use --unsigned"
        );
        let reader = self.registration.reader()?;
        Ok(Opened {
            access: Access {
                hotkey,
                allow_list: allow_list.transpose()?,
                registrations: reader.as_ref().map(RegistrationReader::registrations),
                uids_have_tokens: credentials.is_some(),
                open_reads: self.open_reads,
                is_private: false,
                rate_per_key: self.rate_per_key,
                rate_per_address: self.rate_per_address,
                new_hotkeys: self.new_hotkeys,
                behind_proxy: self.behind_proxy,
            },
            credentials,
            legacy: self.legacy,
            legacy_uids: self.legacy_uids,
            max_miners: self.max_miners as usize,
            listening: Listening {
                tls: self.tls.load()?,
                max_connections: self.max_connections as usize,
                behind_proxy: self.behind_proxy,
            },
            reader,
        })
    }
}

impl Opened {
    /// Whether requests have to be signed.
    pub(crate) fn is_signed(&self) -> bool {
        self.access.hotkey.is_some()
    }

    /// The settings of the coordinator.
    pub(crate) fn settings(&self) -> Settings {
        let hotkey = self.access.hotkey.as_ref();
        Settings {
            genomaster: hotkey.map(|hotkey| hotkey.address().to_owned()),
            max_miners: self.max_miners,
            ..Settings::default()
        }
    }

    /// Who may mine, and the limits of requests.
    pub(crate) fn access(&self) -> &Access {
        &self.access
    }

    /// The authentication of requests, and the endpoints of the reference network with `--legacy`.
    /// Logs a warning for whatever is not protected. `dir` is the run's folder.
    pub(crate) fn auth(
        self,
        coordinator: &Coordinator,
        dir: &Path,
        exams: Option<Exams>,
    ) -> Result<(Arc<Authenticator>, Option<Legacy>)> {
        match (&self.access.hotkey, &self.access.allow_list) {
            (None, _) => tracing::warn!(
                "UNSIGNED: requests are not authenticated; any client that reaches this address can act as any miner"
            ),
            (Some(key), None) => {
                let who = match &self.access.registrations {
                    Some(_) => "every hotkey that is registered on the subnet may mine",
                    None => "every hotkey may mine",
                };
                tracing::info!("genomaster {}; {who}", key.address());
            }
            (Some(key), Some(list)) => {
                ensure!(
                    !list.is_empty(),
                    "the allow-list is empty, so no miner could join; add lines of a hotkey's address and its owner"
                );
                tracing::info!(
                    "genomaster {}; the allow-list has {}",
                    key.address(),
                    counted(list.len(), "miner")
                );
            }
        }
        let mut auth = Authenticator::new(self.access, coordinator.nonces());
        if let Some(exams) = exams {
            auth = auth.with_exams(exams);
        }
        let auth = Arc::new(auth);
        if !self.legacy {
            return Ok((auth, None));
        }
        let rule = coordinator.spec().rules.agreement.rule;
        tracing::info!("{}", suitability::describe_rule(rule));
        if self.credentials.is_none() {
            tracing::warn!(
                "--legacy without --legacy-credentials: any client that reaches this address can act as any uid that may join"
            );
        }
        let legacy = Legacy {
            credentials: self.credentials,
            auth: auth.clone(),
            uids: self.legacy_uids,
            reports: Some(Reports::of_run(dir)),
        };
        Ok((auth, Some(legacy)))
    }
}
