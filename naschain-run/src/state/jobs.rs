//! Opening jobs for the candidates of the search, and asking for the weights of the front.

use naschain_consensus::{Action, Event, JobId, LeaseId, Millis, TrainingPart};
use naschain_core::Genome;
use naschain_nsga::{Ask, CandidateId, Pace};

use crate::ended_job::EndedJob;
use crate::state::RunState;

impl RunState {
    /// Opens jobs for the candidates that the search proposes.
    pub(super) fn open_jobs(&mut self, now: Millis, actions: &mut Vec<Action>) {
        while self.may_open()
            && let Ask::Candidate(candidate) = self.parts.search.ask()
        {
            let job = JobId(candidate.id.0);
            let genome = self.parts.search.canonical(candidate.id);
            let genome = genome.expect("the candidate was just asked for").clone();
            let open = self.opening(job, &genome);
            self.parts.genomes.insert(job, genome);
            let opened = self.parts.board.handle(now, open);
            actions.extend(opened.expect("candidates are numbered once"));
            self.collect_checkpoint(now, job, actions);
        }
    }

    /// The event that opens a job, which may continue the training of an earlier one.
    fn opening(&self, job: JobId, genome: &Genome) -> Event {
        let Some(part) = self.part(job) else {
            let flops = self.spec.training_flops(genome);
            return Event::Open { job, flops };
        };
        let epochs = part.until_epoch - part.from_epoch;
        let before = self.continued(job);
        Event::OpenPart {
            job,
            flops: self.spec.flops_of_epochs(genome, epochs),
            part,
            holders: before.map_or_else(Vec::new, EndedJob::rewarded),
        }
    }

    /// The ended job whose training a job continues.
    fn continued(&self, job: JobId) -> Option<&EndedJob> {
        let before = self.parts.search.continues(CandidateId(job.0))?;
        self.ended_job(JobId(before.0))
    }

    /// Asks the miners of the job before for the checkpoint that a job of several seats continues from:
    /// not all of its miners will have it.
    fn collect_checkpoint(&mut self, now: Millis, job: JobId, actions: &mut Vec<Action>) {
        let is_needed = self.spec.collects_models && self.spec.rules.seats > 1;
        let before = self.continued(job).filter(|_| is_needed);
        let Some((before, state)) = before.and_then(|ended| Some((ended, ended.result()?))) else {
            return;
        };
        let collect = Event::Collect {
            job: before.job,
            digest: state.digest,
            miners: before.rewarded(),
            is_awaited: true,
        };
        let asked = self.parts.board.handle(now, collect);
        actions.extend(asked.expect("a job is continued once"));
    }

    /// The number of epochs of the job of an active lease.
    pub fn epochs_of(&self, lease: LeaseId) -> u32 {
        let job = self.parts.board.seat_of(lease).map(|(job, _)| job);
        let part = job.and_then(|job| self.part(job));
        part.map_or(self.spec.recipe.epochs, |part| {
            part.until_epoch - part.from_epoch
        })
    }

    /// The epoch after which the training of a job ends.
    pub fn last_epoch(&self, job: JobId) -> u32 {
        let budget = self.parts.search.budget(CandidateId(job.0));
        budget.unwrap_or(self.spec.recipe.epochs)
    }

    /// The candidates from which the search made that of a job, as far as it is known.
    pub fn parents(&self, job: JobId) -> impl Iterator<Item = JobId> {
        let parents = self.parts.search.parents(CandidateId(job.0));
        parents.map(|CandidateId(parent)| JobId(parent))
    }

    /// The epochs that a job trains, in a run with rungs.
    pub fn part(&self, job: JobId) -> Option<TrainingPart> {
        let id = CandidateId(job.0);
        let until_epoch = self.parts.search.budget(id)?;
        let rungs = self.spec.search.rungs.iter();
        let from_epoch = rungs.take_while(|rung| **rung < until_epoch).last();
        let before = self.continued(job).and_then(EndedJob::result);
        Some(TrainingPart {
            from_epoch: from_epoch.copied().unwrap_or(0),
            until_epoch,
            from_state: before.map(|before| before.digest),
        })
    }

    /// A steady-state search proposes a candidate whenever it is asked, from what is known then;
    /// so it is asked only while fewer jobs are open than a population has genomes.
    fn may_open(&self) -> bool {
        let open = self.parts.genomes.len() - self.parts.ended.len();
        let search = &self.spec.search;
        search.pace == Pace::Generational || open < search.population
    }

    /// Asks the miners that agreed about a network of the front for its weights.
    pub(super) fn collect(&mut self, now: Millis, at: usize, actions: &mut Vec<Action>) {
        let ended = &self.parts.ended[at];
        let (job, Some(consensus)) = (ended.job, ended.result()) else {
            return;
        };
        let is_in_front = |state: &RunState| {
            let front = state.parts.search.front();
            front.iter().any(|point| point.id.0 == job.0)
        };
        if !self.spec.collects_models || !is_in_front(self) {
            return;
        }
        let collect = Event::Collect {
            job,
            digest: consensus.digest,
            miners: ended.rewarded(),
            is_awaited: false,
        };
        let asked = self.parts.board.handle(now, collect);
        actions.extend(asked.expect("a job closes once"));
    }
}
