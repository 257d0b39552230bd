//! The processor time that the runs of users have used.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use anyhow::Result;

use crate::hosting::host::Host;
use crate::hosting::hosted_run::HostedRun;

impl Host {
    /// Stores the processor time that runs have used.
    pub(crate) async fn count_used(&self) -> Result<()> {
        let mut used: BTreeMap<String, u64> = BTreeMap::new();
        for run in self.open_runs() {
            *used.entry(run.owner.clone()).or_default() += run.account.take_used_ms();
        }
        let mut changed = false;
        for (user, ms) in used {
            if ms > 0 {
                self.home.add_used(&user, ms).await?;
            }
            let stored = self.home.user(&user).await?;
            let is_exhausted = stored.is_some_and(|user| user.has_used_up_hours());
            let mut exhausted = self
                .exhausted
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            changed |= if is_exhausted {
                exhausted.insert(user)
            } else {
                exhausted.remove(&user)
            };
        }
        if changed {
            self.update_shares().await;
        }
        Ok(())
    }

    /// Stores the processor time of a run that is about to be closed.
    pub(super) async fn count_used_by(&self, run: &HostedRun) -> Result<()> {
        let ms = run.account.take_used_ms();
        if ms > 0 {
            self.home.add_used(&run.owner, ms).await?;
        }
        Ok(())
    }

    /// Whether the runs of a user have used all the processor time that they may.
    pub(crate) fn has_used_up_hours(&self, user: &str) -> bool {
        let exhausted = self
            .exhausted
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        exhausted.contains(user)
    }
}
