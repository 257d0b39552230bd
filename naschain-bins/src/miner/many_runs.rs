//! A miner at a genomaster with many runs: works for whichever it is assigned.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use naschain_core::Digest;
use naschain_run::{AssignmentReply, AssignmentRequest};

use crate::client::Client;
use crate::client::transport::Transport;
use crate::journal::versions::versions;
use crate::miner::witness::Witnessing;
use crate::miner::{Ended, Miner, PreparedRun, WAIT_MS};
use crate::printable::printable;

/// Runs that are kept prepared, at most: each has its data set in memory.
const MAX_PREPARED: usize = 8;
/// Runs that could not be prepared and are not asked for again, at most.
const MAX_EXCEPTED: usize = 64;

/// Whether each run's questions are answered; workers share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Witnesses(Arc<Mutex<BTreeMap<Digest, Witnessing>>>);

impl Witnesses {
    fn of(&self, run: Digest) -> Witnessing {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Only those that answer still.
        all.retain(|_, witnessing| Arc::strong_count(witnessing) > 1);
        all.entry(run).or_default().clone()
    }
}

/// A run that a worker has joined.
struct Membership {
    /// The worker, with the connection to this run.
    miner: Miner,
    prepared: PreparedRun,
}

/// The runs of a worker.
struct Memberships {
    /// The run worked for last is the last one.
    runs: VecDeque<(Digest, Membership)>,
    excepted: VecDeque<Digest>,
}

impl Miner {
    /// Works for the runs that the genomaster assigns, until `stop` becomes true. Returns the runs
    /// that the miner still takes part in.
    pub(crate) async fn work_for_many(
        mut self,
        client: Client,
        witnesses: Witnesses,
    ) -> Result<Vec<Digest>> {
        let mut memberships = Memberships {
            runs: VecDeque::new(),
            excepted: VecDeque::new(),
        };
        let mut failures = 0;
        while !*self.stop.borrow() {
            let request = AssignmentRequest {
                miner: self.name.clone(),
                wait_ms: WAIT_MS,
                versions: versions(),
                except: memberships.excepted.iter().copied().collect(),
            };
            let (asking, request) = (client.clone(), &request);
            let assigned = self.persist(|| {
                let asking = asking.clone();
                async move { Ok(asking.assignment(request).await?) }
            });
            let run = match assigned.await {
                Ok(None) => break,
                Ok(Some(AssignmentReply::Wait)) => continue,
                Ok(Some(AssignmentReply::Run { run })) => run,
                Err(error) => {
                    failures += 1;
                    self.pause_after(&error, failures).await;
                    continue;
                }
            };
            match self
                .work_once(&client, &witnesses, run, &mut memberships)
                .await
            {
                Ok(()) => failures = 0,
                Err(error) => {
                    failures += 1;
                    self.pause_after(&error, failures).await;
                }
            }
        }
        Ok(memberships.runs.into_iter().map(|(run, _)| run).collect())
    }

    /// Does one job of a run, which is joined before if need be.
    async fn work_once(
        &mut self,
        client: &Client,
        witnesses: &Witnesses,
        run: Digest,
        memberships: &mut Memberships,
    ) -> Result<()> {
        let known = memberships.runs.iter().position(|(known, _)| *known == run);
        let mut membership = match known.and_then(|at| memberships.runs.remove(at)) {
            Some((_, membership)) => membership,
            None => {
                let mut miner = self.clone();
                miner.transport = Transport::Http(client.of_run(run));
                miner.witnessing = witnesses.of(run);
                match miner.prepare(None).await {
                    Ok(Some(prepared)) => Membership { miner, prepared },
                    Ok(None) => return Ok(()),
                    Err(error) => {
                        // Others may be able to: this miner works for other runs.
                        let error = format!("{error:#}");
                        tracing::warn!("{}: not run {run}: {}", self.name, printable(&error));
                        if memberships.excepted.len() == MAX_EXCEPTED {
                            memberships.excepted.pop_front();
                        }
                        memberships.excepted.push_back(run);
                        return Ok(());
                    }
                }
            }
        };
        // Its work was just seen; if another miner was faster, this one asks for a run again.
        let ended = membership.miner.one_job(&mut membership.prepared, 0).await;
        if matches!(ended, Ok(Ended::Run)) {
            tracing::info!("{}: run {run} is finished", self.name);
            return Ok(());
        }
        if memberships.runs.len() == MAX_PREPARED {
            memberships.runs.pop_front();
        }
        memberships.runs.push_back((run, membership));
        ended.map(drop)
    }
}
