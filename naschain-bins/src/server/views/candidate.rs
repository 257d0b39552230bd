//! `GET /v1/candidates/{job}`: all that is known of one candidate.

use axum::Json;
use axum::extract::{Path as UrlPath, State};
use naschain_consensus::{Event, JobId, Ruling};
use naschain_core::Genome;
use naschain_run::{EndedJob, Entry, FrontMember, JobOutcome, ProblemKind, RunSpec, RunState};

use crate::artifacts::candidate::{
    CandidateView, DisputeStep, LineageView, ParentView, PartView, outcome, public_seed,
};
use crate::artifacts::choice::names_of;
use crate::artifacts::front_model::read_front;
use crate::artifacts::models::retrained_accuracy;
use crate::artifacts::results::useful_members;
use crate::server::app::{App, Reply};
use crate::server::problem::ErrorResponse;
use crate::server::views::replies::{closing, may_read_results, trouble};

/// Most children of a candidate that are listed.
const MAX_CHILDREN: usize = 100;
/// Entries of the journal before the end of a dispute among which its rulings are searched, at most.
const MAX_ENTRIES: u64 = 2_000;
/// Entries that are read at a time.
const PART: usize = 500;

/// What is copied of the state.
struct Known {
    genome: Genome,
    ended: Option<EndedJob>,
    part: Option<PartView>,
    /// All jobs of the genome: one, or with rungs one for each part.
    jobs: Vec<JobId>,
    has_next: bool,
    /// Job, genome and accuracy.
    parents: Vec<(JobId, Genome, Option<f64>)>,
    /// At most one more than are listed.
    children: Vec<JobId>,
    front: Vec<FrontMember>,
    /// Whether the seeds of trainings are no secret any more.
    is_finished: bool,
}

pub(super) async fn candidate(
    State(app): State<App>,
    UrlPath(job): UrlPath<String>,
) -> Reply<Json<CandidateView>> {
    let missing = || {
        let detail = format!("the run has no job {job}; jobs are numbered from 0");
        ErrorResponse::new(ProblemKind::NotFound, detail)
    };
    let job = JobId(job.parse().map_err(|_| missing())?);
    let known = app.coordinator.read_in_turn(|state| known(state, job));
    let known = known.await?.ok_or_else(missing)?;
    let places = app.recording.read(&app.coordinator, |kept| {
        (kept.record.generation_of(job), kept.record.entries_of(job))
    });
    let (generation, entries) = places.await?;
    let is_disputed = known.ended.as_ref().map(outcome) == Some(JobOutcome::Disputed);
    let dispute = match entries.filter(|_| is_disputed) {
        Some((first, last)) => dispute(&app, job, first, last).await?,
        None => Vec::new(),
    };
    let made = tokio::task::spawn_blocking(move || {
        let mut view = view(&app, job, known)?;
        (view.generation, view.dispute) = (generation, Some(dispute));
        anyhow::Ok(view)
    });
    let view = made.await.map_err(|_| closing())?;
    view.map(Json).map_err(|error| trouble(&error))
}

/// Only copies: the writing task waits meanwhile.
fn known(state: &RunState, job: JobId) -> Option<Known> {
    let genome = state.genome(job)?.clone();
    let jobs: Vec<JobId> = if state.search().config().rungs.is_empty() {
        vec![job]
    } else {
        let same = state.genomes().filter(|(_, other)| **other == genome);
        same.map(|(other, _)| other).collect()
    };
    // The first of them began the network.
    let first = jobs.first().copied().unwrap_or(job);
    let parents = state.parents(first).filter_map(|parent| {
        let result = state.ended_job(parent).and_then(EndedJob::result);
        let accuracy = result.map(|measured| measured.accuracy.percent());
        Some((parent, state.genome(parent)?.clone(), accuracy))
    });
    let later = state.genomes().map(|(other, _)| other);
    let later = later.skip_while(|other| *other <= first);
    let is_child = |other: &JobId| state.parents(*other).any(|parent| jobs.contains(&parent));
    Some(Known {
        ended: state.ended_job(job).cloned(),
        part: state.part(job).map(|part| PartView {
            from_epoch: part.from_epoch,
            until_epoch: part.until_epoch,
        }),
        has_next: state.genome(JobId(job.0.saturating_add(1))).is_some(),
        parents: parents.collect(),
        children: later.filter(is_child).take(MAX_CHILDREN + 1).collect(),
        jobs,
        front: state.front(),
        is_finished: state.is_finished(),
        genome,
    })
}

fn view(app: &App, job: JobId, known: Known) -> anyhow::Result<CandidateView> {
    let spec = app.coordinator.spec();
    let ended = known.ended.as_ref();
    let mut view = CandidateView::new(spec, job, &known.genome, ended)?;
    (view.part, view.has_next) = (known.part, known.has_next);
    let is_last = known.jobs.last() == Some(&job);
    view.other_parts = known.jobs;
    view.other_parts.retain(|other| *other != job);
    let parents = known.parents.iter();
    let parents = parents.map(|(parent, genome, accuracy)| {
        ParentView::new(spec, (*parent, genome), *accuracy, &known.genome)
    });
    let has_more = known.children.len() > MAX_CHILDREN;
    let mut children = known.children;
    children.truncate(MAX_CHILDREN);
    view.lineage = Some(LineageView {
        parents: parents.collect(),
        children,
        has_more,
    });
    // What the files of an ended run tell, and its seeds, are for those who may read its results.
    let may_read = may_read_results(app);
    let served = app.served.as_ref().filter(|_| may_read);
    let models = served.and_then(|served| read_front(&served.dir).ok());
    let models = models.unwrap_or_default();
    add_front(&mut view, &known.front, app.guessing_limit());
    // These are of the whole training, which the last part completes.
    if is_last {
        let model = models.into_iter().find(|one| one.genome == known.genome);
        if let Some(model) = model {
            view.test_accuracy = Some(model.test_accuracy.percent());
            view.curve = model.curve;
        }
        view.retrained = served.and_then(|served| retrained_accuracy(&served.dir, &known.genome));
    }
    view.training_seed = public_seed(spec);
    // Before the end, with rungs, the seed is also that of trainings that are to come.
    if let Some(ended) = ended.filter(|_| may_read && known.is_finished) {
        let seed = app.coordinator.training_seed(job, &ended.genome);
        view.training_seed = seed.map(|seed| seed.to_string()).or(view.training_seed);
    }
    Ok(view)
}

/// Whether it is on the front, and which rules choose it there.
fn add_front(view: &mut CandidateView, front: &[FrontMember], limit: f64) {
    let useful = useful_members(front, limit);
    view.on_front = front.iter().any(|member| member.job == view.job);
    let member = useful.iter().find(|member| member.job == view.job);
    view.picks = member.map_or_else(String::new, |member| names_of(member, &useful));
}

/// What the referee did about a job, between these entries of the journal.
async fn dispute(app: &App, job: JobId, first: u64, last: u64) -> Reply<Vec<DisputeStep>> {
    // The rulings come at its end.
    let mut after = first
        .max(last.saturating_sub(MAX_ENTRIES))
        .saturating_sub(1);
    let mut steps = Vec::new();
    while after < last {
        let part = app.coordinator.public_entries(after, PART).await?;
        for entry in part.entries.iter().filter(|entry| entry.number <= last) {
            steps.extend(step_of(entry, job, app.coordinator.spec()));
        }
        match part.entries.last() {
            Some(entry) if part.more => after = entry.number,
            _ => break,
        }
    }
    Ok(steps)
}

/// The step that an entry of the journal is of the dispute about a job.
fn step_of(entry: &Entry, job: JobId, spec: &RunSpec) -> Option<DisputeStep> {
    // Most entries are no rulings; reading their JSON would take longer than all the rest.
    if !entry.event.contains("\"ruled\"") {
        return None;
    }
    let Ok(Event::Ruled { job: ruled, ruling }) = serde_json::from_str(&entry.event) else {
        return None;
    };
    if ruled != job {
        return None;
    }
    let steps = spec.rules.referee.as_ref();
    let steps = steps.map_or(0, |referee| referee.steps);
    let text = match ruling {
        Ruling::Step { step: 0, found } => format!(
            "the trainings differ from the beginning: the referee computed the initial state itself, and found {}",
            found.state
        ),
        Ruling::Step { step, found } => format!(
            "the trainings first differ after step {step} of {steps}: the referee computed that step itself, from a delivered checkpoint on which they agree, and found the state {}",
            found.state
        ),
        Ruling::Accuracy { found } => format!(
            "the digests are the same: the referee measured the accuracy of the delivered weights itself, and found {found} %"
        ),
        _ => return None,
    };
    Some(DisputeStep {
        ms: entry.now_ms,
        text,
    })
}
