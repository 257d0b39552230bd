use naschain_identity::Hotkey;
use parity_scale_codec::Encode;

use crate::call::SUBTENSOR;
use crate::error::Error;
use crate::extrinsic::public_key;
use crate::metagraph::Metagraph;
use crate::state_file::Commit;
use crate::timelock::{TimelockSecrets, encrypt};

/// The call that would set weights at a block, and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The call's bytes.
    pub call: Vec<u8>,
    /// The weights by uid.
    pub weights: Vec<(u16, u16)>,
    /// The timelocked commit, if the subnet wants one.
    pub commit: Option<Commit>,
}

impl Metagraph {
    /// Makes the call that sets these weights, which are sorted by uid. `None` if the epoch ends too
    /// soon for a commit.
    ///
    /// # Errors
    /// [`Error::Weights`] for weights that the chain would refuse; [`Error::Missing`] or
    /// [`Error::CallFields`] if the runtime has no call that is known here.
    pub fn plan(
        &self,
        weights: &[(u16, u16)],
        hotkey: &Hotkey,
        secrets: &TimelockSecrets,
    ) -> Result<Option<Plan>, Error> {
        self.check(weights)?;
        let (uids, values): (Vec<u16>, Vec<u16>) = weights.iter().copied().unzip();
        let runtime = &self.runtime;
        if !self.commit_reveal {
            let call = runtime.set_weights_call(self.netuid, &uids, &values, self.version_key)?;
            return Ok(Some(Plan {
                call,
                weights: weights.to_vec(),
                commit: None,
            }));
        }
        let block = self.block.number;
        let reveal = self
            .schedule
            .reveal(block, self.time_ms, self.block_ms, self.reveal_period);
        let Some(reveal) = reveal else {
            return Ok(None);
        };
        let mut payload = Vec::new();
        // Commits name their sender since there is `commit_timelocked_weights`.
        if runtime.has_call(SUBTENSOR, "commit_timelocked_weights") {
            payload.extend(public_key(hotkey).to_vec().encode());
        }
        payload.extend((uids, values, self.version_key).encode());
        let sealed = encrypt(&payload, reveal.round, secrets);
        let version = self.commit_reveal_version;
        Ok(Some(Plan {
            call: runtime.commit_call(self.netuid, &sealed, reveal.round, version)?,
            weights: weights.to_vec(),
            commit: Some(Commit {
                sealed: hex::encode(&sealed),
                round: reveal.round,
                reveal_block: reveal.block,
                last_reveal_block: reveal.last_block,
                weights: weights.to_vec(),
            }),
        }))
    }

    fn check(&self, weights: &[(u16, u16)]) -> Result<(), Error> {
        let refuse = |problem: String| {
            let found = weights.len();
            Err(Error::Weights { found, problem })
        };
        let minimum = usize::from(self.min_weights).min(self.hotkeys.len()).max(1);
        if weights.len() < minimum {
            return refuse(format!("the subnet wants at least {minimum}"));
        }
        if let Some(pair) = weights.windows(2).find(|pair| pair[0].0 >= pair[1].0) {
            return refuse(format!("uid {} follows {}", pair[1].0, pair[0].0));
        }
        let count = self.hotkeys.len();
        if let Some((uid, _)) = weights.iter().find(|(uid, _)| usize::from(*uid) >= count) {
            return refuse(format!("uid {uid} is not among the subnet's {count}"));
        }
        let values = weights.iter().map(|(_, value)| u64::from(*value));
        let greatest = values.clone().max().unwrap_or_default();
        // The chain scales by the maximum, so this is what it will store.
        if greatest != u64::from(u16::MAX) {
            return refuse(format!("the greatest is {greatest}; it has to be 65535"));
        }
        let share = greatest * u64::from(u16::MAX);
        if self.max_weight < u16::MAX && share > u64::from(self.max_weight) * values.sum::<u64>() {
            let limit = self.max_weight;
            return refuse(format!("one has more than {limit}/65535 of the sum"));
        }
        Ok(())
    }
}
