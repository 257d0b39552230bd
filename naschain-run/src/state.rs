//! The genomaster's state: search and job board joined, the fold of a run's journal.

use std::collections::BTreeMap;

use naschain_consensus::{
    Action, BatchId, Event, Failure, JobBoard, LeaseId, Millis, MinerId, Rejected, Row, Verdict,
};
use naschain_core::{Genome, MacroSpace};
use naschain_nsga::{CandidateId, Outcome, Search, Space};
use serde::{Deserialize, Serialize};

use crate::closed_batch::{ClosedBatch, FrontMember};
use crate::error::Error;
use crate::proof::Proof;
use crate::spec::RunSpec;

/// The macro space as the search sees it: genomes of one network are one, and its costs are known
/// before it is trained.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Networks(pub MacroSpace);

impl Space for Networks {
    type Genome = Genome;

    fn canonical(&self, genome: &Genome) -> Genome {
        let canonical = self.0.canonical(genome);
        canonical.unwrap_or_else(|_| genome.clone())
    }

    fn known_objectives(&self, genome: &Genome) -> Vec<Option<f64>> {
        let costs = self.0.decode(genome).and_then(|network| network.costs());
        match costs {
            Ok(costs) => vec![None, Some(costs.params as f64), Some(costs.flops as f64)],
            Err(_) => Vec::new(),
        }
    }
}

/// Search and job board, driven by the same events.
pub struct RunState {
    spec: RunSpec,
    parts: Parts,
    /// Where in the list of ended batches each is.
    places: BTreeMap<BatchId, usize>,
}

/// What is stored of a state; all else follows from it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parts {
    search: Search<Networks>,
    board: JobBoard,
    genomes: BTreeMap<BatchId, Genome>,
    closed: Vec<ClosedBatch>,
    /// Answers counted so far in batches that are still open.
    open_answers: usize,
    /// How many events were applied; the number of the last one.
    events: u64,
    /// The number of the first answer to each open batch.
    first_answers: BTreeMap<BatchId, u64>,
    /// The signed answers to batches that are still open.
    proofs: BTreeMap<BatchId, BTreeMap<MinerId, Proof>>,
}

impl RunState {
    /// The state before the first event, with the first generation on the board.
    ///
    /// # Errors
    /// Where the specification is invalid.
    pub fn new(spec: RunSpec) -> Result<RunState, Error> {
        let parts = Parts {
            search: Search::in_space(spec.search.clone(), Networks(spec.space.clone()))?,
            board: JobBoard::new(spec.rules.clone(), spec.search.seed)?,
            genomes: BTreeMap::new(),
            closed: Vec::new(),
            open_answers: 0,
            events: 0,
            first_answers: BTreeMap::new(),
            proofs: BTreeMap::new(),
        };
        let mut state = RunState {
            spec,
            parts,
            places: BTreeMap::new(),
        };
        state.open_batches(Millis(0), &mut Vec::new());
        Ok(state)
    }

    /// The state as bytes, for [`RunState::restored`].
    ///
    /// # Errors
    /// [`Error::StoredState`].
    pub fn stored(&self) -> Result<Vec<u8>, Error> {
        rmp_serde::to_vec_named(&self.parts).map_err(|error| stored_state(&error))
    }

    /// The state of a run that [`RunState::stored`] gave these bytes of. Bytes that it did not
    /// give may make a state that fails later: only their digest protects from that.
    ///
    /// # Errors
    /// [`Error::StoredState`].
    pub fn restored(spec: RunSpec, bytes: &[u8]) -> Result<RunState, Error> {
        let parts: Parts = rmp_serde::from_slice(bytes).map_err(|error| stored_state(&error))?;
        if parts.search.config() != &spec.search || parts.board.rules() != &spec.rules {
            return Err(stored_state(&"it belongs to a run with other settings"));
        }
        let places = parts.closed.iter().enumerate();
        let places = places.map(|(at, closed)| (closed.batch, at)).collect();
        Ok(RunState {
            spec,
            parts,
            places,
        })
    }

    /// Takes one event from outside, and does all that follows from it: verdicts are told to
    /// the search, and the batches it asks for are opened. A tick that returns nothing has
    /// changed nothing, and is not to be counted as an event.
    pub fn apply(&mut self, now: Millis, event: Event) -> Result<Vec<Action>, Rejected> {
        self.apply_signed(now, event, None)
    }

    /// As [`RunState::apply`], with the JSON of the signed request that asked for the event.
    pub fn apply_signed(
        &mut self,
        now: Millis,
        event: Event,
        proof: Option<&str>,
    ) -> Result<Vec<Action>, Rejected> {
        let is_tick = matches!(event, Event::Tick);
        let answered = self.answered(&event);
        let mut actions = self.parts.board.handle(now, event)?;
        if let (Some((batch, miner)), Some(proof)) = (answered, proof)
            && let Ok(proof) = Proof::parse(proof)
        {
            let proofs = self.parts.proofs.entry(batch).or_default();
            proofs.insert(miner, proof);
        }
        if is_tick && actions.is_empty() {
            return Ok(actions);
        }
        self.parts.events += 1;
        let mut told = false;
        for action in &actions {
            self.count_answers(action);
            let (batch, rows, verdict, failure) = match action.clone() {
                Action::Closed {
                    batch,
                    rows,
                    verdict,
                } => (batch, rows, verdict, None),
                Action::Failed {
                    batch,
                    failure,
                    rows,
                    verdict,
                } => (batch, rows, verdict, Some(failure)),
                _ => continue,
            };
            let outcome = outcome(&verdict, failure.as_ref());
            self.parts
                .search
                .tell(CandidateId(batch.0), outcome)
                .expect("the board ends each batch once");
            told = true;
            let proofs = self.proofs_of(batch, &rows);
            self.places.insert(batch, self.parts.closed.len());
            self.parts.closed.push(ClosedBatch {
                batch,
                genome: self.parts.genomes[&batch].clone(),
                rows,
                verdict,
                failure,
                proofs,
            });
        }
        if told {
            self.open_batches(now, &mut actions);
        }
        Ok(actions)
    }

    /// The open batch that an event would answer, and who does.
    fn answered(&self, event: &Event) -> Option<(BatchId, MinerId)> {
        let Event::Submit { miner, lease, .. } = event else {
            return None;
        };
        let (batch, _) = self.parts.board.place(*lease)?;
        // An answer to one that has ended is a spot check.
        self.ended(batch).is_none().then(|| (batch, miner.clone()))
    }

    /// Takes the signed answers of a batch that has ended.
    fn proofs_of(&mut self, batch: BatchId, rows: &[(MinerId, Row)]) -> Vec<Option<Proof>> {
        let mut next = self.parts.proofs.remove(&batch).unwrap_or_default();
        if next.is_empty() {
            return Vec::new();
        }
        let proof = |(miner, _): &(MinerId, Row)| next.remove(miner);
        rows.iter().map(proof).collect()
    }

    fn count_answers(&mut self, action: &Action) {
        let number = self.parts.events;
        match action {
            Action::Filled { batch, .. }
            | Action::Late { batch, .. }
            | Action::Discarded { batch, .. }
                if self.parts.board.flops(*batch).is_some() =>
            {
                self.parts.first_answers.entry(*batch).or_insert(number);
            }
            Action::Closed { batch, .. } | Action::Failed { batch, .. } => {
                self.parts.first_answers.remove(batch);
            }
            _ => {}
        }
        let before = self.parts.open_answers;
        self.parts.open_answers = match action {
            Action::Filled { .. } | Action::Moved { .. } => before + 1,
            Action::Closed { rows, .. } | Action::Failed { rows, .. } => {
                before.saturating_sub(rows.len())
            }
            Action::Redealt { verdict, .. } => before.saturating_sub(verdict.agreed.len()),
            _ => before,
        };
    }

    fn open_batches(&mut self, now: Millis, actions: &mut Vec<Action>) {
        while let Some(candidate) = self.parts.search.ask() {
            let batch = BatchId(candidate.id.0);
            let genome = self.parts.search.space().canonical(&candidate.genome);
            let flops = self.training_flops(&genome);
            self.parts.genomes.insert(batch, genome);
            let opened = self.parts.board.handle(now, Event::Open { batch, flops });
            actions.extend(opened.expect("candidates are numbered once"));
        }
    }

    /// Forward and backward passes over all images of a training; backward costs twice forward.
    fn training_flops(&self, genome: &Genome) -> u64 {
        let architecture = self.spec.space.decode(genome);
        let costs = architecture.and_then(|architecture| architecture.costs());
        let images = self.spec.recipe.train_images as u64 * u64::from(self.spec.recipe.epochs);
        costs.map_or(0, |costs| costs.flops.saturating_mul(3 * images))
    }

    /// The run's specification.
    pub fn spec(&self) -> &RunSpec {
        &self.spec
    }

    /// The search.
    pub fn search(&self) -> &Search<Networks> {
        &self.parts.search
    }

    /// The job board.
    pub fn board(&self) -> &JobBoard {
        &self.parts.board
    }

    /// The genome of a batch.
    pub fn genome(&self, batch: BatchId) -> Option<&Genome> {
        self.parts.genomes.get(&batch)
    }

    /// The live leases of a miner and their batches, the oldest first.
    pub fn leases_of(&self, miner: &MinerId) -> impl Iterator<Item = (LeaseId, BatchId)> {
        let leases = self.parts.board.leases();
        leases.filter_map(move |(lease, holder, batch)| (holder == miner).then_some((lease, batch)))
    }

    /// All genomes that were ever to be trained, by batch.
    pub fn genomes(&self) -> impl Iterator<Item = (BatchId, &Genome)> {
        let genomes = self.parts.genomes.iter();
        genomes.map(|(batch, genome)| (*batch, genome))
    }

    /// Batches that have ended, in the order in which they did.
    pub fn closed(&self) -> &[ClosedBatch] {
        &self.parts.closed
    }

    /// A batch that has ended.
    pub fn ended(&self, batch: BatchId) -> Option<&ClosedBatch> {
        self.parts.closed.get(*self.places.get(&batch)?)
    }

    /// How many events were applied: the number of the last one in the journal.
    pub fn events(&self) -> u64 {
        self.parts.events
    }

    /// The number of the last event before the first answer to a batch that is still open: so
    /// much of the journal may be shown to anybody.
    pub fn public_events(&self) -> u64 {
        let first = self.parts.first_answers.values().min();
        first.map_or(self.parts.events, |first| first - 1)
    }

    /// How many trainings are done: those of batches that have ended and those counted since.
    pub fn trainings_done(&self) -> usize {
        self.parts.closed.len() * self.spec.rules.seats + self.parts.open_answers
    }

    /// How many trainings the search takes at most, if no batch is dealt twice.
    pub fn trainings_in_all(&self) -> usize {
        let search = &self.spec.search;
        search.population * search.generations * self.spec.rules.seats
    }

    /// Whether every batch of the whole search has ended.
    pub fn is_finished(&self) -> bool {
        self.parts.search.is_finished()
    }

    /// The best accuracy agreed on so far.
    pub fn best(&self) -> Option<&ClosedBatch> {
        let accuracy = |batch: &&ClosedBatch| batch.verdict.consensus.map(|m| m.accuracy);
        self.parts.closed.iter().max_by_key(accuracy)
    }

    /// The Pareto front, most accurate first.
    pub fn front(&self) -> Vec<FrontMember> {
        let member = |id: CandidateId| {
            let closed = self.ended(BatchId(id.0))?;
            Some(FrontMember {
                batch: closed.batch,
                genome: closed.genome.clone(),
                measurement: closed.verdict.consensus?,
            })
        };
        let front = self.parts.search.front();
        let mut members: Vec<_> = front.iter().filter_map(|point| member(point.id)).collect();
        members.sort_by_key(|member| {
            let m = member.measurement;
            (
                std::cmp::Reverse(m.accuracy),
                m.params,
                m.flops,
                member.batch,
            )
        });
        members
    }
}

fn stored_state(reason: &dyn std::fmt::Display) -> Error {
    let reason = reason.to_string();
    Error::StoredState { reason }
}

fn outcome(verdict: &Verdict, failure: Option<&Failure>) -> Outcome {
    match (verdict.consensus, failure) {
        (Some(m), None) => {
            Outcome::objectives([m.accuracy.percent(), m.params as f64, m.flops as f64])
        }
        (_, Some(failure)) => Outcome::Failed(failure.to_string()),
        (None, None) => Outcome::Failed("no two miners agreed".to_owned()),
    }
}
