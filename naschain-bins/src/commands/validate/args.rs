//! The flags of a validator.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use naschain_core::Digest;
use naschain_run::Sample;

use crate::cli::caller_args::CallerArgs;
use crate::cli::chain_args::ChainArgs;
use crate::cli::data_cache_args::DataCacheArgs;
use crate::cli::run_args::DeviceArgs;
use crate::validator::btcli::Btcli;
use crate::validator::chain_scores::TrustTerms;
use crate::validator::outlets::Outlets;
use crate::validator::state_folder::without_passwords;
use crate::validator::uids::Uids;
use crate::validator::weight_files::WeightFiles;

/// Flags of the program.
#[derive(Args, Debug)]
pub struct ValidateArgs {
    /// Address of the genomaster
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:5000")]
    pub(super) genomaster: String,
    /// The only run to validate at a genomaster with many [default: all public runs]
    #[arg(long, value_name = "DIGEST")]
    pub(super) run: Option<Digest>,
    #[command(flatten)]
    pub(super) caller: CallerArgs,
    /// Print each report as one JSON object on one line instead of a table
    #[arg(long)]
    pub(super) json: bool,
    /// Validate until the run is finished, with a report whenever jobs have ended (a table that is not
    /// shown on a terminal: at most every ten minutes); retry while the genomaster cannot be reached
    #[arg(long)]
    pub(super) watch: bool,
    /// Number of jobs per epoch; scores and weights are updated after each epoch [default: the
    /// run's population]
    #[arg(long, alias = "epoch-batches", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) epoch_jobs: Option<u32>,
    /// Write the weights of each epoch: the latest to a file if PATH ends in .json, otherwise one
    /// file per epoch to a folder
    #[arg(long, value_name = "PATH")]
    pub(super) weights_out: Option<PathBuf>,
    /// File of the chain's uids, a hotkey's address and its uid on each line
    #[arg(long, value_name = "FILE")]
    pub(super) uids: Option<PathBuf>,
    /// Accept miners of the reference network (`uid-N`), which cannot sign, and set their weights
    /// at their uid unless --uids assigns it to a hotkey; for a genomaster with --legacy. By
    /// default they are faults in the journal of a genomaster with a hotkey
    #[arg(long)]
    pub(super) legacy: bool,
    /// Set weights also if the genomaster has no hotkey: then nothing proves who sent the answers,
    /// so the genomaster can credit any name
    #[arg(long)]
    pub(super) unsigned: bool,
    /// Folder in which the validator remembers the genomaster's address, and of each run what it has
    /// verified; a history that does not continue it is refused [default:
    /// $XDG_STATE_HOME/naschain/validator or ~/.local/state/naschain/validator]
    #[arg(long, value_name = "DIR")]
    pub(super) state: Option<PathBuf>,
    /// Train this share of the jobs again, such as 1/50; jobs with other results are reported and
    /// earn nothing. The sample is secret
    #[arg(long, value_name = "N/M")]
    pub(super) retrain: Option<Sample>,
    #[command(flatten)]
    pub(super) device: DeviceArgs,
    /// Folder of the data set's files, for --retrain and the rulings of a referee [default: as in
    /// search]
    #[arg(long, value_name = "DIR")]
    pub(super) data_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(super) data_cache: DataCacheArgs,
    /// Address of another validator (its --listen) to compare the genomaster's signed heads with; may
    /// be repeated
    #[arg(long = "peer", value_name = "URL")]
    pub(super) peers: Vec<String>,
    /// Show other validators the genomaster's signed heads at this address, such as 0.0.0.0:5001; with
    /// --watch also after the run is finished, until the validator is stopped
    #[arg(long, value_name = "ADDRESS")]
    pub(super) listen: Option<String>,
    /// Set the weights of each epoch by `btcli weights set`; requires an installed btcli
    #[arg(long, requires = "netuid")]
    pub(super) btcli: bool,
    /// Subnet on which weights are set
    #[arg(long, value_name = "N")]
    pub(super) netuid: Option<u16>,
    /// Network of the chain, as named by btcli [default: as configured in btcli]
    #[arg(long, value_name = "NETWORK")]
    pub(super) network: Option<String>,
    #[command(flatten)]
    pub(super) chain: ChainArgs,
}

impl ValidateArgs {
    /// Whether validation goes on after a report. On the chain weights have to be set in every epoch,
    /// also without new jobs.
    pub(super) fn goes_on(&self) -> bool {
        self.watch || self.chain.is_used()
    }

    /// Where weights go besides the chain.
    pub(super) fn outlets(&self) -> Result<Outlets> {
        let uids = self.uids.as_deref().map(Uids::read).transpose()?;
        let uids = uids.unwrap_or_default().with_legacy(self.legacy);
        let files = self.weights_out.as_deref();
        let files = files.map(|path| WeightFiles::new(path, uids.clone()));
        let btcli = self.btcli.then(|| Btcli {
            program: "btcli".into(),
            netuid: self.netuid.unwrap_or_default(),
            network: self.network.clone(),
            wallet: self.caller.wallet().clone(),
            uids,
        });
        Ok(Outlets::new(files.transpose()?, btcli))
    }

    pub(super) fn trust_terms(&self) -> Result<TrustTerms> {
        Ok(TrustTerms {
            url: without_passwords(&self.genomaster),
            required: self.caller.genomaster_hotkey()?,
            unsigned: self.unsigned,
        })
    }
}
