//! The hotkeys that have passed an entrance examination.

use std::collections::BTreeMap;

use naschain_consensus::MinerId;

/// Maximum number of hotkeys; beyond it, the one that passed first is forgotten. Only a further pass
/// pushes it out, and that costs a training.
const MAX_PASSES: usize = 20_000;

/// The hotkeys that have passed lately.
#[derive(Default)]
pub(super) struct Passes {
    miners: BTreeMap<MinerId, Pass>,
    /// The same hotkeys by the number of their pass, the oldest first.
    by_number: BTreeMap<u64, MinerId>,
    /// The number of the latest pass.
    latest: u64,
}

#[derive(Default)]
struct Pass {
    number: u64,
    /// Whether the hotkey has not joined yet since it passed.
    is_unused: bool,
    /// How often it has joined by a pass. Each examination depends on it, so that a hotkey that has
    /// lost its place cannot send an old result again.
    joins: u64,
}

impl Passes {
    /// Whether a hotkey has passed and not joined yet.
    pub(super) fn has_unused(&self, miner: &MinerId) -> bool {
        self.miners.get(miner).is_some_and(|pass| pass.is_unused)
    }

    /// How often a hotkey has joined by a pass, as far as remembered.
    pub(super) fn joins(&self, miner: &MinerId) -> u64 {
        self.miners.get(miner).map_or(0, |pass| pass.joins)
    }

    /// A hotkey has passed.
    pub(super) fn add(&mut self, miner: MinerId) {
        self.latest += 1;
        let pass = self.miners.entry(miner.clone()).or_default();
        self.by_number.remove(&pass.number);
        (pass.number, pass.is_unused) = (self.latest, true);
        self.by_number.insert(self.latest, miner);
        if self.by_number.len() > MAX_PASSES
            && let Some((_, oldest)) = self.by_number.pop_first()
        {
            self.miners.remove(&oldest);
        }
    }

    /// A hotkey has joined.
    pub(super) fn use_up(&mut self, miner: &MinerId) {
        if let Some(pass) = self.miners.get_mut(miner)
            && pass.is_unused
        {
            pass.is_unused = false;
            pass.joins += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: usize) -> MinerId {
        format!("m{number}").parse().unwrap()
    }

    #[test]
    fn a_pass_is_pushed_out_by_others_only_and_counts_once() {
        let mut passes = Passes::default();
        for number in 0..MAX_PASSES + 50 {
            passes.add(name(number));
            assert!(passes.has_unused(&name(number)));
        }
        assert_eq!(passes.miners.len(), MAX_PASSES);
        assert_eq!(passes.by_number.len(), MAX_PASSES);
        assert!(!passes.has_unused(&name(49)) && passes.has_unused(&name(50)));
        passes.use_up(&name(50));
        passes.use_up(&name(50));
        assert!(!passes.has_unused(&name(50)));
        assert_eq!(passes.joins(&name(50)), 1);
        passes.add(name(50));
        assert!(passes.has_unused(&name(50)));
        assert_eq!(
            (passes.joins(&name(50)), passes.miners.len()),
            (1, MAX_PASSES)
        );
    }
}
