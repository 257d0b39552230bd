//! The genomaster's state: search and job board joined, the fold of a run's journal.

mod jobs;

use std::collections::BTreeMap;

use naschain_consensus::{
    Action, Event, JobBoard, JobId, LeaseId, Millis, MinerId, Rejected, Row, Scoreboard,
    check_costs,
};
use naschain_core::{Digest, Genome};
use naschain_nsga::{CandidateId, Search};
use serde::{Deserialize, Serialize};

use crate::ended_job::{EndedJob, FrontMember};
use crate::error::Error;
use crate::limited_space::LimitedSpace;
use crate::proof::Proof;
use crate::secret::RunSecret;
use crate::spec::RunSpec;

/// Search and job board, driven by the same events.
pub struct RunState {
    spec: RunSpec,
    parts: Parts,
    /// The index of each ended job in the list of ended jobs.
    index_of: BTreeMap<JobId, usize>,
    /// The answers of ended jobs by miner.
    scores: Scoreboard,
}

/// What is stored of a state; all else follows from it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parts {
    search: Search<LimitedSpace>,
    board: JobBoard,
    genomes: BTreeMap<JobId, Genome>,
    #[serde(rename = "closed")]
    ended: Vec<EndedJob>,
    /// How many events were applied; the number of the last one.
    events: u64,
    /// The number of the first answer to each open job.
    first_answers: BTreeMap<JobId, u64>,
    /// The signed answers to jobs that are still open.
    proofs: BTreeMap<JobId, BTreeMap<MinerId, Proof>>,
    /// The run's secret, once it is revealed.
    #[serde(default)]
    secret: Option<Digest>,
}

impl RunState {
    /// The state before the first event, with the first generation on the board.
    ///
    /// # Errors
    /// Where the specification is invalid.
    pub fn new(spec: RunSpec) -> Result<RunState, Error> {
        // Before the first generation is made: its size and its outcomes depend on it.
        spec.validate()?;
        let parts = Parts {
            search: Search::starting_from(
                spec.search.clone(),
                LimitedSpace::new(spec.space.clone(), spec.limits)
                    .with_latency(spec.latency.clone()),
                spec.initial_genomes.clone(),
            )?,
            board: JobBoard::new(spec.rules.clone(), spec.search.seed)?,
            genomes: BTreeMap::new(),
            ended: Vec::new(),
            events: 0,
            first_answers: BTreeMap::new(),
            proofs: BTreeMap::new(),
            secret: None,
        };
        let mut state = RunState {
            spec,
            parts,
            index_of: BTreeMap::new(),
            scores: Scoreboard::new(),
        };
        state.open_jobs(Millis(0), &mut Vec::new());
        Ok(state)
    }

    /// The state as bytes, for [`RunState::restored`].
    ///
    /// # Errors
    /// [`Error::StoredState`].
    pub fn stored(&self) -> Result<Vec<u8>, Error> {
        rmp_serde::to_vec_named(&self.parts).map_err(|error| stored_state(&error))
    }

    /// Restores a state from the bytes that [`RunState::stored`] returned. The bytes are trusted:
    /// callers have to verify their digest first.
    ///
    /// # Errors
    /// [`Error::StoredState`].
    pub fn restored(spec: RunSpec, bytes: &[u8]) -> Result<RunState, Error> {
        let parts: Parts = rmp_serde::from_slice(bytes).map_err(|error| stored_state(&error))?;
        // An extended search has more generations than its specification.
        let mut config = parts.search.config().clone();
        config.generations = config.generations.min(spec.search.generations);
        if config != spec.search || parts.board.rules() != &spec.rules {
            return Err(stored_state(&"it belongs to a run with other settings"));
        }
        let index_of = parts.ended.iter().enumerate();
        let index_of = index_of.map(|(at, ended)| (ended.job, at)).collect();
        let mut scores = Scoreboard::new();
        for ended in &parts.ended {
            scores.record(&ended.rows, &ended.verdict);
        }
        Ok(RunState {
            spec,
            parts,
            index_of,
            scores,
        })
    }

    /// Applies an event with its signed request, if there is one: passes the outcomes of jobs that
    /// end to the search, and opens the jobs that it then proposes. A tick that returns no action
    /// has changed nothing and is not counted as an event.
    ///
    /// # Errors
    /// Where the job board rejects the event; nothing has changed then.
    pub fn apply(
        &mut self,
        now: Millis,
        event: Event,
        proof: Option<&Proof>,
    ) -> Result<Vec<Action>, Rejected> {
        let mut may_propose = false;
        match event {
            Event::Reveal { secret } => self.reveal(secret)?,
            Event::Extend { generations } => {
                self.extend(generations)?;
                may_propose = true;
            }
            _ => {}
        }
        let event = self.with_checked_costs(event);
        let is_tick = matches!(event, Event::Tick);
        let answered = self.answered(&event);
        let mut actions = self.parts.board.handle(now, event)?;
        let known = self.parts.ended.len();
        if let (Some((job, miner)), Some(proof)) = (answered, proof) {
            let proofs = self.parts.proofs.entry(job).or_default();
            proofs.insert(miner, proof.clone());
        }
        if is_tick && actions.is_empty() {
            return Ok(actions);
        }
        self.parts.events += 1;
        for action in &actions {
            self.note_answer(action);
            let (job, rows, verdict, failure) = match action.clone() {
                Action::Closed { job, rows, verdict } => (job, rows, verdict, None),
                Action::Failed {
                    job,
                    failure,
                    rows,
                    verdict,
                } => (job, rows, verdict, Some(failure)),
                _ => continue,
            };
            may_propose = true;
            let ended = EndedJob {
                job,
                genome: self.parts.genomes[&job].clone(),
                proofs: self.proofs_of(job, &rows),
                rows,
                verdict,
                failure,
            };
            self.parts
                .search
                .tell(CandidateId(job.0), ended.outcome(&self.spec))
                .expect("the board ends each job once");
            self.scores.record(&ended.rows, &ended.verdict);
            self.index_of.insert(job, self.parts.ended.len());
            self.parts.ended.push(ended);
        }
        for at in known..self.parts.ended.len() {
            self.collect(now, at, &mut actions);
        }
        if may_propose {
            self.open_jobs(now, &mut actions);
        }
        Ok(actions)
    }

    /// Makes an answer malformed whose costs are not those of its network.
    fn with_checked_costs(&self, mut event: Event) -> Event {
        if let Event::Submit { lease, row, .. } = &mut event
            && self.spec.checks_costs
            && let Some((job, _)) = self.parts.board.seat_of(*lease)
            && let Some(genome) = self.parts.genomes.get(&job)
            && let Some(costs) = self.spec.costs_of(genome)
        {
            *row = check_costs(row.clone(), &costs);
        }
        event
    }

    fn reveal(&mut self, secret: Digest) -> Result<(), Rejected> {
        let is_right = self.spec.secret_hash == Some(RunSecret(secret.0).hash());
        if !is_right || !self.is_finished() || self.parts.secret.is_some() {
            return Err(Rejected::Secret);
        }
        self.parts.secret = Some(secret);
        Ok(())
    }

    fn extend(&mut self, generations: usize) -> Result<(), Rejected> {
        let refused = |reason| Rejected::Extension {
            generations,
            reason,
        };
        if self.parts.secret.is_some() {
            let reason = "its secret is revealed, so that anybody could compute further results";
            return Err(refused(reason.to_owned()));
        }
        let extended = self.parts.search.extend(generations);
        extended.map_err(|error| match error {
            naschain_nsga::Error::Extension { reason, .. } => refused(reason),
            other => refused(other.to_string()),
        })
    }

    /// The run's secret, once it is revealed.
    pub fn secret(&self) -> Option<RunSecret> {
        self.parts.secret.map(|secret| RunSecret(secret.0))
    }

    /// The open job that an event would answer, and who does.
    fn answered(&self, event: &Event) -> Option<(JobId, MinerId)> {
        let Event::Submit { miner, lease, .. } = event else {
            return None;
        };
        let (job, _) = self.parts.board.seat_of(*lease)?;
        // An answer to one that has ended is judged late.
        self.ended_job(job).is_none().then(|| (job, miner.clone()))
    }

    /// Takes the signed answers of a job that has ended.
    fn proofs_of(&mut self, job: JobId, rows: &[(MinerId, Row)]) -> Vec<Option<Proof>> {
        let mut next = self.parts.proofs.remove(&job).unwrap_or_default();
        if next.is_empty() {
            return Vec::new();
        }
        let proof = |(miner, _): &(MinerId, Row)| next.remove(miner);
        rows.iter().map(proof).collect()
    }

    fn note_answer(&mut self, action: &Action) {
        let number = self.parts.events;
        match action {
            Action::Filled { job, .. }
            | Action::Late { job, .. }
            | Action::Discarded { job, .. }
                if self.parts.board.flops(*job).is_some() =>
            {
                self.parts.first_answers.entry(*job).or_insert(number);
            }
            Action::Closed { job, .. } | Action::Failed { job, .. } => {
                self.parts.first_answers.remove(job);
            }
            _ => {}
        }
    }

    /// The run's specification.
    pub fn spec(&self) -> &RunSpec {
        &self.spec
    }

    /// The search.
    pub fn search(&self) -> &Search<LimitedSpace> {
        &self.parts.search
    }

    /// The job board.
    pub fn board(&self) -> &JobBoard {
        &self.parts.board
    }

    /// The genome of a job.
    pub fn genome(&self, job: JobId) -> Option<&Genome> {
        self.parts.genomes.get(&job)
    }

    /// The active leases of a miner and their jobs, the oldest first.
    pub fn leases_of(&self, miner: &MinerId) -> impl Iterator<Item = (LeaseId, JobId)> {
        let leases = self.parts.board.leases();
        leases.filter_map(move |(lease, holder, job)| (holder == miner).then_some((lease, job)))
    }

    /// The genomes of all jobs that were opened.
    pub fn genomes(&self) -> impl Iterator<Item = (JobId, &Genome)> {
        let genomes = self.parts.genomes.iter();
        genomes.map(|(job, genome)| (*job, genome))
    }

    /// The ended jobs, in the order in which they ended.
    pub fn ended_jobs(&self) -> &[EndedJob] {
        &self.parts.ended
    }

    /// An ended job.
    pub fn ended_job(&self, job: JobId) -> Option<&EndedJob> {
        self.parts.ended.get(*self.index_of.get(&job)?)
    }

    /// The answers of ended jobs by miner. Those of open jobs are not in it, since how many of its
    /// answers were rejected would tell a miner how others answered.
    pub fn scores(&self) -> &Scoreboard {
        &self.scores
    }

    /// The number of applied events, which is that of the last one in the journal.
    pub fn events(&self) -> u64 {
        self.parts.events
    }

    /// The number of the last event before the first answer to an open job: the journal is public
    /// up to this event.
    pub fn public_events(&self) -> u64 {
        let first = self.parts.first_answers.values().min();
        first.map_or(self.parts.events, |first| first - 1)
    }

    /// The maximum number of jobs of the search.
    pub fn max_jobs(&self) -> usize {
        self.parts.search.config().candidates_by_rung().iter().sum()
    }

    /// The maximum number of networks of the search.
    pub fn max_networks(&self) -> usize {
        self.parts.search.config().max_candidates()
    }

    /// Whether every job of the whole search has ended.
    pub fn is_finished(&self) -> bool {
        self.parts.search.is_finished()
    }

    /// Whether every job has ended and no miner will be asked for anything any more.
    pub fn is_over(&self) -> bool {
        self.is_finished() && !self.parts.board.has_open_questions()
    }

    /// The best accuracy of a whole training agreed on so far.
    pub fn best(&self) -> Option<&EndedJob> {
        let accuracy = |job: &&EndedJob| job.verdict.consensus.map(|m| m.accuracy);
        let is_whole = |job: &&EndedJob| self.last_epoch(job.job) == self.spec.recipe.epochs;
        self.parts
            .ended
            .iter()
            .filter(is_whole)
            .max_by_key(accuracy)
    }

    /// The Pareto front, most accurate first.
    pub fn front(&self) -> Vec<FrontMember> {
        let member = |id: CandidateId| {
            let ended = self.ended_job(JobId(id.0))?;
            Some(FrontMember {
                job: ended.job,
                genome: ended.genome.clone(),
                measurement: ended.verdict.consensus?,
            })
        };
        let front = self.parts.search.front();
        let mut members: Vec<_> = front.iter().filter_map(|point| member(point.id)).collect();
        members.sort_by_key(FrontMember::order);
        members
    }
}

fn stored_state(reason: &dyn std::fmt::Display) -> Error {
    let reason = reason.to_string();
    Error::StoredState { reason }
}
