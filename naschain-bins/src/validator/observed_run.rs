//! What a validator has observed of a genomaster's run.

pub(crate) mod fetch;
pub(crate) mod replay;
mod retrain;
mod rulings;

use std::collections::BTreeMap;

use anyhow::Result;
use naschain_consensus::{JobId, Row};
use naschain_core::Digest;
use naschain_run::{
    EndedJob, EpochWeights, Equivocation, HistoryChain, HistoryHead, JournalHead, RunSpec,
    ScoringReport, ScoringTerms, SignedHead, distrust, validate,
};

use crate::validator::observed_run::replay::Replay;
use crate::validator::public_journal::PublicJournal;
use crate::validator::state_folder::{SavedRun, StateFolder};

/// Maximum number of signed heads of a run that are kept, and shown to other validators.
pub(crate) const MAX_HEADS: usize = 64;

/// How a run is observed.
pub(crate) struct Observation {
    /// The genomaster's URL.
    pub url: String,
    /// The address that the genomaster must have, if the operator requires one.
    pub required: Option<String>,
    /// Whether unsigned miners of the reference network are accepted.
    pub legacy: bool,
    /// Whether it is one of many runs of the genomaster.
    pub has_many_runs: bool,
    /// Where the validator remembers what it has verified.
    pub state: StateFolder,
    /// What rulings of the referee are repeated with.
    pub replay: Replay,
}

/// The observed part of a run.
pub(crate) struct ObservedRun {
    spec: RunSpec,
    genomaster: Option<String>,
    legacy: bool,
    ended: Vec<EndedJob>,
    /// The seeds of their trainings as the genomaster gives them, in runs with a secret.
    training_seeds: Vec<u64>,
    finished: bool,
    chain: HistoryChain,
    journal: PublicJournal,
    /// What was verified before this validator was started.
    verified: Option<SavedRun>,
    /// The latest signed heads, the last one at the end.
    heads: Vec<SignedHead>,
    retrained: BTreeMap<JobId, Row>,
    /// Number of jobs that are in the journal and were considered for retraining.
    considered: usize,
    /// Number of rulings of the referee in the journal that were considered, and that were repeated.
    considered_rulings: usize,
    repeated_rulings: usize,
    /// The record as it was last written.
    saved: Option<SavedRun>,
    /// The first problem with a list of jobs, of this run or of an earlier one.
    problem: Option<String>,
}

impl ObservedRun {
    /// The run's identity.
    pub(crate) fn run(&self) -> Digest {
        self.spec.digest()
    }

    /// A run of which this process has observed nothing yet.
    fn new(
        spec: RunSpec,
        genomaster: Option<&str>,
        observation: &Observation,
    ) -> Result<ObservedRun> {
        let (run, state) = (spec.digest(), &observation.state);
        let verified = state.run(run)?;
        let required = observation.required.as_deref();
        let mut problem = state.pin(&observation.url, genomaster, required)?;
        if let Some(before) = &verified {
            let pinned = before.genomaster.as_deref();
            if pinned.is_some() && pinned != genomaster {
                problem = problem.or(Some(format!(
                    "run {run} was signed by {} before and is now by {}",
                    pinned.unwrap_or_default(),
                    genomaster.unwrap_or("nobody"),
                )));
            }
        }
        if state.equivocation(run)?.is_some() {
            problem = Some(two_histories(state, run));
        }
        let head = verified.as_ref().map(SavedRun::journal);
        let known = verified.clone();
        Ok(ObservedRun {
            chain: HistoryChain::new(run),
            journal: PublicJournal::new(spec.clone(), genomaster, observation.legacy, head)?,
            spec,
            genomaster: genomaster.map(str::to_owned),
            legacy: observation.legacy,
            ended: Vec::new(),
            training_seeds: Vec::new(),
            finished: false,
            heads: known.as_ref().map_or_else(Vec::new, |r| r.heads.clone()),
            retrained: known.map_or_else(BTreeMap::new, |r| r.retrained),
            considered: 0,
            considered_rulings: 0,
            repeated_rulings: 0,
            saved: verified.clone(),
            verified,
            problem,
        })
    }

    /// A new run at the same address. A problem of the old run's history is kept: otherwise a
    /// genomaster could hide it by starting another run.
    ///
    /// # Errors
    /// If the new run cannot be observed; then the old one still is.
    fn replaced_by(
        &self,
        spec: RunSpec,
        genomaster: Option<&str>,
        observation: &Observation,
    ) -> Result<ObservedRun> {
        let (old, new) = (self.spec.digest(), spec.digest());
        let mut next = ObservedRun::new(spec, genomaster, observation)?;
        tracing::warn!("run {new} has replaced run {old} at this address");
        let journal = self.journal.problem();
        for problem in self.problem.as_deref().into_iter().chain(journal) {
            tracing::error!("run {old} cannot be trusted: {problem}");
        }
        next.problem = self.problem.clone().or(next.problem);
        Ok(next)
    }

    /// Recomputes the verdict of every job that is in the journal and scores the miners. An epoch
    /// has `epoch_jobs` jobs or, by default, as many as the run's population.
    pub(crate) fn validate(&self, epoch_jobs: Option<u32>) -> (ScoringReport, Vec<EpochWeights>) {
        let population = self.spec.search.population;
        let mut terms = ScoringTerms::new(self.spec.digest(), &self.spec.rules.agreement);
        terms.spec = Some(&self.spec);
        terms.genomaster = self.genomaster.as_deref();
        terms.legacy = self.legacy;
        terms.epoch_jobs = epoch_jobs.map_or(population, |n| n as usize);
        let proven = self.proven();
        terms.finished = self.journal.is_finished() && proven.len() == self.ended.len();
        terms.retrained = &self.retrained;
        let (mut report, epochs) = validate(proven, &terms);
        report.unproven = self.ended.len() - proven.len();
        report.history = self.problem.clone();
        report.journal = self.journal.problem().map(str::to_owned);
        report.events = self.journal.head().number;
        report.rulings = self.journal.rulings().len();
        report.repeated_rulings = self.repeated_rulings;
        (report, epochs)
    }

    /// The jobs that are in the verified journal. What a genomaster only lists pays nobody.
    fn proven(&self) -> &[EndedJob] {
        let proven = self.journal.ended_jobs().len().min(self.ended.len());
        &self.ended[..proven]
    }

    /// The genomaster's address, if it has one.
    pub(crate) fn genomaster(&self) -> Option<&str> {
        self.genomaster.as_deref()
    }

    /// Why this genomaster cannot be trusted, if so.
    pub(crate) fn distrust(&self) -> Option<String> {
        distrust(self.problem.as_deref(), self.journal.problem())
    }

    /// The heads that the genomaster has signed, for other validators.
    pub(crate) fn heads(&self) -> &[SignedHead] {
        &self.heads
    }

    /// Compares the head that the genomaster signs with all jobs that it has ever listed, also to
    /// this validator before a restart. A problem that was found once is kept, even if a later head
    /// is right.
    fn check(&mut self, head: Option<&HistoryHead>, state: &StateFolder) -> Result<()> {
        let genomaster = self.genomaster.as_deref();
        let problem = match head {
            Some(head) => self.chain.problem(head, genomaster),
            None => {
                genomaster.map(|_| "the genomaster did not sign the head of its history".to_owned())
            }
        };
        let is_right = problem.is_none();
        let problem = problem.or_else(|| self.rewritten());
        // A genomaster that has shown two histories could otherwise return to the first one.
        self.problem = self.problem.take().or(problem);
        let length = self.chain.length();
        let signed = head.and_then(|head| SignedHead::new(self.spec.digest(), length, head));
        if let Some(signed) = signed.filter(|_| is_right && self.genomaster.is_some()) {
            let before = self.heads.clone();
            self.compare_heads(&before, &signed, state)?;
            if self.heads.last() != Some(&signed) {
                self.heads.push(signed);
                let surplus = self.heads.len().saturating_sub(MAX_HEADS);
                self.heads.drain(..surplus);
            }
        }
        Ok(())
    }

    /// What this history lacks of the one that was verified before a restart.
    fn rewritten(&self) -> Option<String> {
        let known = self.verified.as_ref()?;
        let (jobs, known_jobs) = (self.chain.length(), known.jobs);
        match self.chain.hash_at(known_jobs) {
            Some(hash) if hash == known.jobs_hash => None,
            Some(hash) => Some(format!(
                "the hash of its first {known_jobs} jobs is {hash}, but was {} when they were verified before: it was rewritten",
                known.jobs_hash
            )),
            None => Some(format!(
                "it has {jobs} jobs, but {known_jobs} were verified before: jobs were removed"
            )),
        }
    }

    /// Compares heads that the genomaster has signed, for this validator or for another one, with
    /// `own`, its latest head for this validator.
    fn compare_heads(
        &mut self,
        heads: &[SignedHead],
        own: &SignedHead,
        state: &StateFolder,
    ) -> Result<()> {
        let same_genomaster = |head: &&SignedHead| head.run == own.run && head.hotkey == own.hotkey;
        let mut comparable = heads.iter().filter(same_genomaster);
        let found =
            comparable.find_map(|head| Equivocation::find(head, own, &self.chain, &self.ended));
        if let Some(proof) = found {
            let run = self.spec.digest();
            let problem = two_histories(state, run);
            tracing::error!("the genomaster {}: {problem}", own.hotkey);
            // First, because the disk may be full.
            self.problem = Some(problem);
            state.save_proof(&state.equivocation_file(run), &proof)?;
        }
        Ok(())
    }

    /// Compares heads from other validators with this history. Those that are not signed by this
    /// run's genomaster are ignored: anybody can invent them.
    pub(crate) fn compare_with_peers(
        &mut self,
        heads: &[SignedHead],
        state: &StateFolder,
    ) -> Result<()> {
        match self.heads.last().cloned() {
            Some(own) => self.compare_heads(heads, &own, state),
            None => Ok(()),
        }
    }

    /// Checks what can only be checked after the list and the journal were read.
    fn check_journal(&mut self) {
        let (listed, proven) = (self.ended.len(), self.journal.ended_jobs().len());
        if self.finished && proven < listed && self.journal.problem().is_none() {
            // No open job hides the end of the journal of a finished run.
            self.problem.get_or_insert_with(|| {
                format!("{listed} jobs are listed as finished, but the journal has only {proven}")
            });
        }
        if self.finished && proven == listed && self.journal.problem().is_none() {
            let missing = self.journal.missing_secret();
            self.problem = self.problem.take().or(missing);
        }
        if self.spec.secret_hash.is_some() && self.training_seeds.len() != listed {
            let seeds = self.training_seeds.len();
            self.problem.get_or_insert_with(|| {
                format!("{listed} jobs are listed as finished, with {seeds} training seeds")
            });
        }
        if let Some(secret) = self.journal.secret() {
            let seeds = self.ended.iter().zip(&self.training_seeds);
            let wrong = seeds
                .filter(|(job, seed)| secret.seed_in(&self.spec, job.job, &job.genome) != **seed)
                .map(|(job, _)| job.job)
                .next();
            if let Some(job) = wrong {
                self.problem.get_or_insert_with(|| {
                    format!("the training seed of {job} does not follow from the run's secret")
                });
            }
        }
    }

    /// Writes what is verified, unless something is wrong: then what was verified before is kept.
    fn save(&mut self, state: &StateFolder) -> Result<()> {
        if self.problem.is_some() || self.journal.problem().is_some() {
            return Ok(());
        }
        let JournalHead { number, hash } = self.journal.head();
        let jobs = self.chain.length();
        let record = SavedRun {
            run: self.spec.digest(),
            genomaster: self.genomaster.clone(),
            events: number,
            events_hash: hash,
            jobs,
            jobs_hash: self.chain.hash_at(jobs).unwrap_or(self.spec.digest()),
            heads: self.heads.clone(),
            retrained: self.retrained.clone(),
        };
        if self.saved.as_ref() != Some(&record) {
            state.save_run(&record)?;
            self.saved = Some(record);
        }
        Ok(())
    }
}

fn two_histories(state: &StateFolder, run: naschain_core::Digest) -> String {
    let file = state.equivocation_file(run);
    format!(
        "the genomaster has signed two histories of run {run}; the proof is in {}",
        file.display()
    )
}

#[cfg(test)]
mod tests;
