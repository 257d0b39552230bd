//! What a validator has seen of a genomaster's run.

use anyhow::Result;
use naschain_run::{
    ClosedJob, EpochWeights, HistoryChain, HistoryHead, RunSpec, ScoringReport, ScoringTerms,
    validate,
};

use crate::client::Client;
use crate::validator::public_journal::PublicJournal;

/// What was seen of a run so far.
pub struct Seen {
    spec: RunSpec,
    legacy: bool,
    closed: Vec<ClosedJob>,
    chain: HistoryChain,
    journal: PublicJournal,
    /// What was wrong with a history that was told.
    problem: Option<String>,
}

impl Seen {
    /// Nothing of a run yet.
    fn new(spec: RunSpec, genomaster: Option<&str>, legacy: bool) -> Result<Seen> {
        Ok(Seen {
            chain: HistoryChain::new(spec.digest()),
            journal: PublicJournal::new(spec.clone(), genomaster, legacy)?,
            spec,
            legacy,
            closed: Vec::new(),
            problem: None,
        })
    }

    /// Nothing yet of a run that took the address over from another. A history that was wrong
    /// once stays so, or a genomaster could make it forgotten by another run.
    fn after(self, spec: RunSpec, genomaster: Option<&str>, legacy: bool) -> Result<Seen> {
        let (old, new) = (self.spec.digest(), spec.digest());
        tracing::warn!("run {new} has taken the address over from run {old}");
        let journal = self.journal.problem();
        for problem in self.problem.as_deref().into_iter().chain(journal) {
            tracing::error!("what was told of run {old} is not to be trusted: {problem}");
        }
        Ok(Seen {
            problem: self.problem,
            ..Seen::new(spec, genomaster, legacy)?
        })
    }

    /// Judges every job again and scores the miners. An epoch is `epoch_jobs` long, or as
    /// long as the run's population.
    pub fn validate(
        &self,
        epoch_jobs: Option<u32>,
        genomaster: Option<&str>,
        finished: bool,
    ) -> (ScoringReport, Vec<EpochWeights>) {
        let population = self.spec.search.population;
        let terms = ScoringTerms {
            run: self.spec.digest(),
            agreement: &self.spec.rules.agreement,
            genomaster,
            legacy: self.legacy,
            epoch_jobs: epoch_jobs.map_or(population, |n| n as usize),
            finished,
        };
        let (mut report, epochs) = validate(&self.closed, &terms);
        report.history = self.problem.clone();
        report.journal = self.journal.problem().map(str::to_owned);
        report.events = self.journal.events();
        (report, epochs)
    }
}

/// Gets what has ended since; says whether there was anything, and whether the run is finished.
pub async fn fetch(client: &Client, seen: &mut Option<Seen>, legacy: bool) -> Result<(bool, bool)> {
    let spec = client.run().await?;
    let genomaster = client.genomaster().await?;
    let now = match seen.take() {
        Some(known) if known.spec == spec => known,
        Some(other) => other.after(spec, genomaster, legacy)?,
        None => Seen::new(spec, genomaster, legacy)?,
    };
    let seen = seen.insert(now);
    let before = seen.closed.len();
    let (finished, head) = loop {
        let page = client.jobs(seen.closed.len()).await?;
        let whole = page.jobs.is_empty() || seen.closed.len() + page.jobs.len() >= page.total;
        seen.closed.extend(page.jobs);
        if whole {
            break (page.finished, page.head);
        }
    };
    seen.check(head.as_ref(), genomaster);
    seen.journal.follow(client).await?;
    seen.journal.hold(&seen.closed);
    Ok((seen.closed.len() > before, finished))
}

impl Seen {
    /// Holds what the genomaster vouches for against all that it has ever told. A history that
    /// was wrong once stays so.
    fn check(&mut self, head: Option<&HistoryHead>, genomaster: Option<&str>) {
        self.chain.follow(&self.closed);
        let problem = match head {
            Some(head) => self.chain.problem(head, genomaster),
            None => genomaster.map(|_| "the genomaster vouches for nothing".to_owned()),
        };
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
    fn a_wrong_history_is_not_forgotten_by_another_run() {
        let mut seen = Seen::new(spec(1), None, false).unwrap();
        seen.problem = Some("job 3 was changed".to_owned());
        let mut seen = seen.after(spec(2), None, false).unwrap();
        assert_eq!((&seen.spec, seen.closed.len()), (&spec(2), 0));
        seen.check(None, None);
        assert_eq!(seen.problem.as_deref(), Some("job 3 was changed"));
    }
}
