//! Spreading the runs over the genomasters that share a database.
//!
//! Each looks twice a second at which runs go on and who leads them. It claims runs that nobody leads, as
//! long as it has fewer than its part, and releases runs when it has more. A run moves by being
//! closed at one genomaster and opened at another, from its journal in the database.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use naschain_core::Digest;

use crate::clock;
use crate::home::runs::{RunStatus, StoredRun};
use crate::home::work::WorkKey;
use crate::hosting::cluster::Cluster;
use crate::hosting::host::Host;

/// How often a genomaster looks.
const INTERVAL: Duration = Duration::from_millis(500);
/// FLOPs of one MFLOP.
const MEGA: u64 = 1_000_000;
/// Pause before a run that could not be opened is tried again.
const RETRY: Duration = Duration::from_secs(30);

impl Host {
    /// Keeps this genomaster among the others, until the process ends.
    pub(super) async fn spread_forever(self: Arc<Host>) {
        let Some(cluster) = &self.cluster else { return };
        // On its own: opening runs may take long.
        tokio::spawn(self.clone().stay_present());
        let (mut failed, mut known_work) = (BTreeMap::new(), None);
        loop {
            if let Err(error) = self.spread(cluster, &mut failed).await {
                tracing::error!("the other genomasters: {error:#}");
            }
            if let Err(error) = self.share_work(cluster, &mut known_work).await {
                tracing::error!("the work of users: {error:#}");
            }
            cluster.without_work.clean();
            tokio::time::sleep(INTERVAL).await;
        }
    }

    /// Notes that this genomaster is there, and reads which others are.
    async fn stay_present(self: Arc<Host>) {
        let Some(cluster) = &self.cluster else { return };
        loop {
            let noted = cluster.note_presence().await;
            let read = cluster.read_others().await;
            if let Err(error) = noted.and(read) {
                tracing::error!("the other genomasters: {error:#}");
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }

    async fn spread(
        self: &Arc<Host>,
        cluster: &Cluster,
        failed: &mut BTreeMap<Digest, Instant>,
    ) -> Result<()> {
        let alive = cluster.alive();
        let runs = self.home.open_runs().await?;
        self.close_lost(cluster, &runs).await;
        self.note_elsewhere(cluster, &runs).await;
        let is_own = |run: &&StoredRun| run.leader.as_deref() == Some(cluster.id());
        let own: Vec<&StoredRun> = runs.iter().filter(is_own).collect();
        let most = runs.len().div_ceil(alive.len());
        for excess in own.iter().skip(most).rev() {
            self.give_away(cluster, excess.id).await?;
        }
        failed.retain(|_, since| since.elapsed() < RETRY);
        let has_leader =
            |run: &&StoredRun| run.leader.as_ref().is_some_and(|id| alive.contains(id));
        let unled = runs.iter().filter(|run| !has_leader(run));
        let wanted = unled.take(most.saturating_sub(own.len()));
        let to_open = own.iter().take(most).copied().chain(wanted);
        for run in to_open {
            if self.is_open(run.id) || failed.contains_key(&run.id) {
                continue;
            }
            // Another may have been faster.
            let alive = cluster.alive();
            if !self.home.claim(run.id, cluster.id(), &alive).await? {
                continue;
            }
            if let Err(error) = self.opened(run.clone()).await {
                tracing::error!("run {} ({}) cannot be opened: {error:#}", run.name, run.id);
                // Another may be able to.
                self.home.release(run.id, cluster.id()).await?;
                failed.insert(run.id, clock::now());
            }
        }
        Ok(())
    }

    /// Closes the runs that another genomaster leads now, or has ended or deleted, as after this process
    /// has hung.
    async fn close_lost(self: &Arc<Host>, cluster: &Cluster, runs: &[StoredRun]) {
        for open in self.open_runs() {
            let found = runs.iter().find(|run| run.id == open.id);
            let is_own = found.is_some_and(|run| run.leader.as_deref() == Some(cluster.id()));
            if is_own || !open.status().is_open() {
                continue;
            }
            // Again, as it is now: it may have begun or ended since the runs were read.
            let now = self.home.run(open.id).await;
            let is_own = |run: StoredRun| run.leader.as_deref() == Some(cluster.id());
            if now.is_err() || now.is_ok_and(|run| run.is_some_and(is_own)) {
                continue;
            }
            tracing::warn!(
                "{} of {}: it is not led here any more",
                open.name,
                open.owner
            );
            if let Err(error) = self.close_now(open.id).await {
                tracing::warn!("{error:#}");
            }
        }
    }

    /// Lets another genomaster lead a run.
    async fn give_away(self: &Arc<Host>, cluster: &Cluster, run: Digest) -> Result<()> {
        if self.is_open(run) {
            tracing::info!("run {run} moves to another genomaster");
            self.close_now(run).await?;
        }
        self.home.release(run, cluster.id()).await
    }

    /// Tells the others what users have got of the miners' work here, and charges what they have got
    /// there, so that the shares of users are those of all genomasters together.
    async fn share_work(
        &self,
        cluster: &Cluster,
        known: &mut Option<BTreeMap<WorkKey, u64>>,
    ) -> Result<()> {
        let mut new: BTreeMap<String, u64> = BTreeMap::new();
        for run in self.open_runs() {
            *new.entry(run.owner.clone()).or_default() += run.account.take_new_work();
        }
        for (user, flops) in new {
            let megaflops = flops.div_ceil(MEGA);
            if megaflops > 0 {
                self.home.add_work(cluster.id(), &user, megaflops).await?;
            }
        }
        let found = self.home.work_elsewhere(cluster.id()).await?;
        if let Some(known) = known {
            let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
            for (key, total) in &found {
                let before = known.get(key).copied().unwrap_or(0);
                let more = total.saturating_sub(before);
                let (_, user) = key;
                shares.charge(user, more.saturating_mul(MEGA));
            }
        }
        *known = Some(found);
        Ok(())
    }

    /// Notes which users have runs that others lead and, where that has changed, the users' shares.
    async fn note_elsewhere(&self, cluster: &Cluster, runs: &[StoredRun]) {
        let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for run in runs {
            if let Some(leader) = &run.leader
                && leader != cluster.id()
                && run.status == RunStatus::Running
            {
                let leaders = found.entry(run.owner.clone()).or_default();
                leaders.insert(leader.clone());
            }
        }
        let changed = {
            let mut known = cluster
                .elsewhere
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let changed = *known != found;
            *known = found;
            changed
        };
        if changed {
            self.update_shares().await;
        }
    }
}
