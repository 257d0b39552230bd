//! The allow-list: a file of the hotkeys that may mine, and of their owners.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use naschain_consensus::MinerId;

use crate::line_file;
use naschain_identity::ss58;

/// Hotkeys and their owners; an owner's miners get one seat of a job together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowList(BTreeMap<MinerId, MinerId>);

impl AllowList {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<AllowList> {
        line_file::read_file(path, "allow-list", AllowList::parse)
    }

    /// Parses lines of a hotkey's address, or `uid-N` for a miner of the reference network, and its
    /// owner's name. Empty lines and everything after `#` are ignored.
    pub fn parse(text: &str) -> Result<AllowList> {
        let mut owners = BTreeMap::new();
        for line in line_file::pairs(text, ["hotkey", "owner"]) {
            let (number, hotkey, owner) = line?;
            let miner = MinerId::new(hotkey);
            let is_uid = miner.as_ref().is_ok_and(|miner| miner.uid().is_some());
            // The checksum of an address reveals a mistyped character now, not when its miner is
            // refused.
            if !is_uid {
                ss58::decode(hotkey).with_context(|| format!("line {number}"))?;
            }
            let miner = miner.with_context(|| format!("line {number}"))?;
            let owner = MinerId::new(owner).with_context(|| format!("line {number}"))?;
            let before = owners.insert(miner, owner);
            ensure!(before.is_none(), "line {number}: {hotkey} appears twice");
        }
        Ok(AllowList(owners))
    }

    /// The owner of a miner that may mine.
    pub fn owner(&self, miner: &MinerId) -> Option<&MinerId> {
        self.0.get(miner)
    }

    /// Those of this list that are also on another one, which says who their owners are.
    pub(crate) fn within(&self, other: &AllowList) -> AllowList {
        let both = other
            .0
            .iter()
            .filter(|(miner, _)| self.0.contains_key(*miner));
        AllowList(
            both.map(|(miner, owner)| (miner.clone(), owner.clone()))
                .collect(),
        )
    }

    /// Number of different owners.
    pub(crate) fn count_owners(&self) -> usize {
        let owners: BTreeSet<&MinerId> = self.0.values().collect();
        owners.len()
    }

    /// Number of miners on the list.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the list is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: &str = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";

    #[test]
    fn lines_are_hotkeys_and_owners() {
        let list = AllowList::parse(&format!("# who\n\n{ALICE} lab # ours\nuid-7\tlab\n")).unwrap();
        assert_eq!((list.len(), list.is_empty()), (2, false));
        let owner = |name: &str| list.owner(&name.parse().unwrap()).map(MinerId::as_str);
        assert_eq!((owner(ALICE), owner("uid-7")), (Some("lab"), Some("lab")));
        assert_eq!(owner("uid-8"), None);
        let error = |text: &str| format!("{:#}", AllowList::parse(text).unwrap_err());
        assert!(error(ALICE).contains("line 1 has 1 words"));
        assert!(error("\nada lab").contains("line 2: "));
        assert!(error("uid-07 lab").contains("line 1: "));
        assert!(error(&format!("{ALICE} a/b")).contains("line 1: "));
        assert!(error("uid-1 a\nuid-1 b").contains("appears twice"));
    }
}
