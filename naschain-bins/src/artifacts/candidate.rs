//! All that is known of one candidate: its network, the answers of its miners, the verdict.

use anyhow::Result;
use naschain_consensus::{JobId, MinerId, Row};
use naschain_core::{Genome, Layer, Measurement};
use naschain_run::{EndedJob, JobOutcome, Proof, RunSpec};
use naschain_train::CurvePoint;
use serde::Serialize;

use crate::artifacts::drawing::network_svg;

/// A candidate, as its page and the report show it.
#[derive(Serialize)]
pub(crate) struct CandidateView {
    pub(crate) job: JobId,
    /// With a hyphen between the phases.
    genome: String,
    phase_len: usize,
    pub(crate) generation: Option<u32>,
    pub(crate) part: Option<PartView>,
    /// The other jobs that train parts of this network, in their order.
    pub(crate) other_parts: Vec<JobId>,
    /// Whether the run has a job after this one.
    pub(crate) has_next: bool,
    state: &'static str,
    verdict: &'static str,
    verdict_text: String,
    failure: Option<String>,
    measurement: Option<Measurement>,
    pub(crate) test_accuracy: Option<f64>,
    pub(crate) retrained: Option<RetrainedAccuracy>,
    pub(crate) picks: String,
    /// As a text, because readers of JSON round large numbers.
    pub(crate) training_seed: Option<String>,
    pub(crate) on_front: bool,
    answers: Vec<AnswerView>,
    /// What the referee computed; `None` where only the journal has it.
    pub(crate) dispute: Option<Vec<DisputeStep>>,
    /// `None` where it is not known.
    pub(crate) lineage: Option<LineageView>,
    pub(crate) curve: Vec<CurvePoint>,
    layers: Vec<Layer>,
    svg: String,
}

/// What `retrain` made of a network.
#[derive(Clone, Serialize)]
pub(crate) struct RetrainedAccuracy {
    pub(crate) test_accuracy: Option<f64>,
    pub(crate) epochs: u32,
}

#[derive(Serialize)]
struct AnswerView {
    miner: MinerId,
    seat: usize,
    measured: Option<Measurement>,
    failed: Option<String>,
    agreed: bool,
    finding: String,
    finding_text: String,
    proof: Option<serde_json::Value>,
}

/// The epochs that a job trains: it ends with epoch `until_epoch`, counted from 1.
#[derive(Clone, Copy, Serialize)]
pub(crate) struct PartView {
    pub(crate) from_epoch: u32,
    pub(crate) until_epoch: u32,
}

/// Where a genome comes from, and what was made of it.
#[derive(Default, Serialize)]
pub(crate) struct LineageView {
    pub(crate) parents: Vec<ParentView>,
    pub(crate) children: Vec<JobId>,
    /// Whether there are more children.
    pub(crate) has_more: bool,
}

/// A step of a dispute, in words.
#[derive(Serialize)]
pub(crate) struct DisputeStep {
    pub(crate) ms: u64,
    pub(crate) text: String,
}

/// A candidate whose genome was crossed or mutated into this one.
#[derive(Serialize)]
pub(crate) struct ParentView {
    job: JobId,
    genome: String,
    accuracy: Option<f64>,
    /// The genes that differ, from 0.
    changed: Vec<usize>,
}

impl ParentView {
    /// A parent of a candidate with genome `child`.
    pub(crate) fn new(
        spec: &RunSpec,
        (job, genome): (JobId, &Genome),
        accuracy: Option<f64>,
        child: &Genome,
    ) -> ParentView {
        let (own, childs) = (genome.to_string(), child.to_string());
        let genes = own.bytes().zip(childs.bytes()).enumerate();
        let changed = genes.filter(|(_, (parent, child))| parent != child);
        ParentView {
            job,
            genome: grouped(spec, genome),
            accuracy,
            changed: changed.map(|(at, _)| at).collect(),
        }
    }
}

/// A genome with a hyphen between its phases.
fn grouped(spec: &RunSpec, genome: &Genome) -> String {
    genome.grouped(spec.space.part_len())
}

impl CandidateView {
    /// A candidate of a run, of which nothing but its genome and, where its job has ended, the answers
    /// are known; what else is known is filled in.
    ///
    /// # Errors
    /// If the genome is none of the run's space.
    pub(crate) fn new(
        spec: &RunSpec,
        job: JobId,
        genome: &Genome,
        ended: Option<&EndedJob>,
    ) -> Result<CandidateView> {
        let architecture = spec.space.decode(genome)?;
        Ok(CandidateView {
            job,
            genome: grouped(spec, genome),
            phase_len: spec.space.part_len(),
            generation: None,
            part: None,
            other_parts: Vec::new(),
            has_next: false,
            state: ["open", "ended"][usize::from(ended.is_some())],
            verdict: ended.map_or(JobOutcome::Open, outcome).name(),
            verdict_text: ended.map_or("the job is open".to_owned(), verdict_text),
            failure: ended
                .filter(|ended| ended.result().is_none())
                .map(EndedJob::reason),
            measurement: ended.and_then(EndedJob::result),
            test_accuracy: None,
            retrained: None,
            picks: String::new(),
            training_seed: None,
            on_front: false,
            answers: ended.map_or_else(Vec::new, answers),
            dispute: None,
            lineage: None,
            curve: Vec::new(),
            layers: architecture.layers()?,
            svg: network_svg(&architecture),
        })
    }
}

/// A signed request, with the nonce as a text, because readers of JSON round large numbers.
fn shown(proof: &Proof) -> serde_json::Value {
    let mut fields = serde_json::to_value(proof).unwrap_or_default();
    fields["nonce"] = proof.nonce.to_string().into();
    fields
}

/// The seed of all trainings of a run without a secret.
pub(crate) fn public_seed(spec: &RunSpec) -> Option<String> {
    let is_public = spec.secret_hash.is_none();
    is_public.then(|| spec.recipe.seed.to_string())
}

/// How a job has ended.
pub(crate) fn outcome(ended: &EndedJob) -> JobOutcome {
    let verdict = &ended.verdict;
    let judged = verdict.agreed.iter().copied().zip(&verdict.findings);
    JobOutcome::of(judged, ended.failure.as_ref())
}

/// What the answers decided, in words; one answer alone is no vote.
fn verdict_text(ended: &EndedJob) -> String {
    let (all, agreed) = (ended.rows.len(), ended.rewarded().len());
    match (ended.result(), all) {
        (None, _) => ended.reason(),
        (Some(_), 1) => "one training, not replicated".to_owned(),
        (Some(_), _) if outcome(ended) == JobOutcome::Disputed => {
            format!("{agreed} of {all} answers count")
        }
        (Some(_), _) => format!("{agreed} of {all} answers agreed"),
    }
}

fn answers(ended: &EndedJob) -> Vec<AnswerView> {
    let verdict = &ended.verdict;
    let judged = verdict.agreed.iter().zip(&verdict.findings);
    let rows = ended.rows.iter().enumerate().zip(judged);
    rows.map(|((seat, (miner, row)), (agreed, finding))| {
        let name = serde_json::to_value(finding).unwrap_or_default();
        let name = match &name {
            serde_json::Value::String(name) => name.clone(),
            // A name with the difference.
            other => other
                .as_object()
                .and_then(|fields| fields.keys().next().cloned())
                .unwrap_or_default(),
        };
        AnswerView {
            miner: miner.clone(),
            seat,
            measured: match row {
                Row::Measured(measured) => Some(*measured),
                Row::Failed(_) | Row::Malformed(_) => None,
            },
            failed: match row {
                Row::Measured(_) => None,
                Row::Failed(reason) => Some(reason.clone()),
                Row::Malformed(_) => Some("the answer could not be read".to_owned()),
            },
            agreed: *agreed,
            finding: name,
            finding_text: finding.to_string(),
            proof: ended.proofs.get(seat).and_then(Option::as_ref).map(shown),
        }
    })
    .collect()
}
