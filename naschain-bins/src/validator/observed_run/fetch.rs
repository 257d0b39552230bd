//! Fetches what a genomaster has added to its list of jobs and to its journal, within limits: neither
//! may fill the validator's memory.

use anyhow::Result;
use naschain_run::{EndedJob, HistoryHead, ProblemKind};

use crate::client::{Client, ClientError};
use crate::validator::observed_run::{Observation, ObservedRun};

/// When the listed jobs that the journal does not contain have this size, as JSON, the list is not read
/// further until the journal contains them: as much as the largest page.
const MAX_UNPROVEN_BYTES: usize = 32 << 20;

/// The end of a genomaster's list of jobs.
struct ListEnd {
    head: Option<HistoryHead>,
    finished: bool,
}

/// Fetches the jobs that have ended since the last call. Returns whether there are any, and whether
/// the run is finished.
///
/// # Errors
/// If something cannot be fetched, or another run has taken over the address and cannot be observed.
/// `observed` is still the run before then.
pub(crate) async fn fetch(
    client: &Client,
    observed: &mut Option<ObservedRun>,
    observation: &Observation,
) -> Result<(bool, bool)> {
    let spec = match client.run().await {
        Err(ClientError::Refused(invalid)) if invalid.kind == ProblemKind::InvalidRun => {
            if let Some(run) = observed {
                let problem =
                    || format!("another run has taken over its address: {}", invalid.detail);
                run.problem.get_or_insert_with(problem);
            }
            return Err(ClientError::Refused(invalid).into());
        }
        answer => answer?,
    };
    let genomaster = client.genomaster().await?;
    let now = match observed.take_if(|run| run.spec == spec) {
        Some(same) => same,
        None => match observed.as_ref() {
            Some(other) => other.replaced_by(spec, genomaster, observation)?,
            None => ObservedRun::new(spec, genomaster, observation)?,
        },
    };
    let run = observed.insert(now);
    let before = run.proven().len();
    let end = run.follow_list(client).await?;
    run.chain.follow(&run.ended);
    if let Some(end) = end {
        run.finished = end.finished;
        run.check(end.head.as_ref(), &observation.state)?;
    }
    // After the jobs, so that the journal contains them unless an open job hides its end.
    run.follow_journal(client).await?;
    run.check_journal();
    let replay = &observation.replay;
    run.replay_rulings(client, replay, &observation.state)
        .await?;
    run.save(&observation.state)?;
    Ok((run.proven().len() > before, run.finished))
}

impl ObservedRun {
    /// Fetches the rest of the genomaster's list of jobs; `None` if it is not read to its end.
    async fn follow_list(&mut self, client: &Client) -> Result<Option<ListEnd>> {
        let mut unproven_bytes = self.unproven_bytes();
        loop {
            if unproven_bytes >= MAX_UNPROVEN_BYTES {
                self.follow_journal(client).await?;
                unproven_bytes = self.unproven_bytes();
                if unproven_bytes >= MAX_UNPROVEN_BYTES {
                    return Ok(None);
                }
            }
            let page = client.jobs(self.ended.len()).await?;
            let (listed, most) = (self.ended.len() + page.jobs.len(), self.spec.max_jobs());
            if listed > most {
                self.problem.get_or_insert_with(|| {
                    format!("{listed} jobs are listed, but the search has at most {most}")
                });
                return Ok(None);
            }
            // An empty page also ends the loop, because `total` is only a claim of the genomaster.
            let complete = page.jobs.is_empty() || listed >= page.total;
            unproven_bytes += page.jobs.iter().map(json_bytes).sum::<usize>();
            // Too few are a fault of the genomaster; too many would only take memory.
            let seeds = page.training_seeds.into_iter().take(page.jobs.len());
            self.training_seeds.extend(seeds);
            self.ended.extend(page.jobs);
            if complete {
                return Ok(Some(ListEnd {
                    head: page.head,
                    finished: page.finished,
                }));
            }
        }
    }

    async fn follow_journal(&mut self, client: &Client) -> Result<()> {
        self.journal.follow(client).await?;
        self.journal.compare(&self.ended);
        Ok(())
    }

    /// The size of the listed jobs that are not in the journal.
    fn unproven_bytes(&self) -> usize {
        let unproven = &self.ended[self.proven().len()..];
        unproven.iter().map(json_bytes).sum()
    }
}

fn json_bytes(job: &EndedJob) -> usize {
    serde_json::to_vec(job).map_or(0, |json| json.len())
}
