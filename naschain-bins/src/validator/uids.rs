//! The chain's uids of miners.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use naschain_consensus::MinerId;

use crate::line_file;
use naschain_identity::ss58;
use naschain_run::EpochWeights;

/// The uid of each hotkey on the chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Uids {
    of_hotkeys: BTreeMap<MinerId, u16>,
    /// Whether a miner of the reference network (`uid-N`) gets weight at uid N.
    legacy: bool,
}

impl Uids {
    /// Reads a file with a hotkey's address and its uid on each line; `#` begins a comment.
    pub(crate) fn read(path: &Path) -> Result<Uids> {
        line_file::read_file(path, "uids", Uids::parse)
    }

    pub(crate) fn parse(text: &str) -> Result<Uids> {
        let mut uids = BTreeMap::new();
        for line in line_file::pairs(text, ["hotkey", "uid"]) {
            let (number, hotkey, uid) = line?;
            // The checksum of an address reveals a mistyped character.
            ss58::decode(hotkey).with_context(|| format!("line {number}"))?;
            let uid: u16 = uid.parse().with_context(|| {
                format!(
                    "line {number}: {uid:?} is not a uid; it must be a whole number from 0 to 65535"
                )
            })?;
            ensure!(
                // Two hotkeys at one uid would overwrite each other's weight.
                !uids.values().any(|other| *other == uid),
                "line {number}: uid {uid} appears twice"
            );
            let before = uids.insert(MinerId::new(hotkey)?, uid);
            ensure!(before.is_none(), "line {number}: {hotkey} appears twice");
        }
        Ok(Uids {
            of_hotkeys: uids,
            legacy: false,
        })
    }

    /// With `legacy`, miners of the reference network (`uid-N`) get weight at uid N, unless
    /// that uid belongs to a hotkey.
    pub(crate) fn with_legacy(self, legacy: bool) -> Uids {
        Uids { legacy, ..self }
    }

    /// The uid of a miner: from the file, or from the name of a miner of the reference network.
    /// A hotkey's uid is never given to `uid-N`: that name is not authenticated by a key, so
    /// anybody could use it to claim the hotkey's weight.
    fn of(&self, miner: &MinerId) -> Option<u16> {
        if let Some(uid) = self.of_hotkeys.get(miner) {
            return Some(*uid);
        }
        let uid = miner.uid().filter(|_| self.legacy)?;
        let uid = u16::try_from(uid).ok()?;
        if self.of_hotkeys.values().any(|other| *other == uid) {
            tracing::warn!("{miner} gets no weight: --uids assigns uid {uid} to a hotkey");
            return None;
        }
        Some(uid)
    }

    /// Uids and weights in the form that the chain expects, in the order of uids. Miners without a
    /// uid are logged and left out.
    pub(crate) fn vector(&self, epoch: &EpochWeights) -> (Vec<u16>, Vec<u16>) {
        let mut vector = BTreeMap::new();
        for (miner, weight) in &epoch.weights {
            match self.of(miner) {
                Some(uid) => {
                    vector.insert(uid, *weight);
                }
                None => tracing::debug!("{miner} has no uid; --uids can assign one"),
            }
        }
        vector.into_iter().unzip()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use naschain_core::Digest;

    pub(crate) const ALICE: &str = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";

    /// Weights of a hotkey, of a miner of the reference network, and of an unknown miner.
    pub(crate) fn epoch(number: usize) -> EpochWeights {
        let weights = [(ALICE, 65_535), ("uid-3", 9), ("ada", 7)];
        EpochWeights {
            run: Digest([1; 32]),
            epoch: number,
            jobs: 4 * number,
            weights: weights
                .map(|(name, weight)| (name.parse().unwrap(), weight))
                .into(),
            rewards: BTreeMap::new(),
            work: BTreeMap::new(),
        }
    }

    #[test]
    fn uids_are_read_and_errors_name_the_line() {
        let uids = Uids::parse(&format!("{ALICE} 12 # her\n")).unwrap();
        assert_eq!(uids.vector(&epoch(1)), (vec![12], vec![65_535]));
        let uids = uids.with_legacy(true);
        assert_eq!(uids.vector(&epoch(1)), (vec![3, 12], vec![9, 65_535]));
        // A miner named after the uid of a hotkey.
        let uids = Uids::parse(&format!("{ALICE} 3"))
            .unwrap()
            .with_legacy(true);
        assert_eq!(uids.vector(&epoch(1)), (vec![3], vec![65_535]));
        let error = |text: &str| format!("{:#}", Uids::parse(text).unwrap_err());
        assert!(error(&format!("{ALICE} 70000")).contains("line 1: \"70000\""));
        assert!(error("\nada 1").starts_with("line 2"));
        assert!(error(ALICE).contains("it must have two"));
    }
}
