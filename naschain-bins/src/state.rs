//! The genomaster's state: search and job board joined, the fold of a run's journal.

use std::collections::BTreeMap;

use naschain_consensus::{
    Action, BatchId, Event, Failure, Grant, JobBoard, LeaseId, Millis, MinerId, Rejected, Row,
    Verdict,
};
use naschain_core::{Genome, MacroSpace, Measurement};
use naschain_nsga::{CandidateId, Outcome, Search, Space};
use serde::{Deserialize, Serialize};

use crate::run_spec::RunSpec;
use crate::signed_request::Proof;

/// A batch that has ended: who answered what, and what was found of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClosedBatch {
    /// Its number, which is the candidate's.
    pub batch: BatchId,
    /// The genome that was trained.
    pub genome: Genome,
    /// Miners and their rows, seat by seat.
    pub rows: Vec<(MinerId, Row)>,
    /// Who agreed, and on what.
    pub verdict: Verdict,
    /// Why there is no result, where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// The signed request of each row, in the same order, where miners sign; empty where nobody
    /// does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub proofs: Vec<Option<Proof>>,
}

/// A network of the Pareto front.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrontMember {
    /// Its batch.
    pub batch: BatchId,
    /// Its genome.
    pub genome: Genome,
    /// What the miners agreed on.
    pub measurement: Measurement,
}

/// The macro space as the search sees it: genomes of one network are one, and its costs are known
/// before it is trained.
#[derive(Clone, Debug)]
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
    search: Search<Networks>,
    board: JobBoard,
    genomes: BTreeMap<BatchId, Genome>,
    closed: Vec<ClosedBatch>,
    /// Answers counted so far in batches that are still open.
    open_answers: usize,
    /// Live leases, and what they are for.
    leases: BTreeMap<LeaseId, (MinerId, BatchId)>,
    /// The signed answers of batches that are still open.
    proofs: BTreeMap<BatchId, BTreeMap<MinerId, Proof>>,
}

impl RunState {
    /// The state before the first event, with the first generation on the board.
    pub fn new(spec: RunSpec) -> anyhow::Result<RunState> {
        let mut state = RunState {
            search: Search::in_space(spec.search.clone(), Networks(spec.space.clone()))?,
            board: JobBoard::new(spec.rules.clone(), spec.search.seed)?,
            spec,
            genomes: BTreeMap::new(),
            closed: Vec::new(),
            open_answers: 0,
            leases: BTreeMap::new(),
            proofs: BTreeMap::new(),
        };
        state.open_batches(Millis(0), &mut Vec::new());
        Ok(state)
    }

    /// Takes one event from outside, and does all that follows from it: verdicts are told to
    /// the search, and the batches it asks for are opened.
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
        let answered = match &event {
            Event::Submit { lease, .. } => self.leases.get(lease).cloned(),
            _ => None,
        };
        let mut actions = self.board.handle(now, event)?;
        if let (Some((miner, batch)), Some(proof)) = (answered, proof)
            && let Ok(proof) = Proof::parse(proof)
        {
            self.proofs.entry(batch).or_default().insert(miner, proof);
        }
        let mut told = false;
        for action in &actions {
            self.follow_lease(action);
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
            self.search
                .tell(CandidateId(batch.0), outcome)
                .expect("the board ends each batch once");
            told = true;
            let proofs = self.proofs_of(batch, &rows);
            self.closed.push(ClosedBatch {
                batch,
                proofs,
                genome: self.genomes[&batch].clone(),
                rows,
                verdict,
                failure,
            });
        }
        if told {
            self.open_batches(now, &mut actions);
        }
        Ok(actions)
    }

    fn follow_lease(&mut self, action: &Action) {
        match action {
            Action::Leased {
                miner,
                batch,
                lease,
                grant,
                ..
            } => {
                if let Grant::Again { old } = grant {
                    self.leases.remove(old);
                }
                self.leases.insert(*lease, (miner.clone(), *batch));
            }
            Action::Filled { lease, .. }
            | Action::Late { lease, .. }
            | Action::Discarded { lease, .. }
            | Action::Expired { lease, .. }
            | Action::Revoked { lease, .. } => {
                self.leases.remove(lease);
            }
            _ => {}
        }
    }

    /// Takes the signed answers of a batch that has ended.
    fn proofs_of(&mut self, batch: BatchId, rows: &[(MinerId, Row)]) -> Vec<Option<Proof>> {
        let mut next = self.proofs.remove(&batch).unwrap_or_default();
        if next.is_empty() {
            return Vec::new();
        }
        let proof = |(miner, _): &(MinerId, Row)| next.remove(miner);
        rows.iter().map(proof).collect()
    }

    fn count_answers(&mut self, action: &Action) {
        self.open_answers = match action {
            Action::Filled { .. } => self.open_answers + 1,
            Action::Closed { rows, .. } | Action::Failed { rows, .. } => {
                self.open_answers.saturating_sub(rows.len())
            }
            Action::Redealt { verdict, .. } => {
                self.open_answers.saturating_sub(verdict.agreed.len())
            }
            _ => self.open_answers,
        };
    }

    fn open_batches(&mut self, now: Millis, actions: &mut Vec<Action>) {
        while let Some(candidate) = self.search.ask() {
            let batch = BatchId(candidate.id.0);
            let genome = self.search.space().canonical(&candidate.genome);
            let flops = self.training_flops(&genome);
            self.genomes.insert(batch, genome);
            let opened = self.board.handle(now, Event::Open { batch, flops });
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
        &self.search
    }

    /// The job board.
    pub fn board(&self) -> &JobBoard {
        &self.board
    }

    /// The genome of a batch.
    pub fn genome(&self, batch: BatchId) -> Option<&Genome> {
        self.genomes.get(&batch)
    }

    /// The live leases of a miner and their batches, the oldest first.
    pub fn leases_of(&self, miner: &MinerId) -> impl Iterator<Item = (LeaseId, BatchId)> {
        let leases = self.leases.iter();
        leases.filter_map(move |(lease, (holder, batch))| {
            (holder == miner).then_some((*lease, *batch))
        })
    }

    /// Every live lease with its holder.
    pub fn leases(&self) -> impl Iterator<Item = (LeaseId, &MinerId)> {
        self.leases
            .iter()
            .map(|(lease, (holder, _))| (*lease, holder))
    }

    /// Batches that have ended, in the order in which they did.
    pub fn closed(&self) -> &[ClosedBatch] {
        &self.closed
    }

    /// How many trainings are done: those of batches that have ended and those counted since.
    pub fn trainings_done(&self) -> usize {
        self.closed.len() * self.spec.rules.seats + self.open_answers
    }

    /// How many trainings the search takes at most, if no batch is dealt twice.
    pub fn trainings_in_all(&self) -> usize {
        let search = &self.spec.search;
        search.population * search.generations * self.spec.rules.seats
    }

    /// Whether every batch of the whole search has ended.
    pub fn is_finished(&self) -> bool {
        self.search.is_finished()
    }

    /// The best accuracy agreed on so far.
    pub fn best(&self) -> Option<&ClosedBatch> {
        let accuracy = |batch: &&ClosedBatch| batch.verdict.consensus.map(|m| m.accuracy);
        self.closed.iter().max_by_key(accuracy)
    }

    /// The Pareto front, most accurate first.
    pub fn front(&self) -> Vec<FrontMember> {
        let measured: BTreeMap<BatchId, Measurement> = self
            .closed
            .iter()
            .filter_map(|closed| Some((closed.batch, closed.verdict.consensus?)))
            .collect();
        let member = |id: CandidateId| {
            let batch = BatchId(id.0);
            Some(FrontMember {
                batch,
                genome: self.genomes.get(&batch)?.clone(),
                measurement: *measured.get(&batch)?,
            })
        };
        let front = self.search.front();
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

fn outcome(verdict: &Verdict, failure: Option<&Failure>) -> Outcome {
    match (verdict.consensus, failure) {
        (Some(m), None) => {
            Outcome::objectives([m.accuracy.percent(), m.params as f64, m.flops as f64])
        }
        (_, Some(Failure::TrainingFailed { reasons })) => Outcome::Failed(reasons.join("; ")),
        _ => Outcome::Failed("no two miners agreed".to_owned()),
    }
}
