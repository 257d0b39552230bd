//! Requests for work that wait: each event that makes work repeats them, so their number is limited.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use naschain_consensus::{Action, Millis, MinerId, NoWork};

/// How long at most a request above the limit is held, without being repeated, before it is answered.
pub(crate) const MAX_HELD: Duration = Duration::from_secs(5);

/// Number of waiting requests of each miner.
#[derive(Default)]
pub(crate) struct WaitingCounts(Mutex<BTreeMap<MinerId, usize>>);

/// A request that waits; dropping it ends that.
pub(crate) struct WaitingRequest {
    waiting: Arc<WaitingCounts>,
    miner: MinerId,
}

impl WaitingCounts {
    /// Counts another waiting request of a miner; `None` if it has `limit` already.
    pub(crate) fn enter(self: &Arc<Self>, miner: &MinerId, limit: usize) -> Option<WaitingRequest> {
        let mut counts = self.counts();
        let count = counts.entry(miner.clone()).or_default();
        if *count >= limit {
            return None;
        }
        *count += 1;
        Some(WaitingRequest {
            waiting: self.clone(),
            miner: miner.clone(),
        })
    }

    /// Ignores poisoning: no update can be left incomplete by a panic.
    fn counts(&self) -> MutexGuard<'_, BTreeMap<MinerId, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for WaitingRequest {
    fn drop(&mut self) {
        let mut counts = self.waiting.counts();
        if let Some(count) = counts.get_mut(&self.miner) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.miner);
            }
        }
    }
}

/// When a miner that got no work should ask again although no event announces it.
pub(crate) fn eligible_at(actions: &[Action]) -> Option<Millis> {
    actions.iter().find_map(|action| match action {
        Action::Idle {
            reason:
                NoWork::TooFast { until }
                | NoWork::BackOff { until }
                | NoWork::Draw { until }
                | NoWork::HeldUp { until },
            ..
        } => Some(*until),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_miner_has_a_limited_number_of_waiting_requests() {
        let waiting = Arc::new(WaitingCounts::default());
        let (ada, bob): (MinerId, MinerId) = ("ada".parse().unwrap(), "bob".parse().unwrap());
        let first = waiting.enter(&ada, 2).unwrap();
        let _second = waiting.enter(&ada, 2).unwrap();
        assert!(waiting.enter(&ada, 2).is_none());
        assert!(waiting.enter(&bob, 2).is_some());
        drop(first);
        assert!(waiting.enter(&ada, 2).is_some());
        assert_eq!(waiting.counts().len(), 1);
    }
}
