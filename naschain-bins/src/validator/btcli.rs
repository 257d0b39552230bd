//! Weights set on a chain by an installed `btcli`.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::cli::wallet_args::WalletArgs;
use crate::printable::counted;
use crate::validator::uids::Uids;
use naschain_run::EpochWeights;

/// Time limit for one call; `btcli` waits for blocks of the chain.
const BTCLI_TIMEOUT: Duration = Duration::from_secs(600);
/// Maximum number of characters of its output, from the end, that an error contains.
const MAX_OUTPUT_CHARS: usize = 2000;

/// Sets weights by `btcli weights set`.
#[derive(Clone, Debug)]
pub(crate) struct Btcli {
    /// Path of the program, or its name if it is on `PATH`.
    pub program: PathBuf,
    /// The subnet.
    pub netuid: u16,
    /// Network of the chain; `None` for the one that `btcli` is configured for.
    pub network: Option<String>,
    /// The validator's wallet; its hotkey signs.
    pub wallet: WalletArgs,
    /// Uids of hotkeys.
    pub uids: Uids,
}

impl Btcli {
    fn arguments(&self, uids: &[u16], values: &[u16]) -> Vec<String> {
        let list = |numbers: &[u16]| {
            let texts: Vec<String> = numbers.iter().map(u16::to_string).collect();
            texts.join(",")
        };
        let (netuid, uids, values) = (self.netuid.to_string(), list(uids), list(values));
        let path = self.wallet.path.display().to_string();
        let mut arguments = vec![
            "weights",
            "set",
            "--netuid",
            &netuid,
            "--uids",
            &uids,
            "--weights",
            &values,
            "--wallet",
            &self.wallet.name,
            "--wallet-hotkey",
            &self.wallet.hotkey,
            "--wallet-path",
            &path,
        ];
        if let Some(network) = &self.network {
            arguments.extend(["--network", network]);
        }
        arguments.push("--yes");
        arguments.into_iter().map(str::to_owned).collect()
    }

    /// Sets the weights of an epoch; does nothing if no miner with a uid has a weight.
    pub(crate) async fn set(&self, epoch: &EpochWeights) -> Result<()> {
        let (uids, values) = self.uids.vector(epoch);
        if uids.is_empty() {
            tracing::warn!("epoch {}: no miner with a uid has a weight", epoch.epoch);
            return Ok(());
        }
        let mut command = tokio::process::Command::new(&self.program);
        command
            .args(self.arguments(&uids, &values))
            // `btcli` must not wait for input that nobody gives, nor continue after the time limit.
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let program = self.program.display();
        let output = tokio::time::timeout(BTCLI_TIMEOUT, command.output())
            .await
            .with_context(|| format!("{program} did not finish within {BTCLI_TIMEOUT:?}"))?
            .with_context(|| format!("cannot run {program}; is it installed?"))?;
        if !output.status.success() {
            let text = [output.stdout, output.stderr].concat();
            let text = String::from_utf8_lossy(&text);
            // The cause is at the end; a Python traceback before it may be long.
            let skip = text.chars().count().saturating_sub(MAX_OUTPUT_CHARS);
            let end: String = text.chars().skip(skip).collect();
            bail!("{program} weights set: {}: {}", output.status, end.trim());
        }
        tracing::info!(
            "epoch {}: set the weights of {}",
            epoch.epoch,
            counted(uids.len(), "miner")
        );
        Ok(())
    }
}
