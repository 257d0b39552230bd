//! The way of an epoch's weights to a chain: a file, or an installed `btcli`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use naschain_consensus::MinerId;
use naschain_core::Digest;
use serde::{Deserialize, Serialize};

use crate::cli::wallet_args::WalletArgs;
use crate::journal::run_folder::write_whole;
use naschain_identity::ss58;
use naschain_run::{EpochWeights, legacy_uid};

/// How long `btcli` may take; it waits for blocks.
const BTCLI_TIMEOUT: Duration = Duration::from_secs(600);
/// How much of what it said is told when it fails.
const MAX_SAID: usize = 2000;

/// Files, one for each epoch in a folder or one that always has the latest: a dry run, and a
/// record of what was set.
#[derive(Clone, Debug)]
pub struct Files {
    path: PathBuf,
    uids: Uids,
}

/// What a file holds.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Record {
    #[serde(flatten)]
    epoch: EpochWeights,
    /// The vector for the chain: uids, and their weights in the same order.
    uids: Vec<u16>,
    values: Vec<u16>,
}

impl Files {
    /// A path that ends in `.json` is one file; another is a folder, and is made.
    pub fn new(path: &Path, uids: Uids) -> Result<Files> {
        let path = path.to_owned();
        let files = Files { path, uids };
        if !files.is_one() {
            let made = std::fs::create_dir_all(&files.path);
            made.with_context(|| format!("cannot make {}", files.path.display()))?;
        }
        Ok(files)
    }

    /// Files for another run than these are of, in a folder of its own, or beside the one file.
    pub fn of_run(&self, run: Digest) -> Result<Files> {
        let path = match self.is_one() {
            true => self.path.with_file_name(format!("{run}.json")),
            false => self.path.join(run.to_string()),
        };
        tracing::warn!("the weights of run {run} go to {}", path.display());
        Files::new(&path, self.uids.clone())
    }

    fn is_one(&self) -> bool {
        self.path.extension().is_some_and(|end| end == "json")
    }

    fn file(&self, epoch: usize) -> PathBuf {
        match self.is_one() {
            true => self.path.clone(),
            false => self.path.join(format!("epoch-{epoch:06}.json")),
        }
    }

    /// Whether this epoch was written before, of the same run.
    pub fn has(&self, epoch: &EpochWeights) -> Result<bool> {
        let file = self.file(epoch.epoch);
        if !file.exists() {
            return Ok(false);
        }
        let shown = file.display();
        let text =
            std::fs::read_to_string(&file).with_context(|| format!("cannot read {shown}"))?;
        let record: Record = serde_json::from_str(&text)
            .with_context(|| format!("{shown} is not a record of weights"))?;
        ensure!(
            record.epoch.run == epoch.run,
            "{shown} is of run {}; give another --weights-out for run {}",
            record.epoch.run,
            epoch.run
        );
        Ok(record.epoch.epoch >= epoch.epoch)
    }
}

impl Files {
    /// Writes the weights of an epoch.
    pub async fn set(&self, epoch: &EpochWeights) -> Result<()> {
        let (uids, values) = self.uids.vector(epoch);
        let epoch = epoch.clone();
        let file = self.file(epoch.epoch);
        let record = Record {
            epoch,
            uids,
            values,
        };
        write_whole(&file, serde_json::to_string_pretty(&record)?.as_bytes())
    }
}

/// `btcli weights set`, with a wallet of its own.
#[derive(Clone, Debug)]
pub struct Btcli {
    /// The program, by path or as found on `PATH`.
    pub program: PathBuf,
    /// The subnet.
    pub netuid: u16,
    /// The chain's network, if not the one that `btcli` is configured for.
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
}

impl Btcli {
    /// Sets the weights of an epoch; sets nothing where no miner with a uid has a weight.
    pub async fn set(&self, epoch: &EpochWeights) -> Result<()> {
        let (uids, values) = self.uids.vector(epoch);
        if uids.is_empty() {
            tracing::warn!("epoch {}: no miner with a uid has a weight", epoch.epoch);
            return Ok(());
        }
        let mut command = tokio::process::Command::new(&self.program);
        command
            .args(self.arguments(&uids, &values))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let program = self.program.display();
        let output = tokio::time::timeout(BTCLI_TIMEOUT, command.output())
            .await
            .with_context(|| format!("{program} did not end within {BTCLI_TIMEOUT:?}"))?
            .with_context(|| format!("cannot run {program}; is it installed?"))?;
        if !output.status.success() {
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            let skip = said.chars().count().saturating_sub(MAX_SAID);
            let said: String = said.chars().skip(skip).collect();
            bail!("{program} weights set: {}: {}", output.status, said.trim());
        }
        tracing::info!(
            "epoch {}: weights of {} miners set",
            epoch.epoch,
            uids.len()
        );
        Ok(())
    }
}

/// The chain's numbers of hotkeys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uids {
    of_hotkeys: BTreeMap<MinerId, u16>,
    /// Whether miners of the old network, which are known by a uid, are paid at it.
    legacy: bool,
}

impl Uids {
    /// Reads a file of lines of a hotkey's address and its uid; empty lines and what follows `#`
    /// do not count.
    pub fn read(path: &Path) -> Result<Uids> {
        let shown = path.display();
        let text = std::fs::read_to_string(path);
        let text = text.with_context(|| format!("cannot read the uids {shown}"))?;
        Uids::parse(&text).with_context(|| format!("uids {shown}"))
    }

    fn parse(text: &str) -> Result<Uids> {
        let mut uids = BTreeMap::new();
        for (number, line) in text.lines().enumerate() {
            let number = number + 1;
            let line = line.split('#').next().unwrap_or_default();
            let words: Vec<&str> = line.split_whitespace().collect();
            let (hotkey, uid) = match words[..] {
                [] => continue,
                [hotkey, uid] => (hotkey, uid),
                _ => bail!("line {number} must have two words: hotkey and uid"),
            };
            ss58::decode(hotkey).with_context(|| format!("line {number}"))?;
            let uid: u16 = uid
                .parse()
                .with_context(|| format!("line {number}: {uid:?} is not a uid"))?;
            ensure!(
                !uids.values().any(|known| *known == uid),
                "line {number}: uid {uid} is there twice"
            );
            let before = uids.insert(MinerId::new(hotkey)?, uid);
            ensure!(before.is_none(), "line {number}: {hotkey} is there twice");
        }
        Ok(Uids {
            of_hotkeys: uids,
            legacy: false,
        })
    }

    /// The same, and `uid-N` is paid at uid N where that is no hotkey's.
    pub fn with_legacy(self, legacy: bool) -> Uids {
        Uids { legacy, ..self }
    }

    /// The uid of a miner: the file's, or that of a miner of the old network. Nobody can claim
    /// the uid of a hotkey by that name.
    fn of(&self, miner: &MinerId) -> Option<u16> {
        if let Some(uid) = self.of_hotkeys.get(miner) {
            return Some(*uid);
        }
        let own = legacy_uid(miner).filter(|_| self.legacy)?;
        let uid = u16::try_from(own).ok()?;
        if self.of_hotkeys.values().any(|known| *known == uid) {
            tracing::warn!("{miner} is not paid: uid {uid} is a hotkey's in --uids");
            return None;
        }
        Some(uid)
    }

    /// The chain's vector, by uid; miners without one are named in the log and left out.
    fn vector(&self, epoch: &EpochWeights) -> (Vec<u16>, Vec<u16>) {
        let mut vector = BTreeMap::new();
        for (miner, weight) in &epoch.weights {
            match self.of(miner) {
                Some(uid) => {
                    vector.insert(uid, *weight);
                }
                None => tracing::debug!("{miner} has no uid; --uids may name it"),
            }
        }
        vector.into_iter().unzip()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: &str = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";

    fn epoch(number: usize) -> EpochWeights {
        let weights = [(ALICE, 65_535), ("uid-3", 9), ("ada", 7)];
        EpochWeights {
            run: Digest([1; 32]),
            epoch: number,
            jobs: 4 * number,
            weights: weights
                .map(|(name, weight)| (name.parse().unwrap(), weight))
                .into(),
        }
    }

    #[test]
    fn uids_are_read_and_errors_name_the_line() {
        let uids = Uids::parse(&format!("{ALICE} 12 # her\n")).unwrap();
        assert_eq!(uids.vector(&epoch(1)), (vec![12], vec![65_535]));
        let uids = uids.with_legacy(true);
        assert_eq!(uids.vector(&epoch(1)), (vec![3, 12], vec![9, 65_535]));
        // A miner that calls itself by the uid of a hotkey.
        let uids = Uids::parse(&format!("{ALICE} 3"))
            .unwrap()
            .with_legacy(true);
        assert_eq!(uids.vector(&epoch(1)), (vec![3], vec![65_535]));
        let error = |text: &str| format!("{:#}", Uids::parse(text).unwrap_err());
        assert!(error(&format!("{ALICE} 70000")).contains("line 1: \"70000\""));
        assert!(error("\nada 1").starts_with("line 2"));
        assert!(error(ALICE).contains("two words"));
    }

    #[tokio::test]
    async fn files_are_one_an_epoch_or_the_latest() {
        let dir = std::env::temp_dir().join(format!("naschain-chain-{}", std::process::id()));
        let uids = Uids::parse(&format!("{ALICE} 12")).unwrap();
        let uids = uids.with_legacy(true);
        let folder = Files::new(&dir.join("all"), uids.clone()).unwrap();
        let latest = Files::new(&dir.join("latest.json"), uids).unwrap();
        for files in [&folder, &latest] {
            for number in 1..=2 {
                assert!(!files.has(&epoch(number)).unwrap());
                files.set(&epoch(number)).await.unwrap();
                assert!(files.has(&epoch(number)).unwrap());
            }
            assert!(files.has(&epoch(1)).unwrap() && !files.has(&epoch(3)).unwrap());
            let other = EpochWeights {
                run: Digest([2; 32]),
                ..epoch(2)
            };
            assert!(files.has(&other).is_err());
        }
        assert_eq!(std::fs::read_dir(dir.join("all")).unwrap().count(), 2);
        let text = std::fs::read_to_string(dir.join("latest.json")).unwrap();
        let record: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (&record["epoch"], &record["uids"][1], &record["values"][1]),
            (&2.into(), &12.into(), &65_535.into())
        );
        std::fs::remove_dir_all(dir).unwrap();
    }
}
