//! What a validator has observed of a genomaster's run.

use anyhow::Result;
use naschain_run::{
    ClosedJob, EpochWeights, HistoryChain, HistoryHead, RunSpec, ScoringReport, ScoringTerms,
    validate,
};

use crate::client::Client;
use crate::validator::public_journal::PublicJournal;

/// The observed part of a run.
pub struct ObservedRun {
    spec: RunSpec,
    legacy: bool,
    closed: Vec<ClosedJob>,
    chain: HistoryChain,
    journal: PublicJournal,
    /// The first problem with a list of jobs, of this run or of an earlier one.
    problem: Option<String>,
}

impl ObservedRun {
    /// A run of which nothing has been observed yet.
    fn new(spec: RunSpec, genomaster: Option<&str>, legacy: bool) -> Result<ObservedRun> {
        Ok(ObservedRun {
            chain: HistoryChain::new(spec.digest()),
            journal: PublicJournal::new(spec.clone(), genomaster, legacy)?,
            spec,
            legacy,
            closed: Vec::new(),
            problem: None,
        })
    }

    /// A new run at the same address. A problem of the old run's history is kept: otherwise a
    /// genomaster could hide it by starting another run.
    fn replaced_by(
        self,
        spec: RunSpec,
        genomaster: Option<&str>,
        legacy: bool,
    ) -> Result<ObservedRun> {
        let (old, new) = (self.spec.digest(), spec.digest());
        tracing::warn!("run {new} has replaced run {old} at this address");
        let journal = self.journal.problem();
        for problem in self.problem.as_deref().into_iter().chain(journal) {
            tracing::error!("run {old} cannot be trusted: {problem}");
        }
        Ok(ObservedRun {
            problem: self.problem,
            ..ObservedRun::new(spec, genomaster, legacy)?
        })
    }

    /// Recomputes the verdict of every job and scores the miners. An epoch has `epoch_jobs` jobs
    /// or, by default, as many as the run's population.
    pub fn validate(
        &self,
        epoch_jobs: Option<u32>,
        genomaster: Option<&str>,
        finished: bool,
    ) -> (ScoringReport, Vec<EpochWeights>) {
        let population = self.spec.search.population;
        let mut terms = ScoringTerms::new(self.spec.digest(), &self.spec.rules.agreement);
        terms.genomaster = genomaster;
        terms.legacy = self.legacy;
        terms.epoch_jobs = epoch_jobs.map_or(population, |n| n as usize);
        terms.finished = finished;
        let (mut report, epochs) = validate(&self.closed, &terms);
        report.history = self.problem.clone();
        report.journal = self.journal.problem().map(str::to_owned);
        report.events = self.journal.events();
        (report, epochs)
    }
}

/// Fetches the jobs that have ended since the last call. Returns whether there are any, and whether
/// the run is finished.
pub async fn fetch(
    client: &Client,
    observed: &mut Option<ObservedRun>,
    legacy: bool,
) -> Result<(bool, bool)> {
    let spec = client.run().await?;
    let genomaster = client.genomaster().await?;
    let now = match observed.take() {
        Some(same) if same.spec == spec => same,
        Some(other) => other.replaced_by(spec, genomaster, legacy)?,
        None => ObservedRun::new(spec, genomaster, legacy)?,
    };
    let run = observed.insert(now);
    let before = run.closed.len();
    let (finished, head) = loop {
        let page = client.jobs(run.closed.len()).await?;
        // An empty page also ends the loop, because `total` is only a claim of the genomaster.
        let complete = page.jobs.is_empty() || run.closed.len() + page.jobs.len() >= page.total;
        run.closed.extend(page.jobs);
        if complete {
            break (page.finished, page.head);
        }
    };
    run.check(head.as_ref(), genomaster);
    // After the jobs, so that the journal contains them unless an open job hides its end.
    run.journal.follow(client).await?;
    run.journal.compare(&run.closed);
    Ok((run.closed.len() > before, finished))
}

impl ObservedRun {
    /// Compares the head that the genomaster signs with all jobs that it has ever listed. A
    /// problem that was found once is kept, even if a later head is right.
    fn check(&mut self, head: Option<&HistoryHead>, genomaster: Option<&str>) {
        self.chain.follow(&self.closed);
        let problem = match head {
            Some(head) => self.chain.problem(head, genomaster),
            None => genomaster.map(|_| "the genomaster signs no head of its history".to_owned()),
        };
        // A genomaster that has shown two histories could otherwise return to the first one.
        self.problem = self.problem.take().or(problem);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::data_args::DataArgs;
    use crate::cli::run_args::RunArgs;
    use clap::Parser;
    use naschain_train::Dataset;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        run: RunArgs,
        #[command(flatten)]
        data: DataArgs,
    }

    fn spec(seed: u64) -> RunSpec {
        let flags = Flags::parse_from(["run".to_owned(), format!("--seed={seed}")]);
        flags.run.spec(&flags.data, &Dataset::digits()).unwrap()
    }

    #[test]
    fn a_problem_of_a_history_survives_another_run() {
        let mut run = ObservedRun::new(spec(1), None, false).unwrap();
        run.problem = Some("job 3 was changed".to_owned());
        let mut run = run.replaced_by(spec(2), None, false).unwrap();
        assert_eq!((&run.spec, run.closed.len()), (&spec(2), 0));
        run.check(None, None);
        assert_eq!(run.problem.as_deref(), Some("job 3 was changed"));
    }
}
