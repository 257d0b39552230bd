//! A miner at a genomaster with many runs: works for whichever it is assigned.

use std::collections::VecDeque;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use naschain_core::Digest;
use naschain_run::{AssignmentReply, AssignmentRequest, Wanted};
use tokio::sync::OnceCell;

use crate::client::Client;
use crate::client::transport::Transport;
use crate::clock;
use crate::journal::versions::versions;
use crate::miner::witness::Witness;
use crate::miner::{Ended, Miner, PreparedRun, WAIT_MS};
use crate::printable::printable;

/// Runs that are kept prepared, at most: each has its data set in memory.
const MAX_PREPARED: usize = 16;
/// Runs that could not be prepared and are not asked for for a while, at most.
const MAX_EXCEPTED: usize = 64;
/// How long such a run is not asked for at first; each further failure doubles it.
const FIRST_EXCEPTION: Duration = Duration::from_secs(2);
/// How often it doubles, at most: to about an hour.
const MAX_DOUBLINGS: u32 = 11;
/// How long a request waits while there are such runs, in milliseconds.
const SHORT_WAIT_MS: u64 = 3_000;
/// Pause after questions that could not be fetched.
const RETRY: Duration = Duration::from_secs(2);

/// A run that this machine has joined, or is about to.
type Membership = Arc<OnceCell<PreparedRun>>;

/// A run that has something for a miner.
struct Assigned {
    run: Digest,
    /// Calls it, at the genomaster that leads it.
    client: Client,
}

/// The runs of a miner; its workers share them.
#[derive(Clone, Default)]
pub(crate) struct Memberships(Arc<Mutex<KnownRuns>>);

#[derive(Default)]
struct KnownRuns {
    /// The run worked for last is the last one.
    prepared: VecDeque<(Digest, Membership)>,
    /// With how often it has failed, and until when it is not asked for.
    excepted: VecDeque<(Digest, u32, Instant)>,
}

impl Memberships {
    fn with<T>(&self, change: impl FnOnce(&mut KnownRuns) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn of(&self, run: Digest) -> Membership {
        self.with(|known| {
            let prepared = &mut known.prepared;
            let at = prepared.iter().position(|(one, _)| *one == run);
            let found = at.and_then(|at| prepared.remove(at));
            let found = found.map_or_else(Membership::default, |(_, found)| found);
            if prepared.len() == MAX_PREPARED {
                prepared.pop_front();
            }
            prepared.push_back((run, found.clone()));
            found
        })
    }

    fn forget(&self, run: Digest) {
        self.with(|known| known.prepared.retain(|(one, _)| *one != run));
    }

    fn except(&self, run: Digest) {
        self.forget(run);
        self.with(|known| {
            let excepted = &mut known.excepted;
            let before = excepted.iter().position(|(one, ..)| *one == run);
            let before = before.and_then(|at| excepted.remove(at));
            let failures = before.map_or(0, |(_, failures, _)| failures);
            if excepted.len() == MAX_EXCEPTED {
                excepted.pop_front();
            }
            let pause = FIRST_EXCEPTION * 2u32.pow(failures.min(MAX_DOUBLINGS));
            excepted.push_back((run, failures + 1, clock::now() + pause));
        });
    }

    /// The runs that are not asked for now.
    fn excepted(&self) -> Vec<Digest> {
        let now = clock::now();
        self.with(|known| {
            let excepted = known.excepted.iter().filter(|(.., until)| *until > now);
            excepted.map(|(run, ..)| *run).collect()
        })
    }

    /// The runs that the miner has joined.
    pub(crate) fn joined(&self) -> Vec<Digest> {
        self.with(|known| {
            let joined = known.prepared.iter().filter(|(_, run)| run.initialized());
            joined.map(|(run, _)| *run).collect()
        })
    }
}

impl Miner {
    /// Works for the runs that the genomaster assigns, until `stop` becomes true.
    pub(crate) async fn work_for_many(mut self, client: Client, runs: Memberships) {
        let mut failures = 0;
        while !*self.stop.borrow() {
            let done = match self.assigned(&client, &runs, Wanted::Jobs).await {
                Ok(Some(assigned)) => self.work_once(&runs, assigned).await,
                Ok(None) => Ok(()),
                Err(error) => Err(error),
            };
            match done {
                Ok(()) => failures = 0,
                Err(error) => {
                    failures += 1;
                    self.pause_after(&error, failures).await;
                }
            }
        }
    }

    /// Answers the questions of all runs, until `stop` becomes true.
    pub(crate) async fn answer_for_many(mut self, client: Client, runs: Memberships) {
        while !*self.stop.borrow() {
            let done = match self.assigned(&client, &runs, Wanted::Questions).await {
                Ok(Some(assigned)) => self.answer_once(&runs, assigned).await,
                Ok(None) => Ok(()),
                Err(error) => Err(error),
            };
            if let Err(error) = done {
                let error = format!("{error:#}");
                tracing::debug!("{}: questions: {}", self.name, printable(&error));
                tokio::time::sleep(RETRY).await;
            }
        }
    }

    /// A run that has something for this miner; `None` if there is none for a while.
    async fn assigned(
        &mut self,
        client: &Client,
        runs: &Memberships,
        wanted: Wanted,
    ) -> Result<Option<Assigned>> {
        let except = runs.excepted();
        let request = AssignmentRequest {
            miner: self.name.clone(),
            wanted,
            // While the request waits, a run may cease to be an exception.
            wait_ms: if except.is_empty() {
                WAIT_MS
            } else {
                SHORT_WAIT_MS
            },
            versions: versions(),
            except,
        };
        let request = &request;
        let reply = self
            .persist(|| async move { Ok(client.assignment(request).await?) })
            .await?;
        Ok(match reply {
            Some(AssignmentReply::Run { run, genomaster }) => Some(Assigned {
                run,
                client: match genomaster {
                    Some(at) => client.of_run_at(run, &at),
                    None => client.of_run(run),
                },
            }),
            Some(AssignmentReply::Wait) | None => None,
        })
    }

    /// This worker with the connection to a run, which is joined before if need be; `None` if it cannot
    /// be, or the miner must stop.
    async fn member(&self, runs: &Memberships, assigned: Assigned) -> Option<(Miner, PreparedRun)> {
        let Assigned { run, client } = assigned;
        let mut member = self.clone();
        member.transport = Transport::Http(client);
        // One task answers the questions of all runs.
        member.witnessing = Arc::new(AtomicBool::new(true));
        let membership = runs.of(run);
        let preparing = member.clone();
        let prepare = async || match preparing.clone().prepare(None).await {
            Ok(Some(prepared)) => Ok(prepared),
            Ok(None) => Err(None),
            Err(error) => Err(Some(error)),
        };
        let prepared = membership.get_or_try_init(prepare).await.cloned();
        match prepared {
            Ok(prepared) => Some((member, prepared)),
            Err(None) => None,
            Err(Some(error)) => {
                // Others may be able to: this miner works for other runs.
                let error = format!("{error:#}");
                tracing::warn!("{}: not run {run}: {}", self.name, printable(&error));
                runs.except(run);
                None
            }
        }
    }

    /// Does one job of a run.
    async fn work_once(&mut self, runs: &Memberships, assigned: Assigned) -> Result<()> {
        let run = assigned.run;
        let Some((mut member, mut prepared)) = self.member(runs, assigned).await else {
            return Ok(());
        };
        // Its work was just seen; if another miner was faster, this one asks for a run again.
        if let Ended::Run = member.one_job(&mut prepared, 0).await? {
            tracing::info!("{}: run {run} is finished", self.name);
            runs.forget(run);
        }
        Ok(())
    }

    /// Answers the open questions of a run.
    async fn answer_once(&self, runs: &Memberships, assigned: Assigned) -> Result<()> {
        let Some((member, prepared)) = self.member(runs, assigned).await else {
            return Ok(());
        };
        let witness = Witness {
            name: member.name,
            transport: member.transport,
            trainer: member.trainer,
            spec: prepared.spec,
            dataset: prepared.dataset,
            stop: member.stop,
        };
        witness.answer_open().await
    }
}
