//! `GET /v1/candidates/{job}`: all that is known of one candidate.

use std::path::Path;

use axum::Json;
use axum::extract::{Path as UrlPath, State};
use naschain_consensus::{Event, JobId, Ruling};
use naschain_core::Genome;
use naschain_nsga::CandidateId;
use naschain_run::{EndedJob, Entry, ProblemKind, RunSpec, RunState};

use crate::artifacts::candidate::{CandidateView, DisputeStep, ParentView, RetrainedAccuracy};
use crate::artifacts::choice::names_of;
use crate::artifacts::front_model::read_front;
use crate::artifacts::models::retrained_description;
use crate::artifacts::results::limit_of_guessing;
use crate::server::app::{App, Reply};
use crate::server::problem::ErrorResponse;

/// Most children of a candidate that are listed.
const MAX_CHILDREN: usize = 100;
/// Entries of the journal among which the steps of a dispute are searched, at most.
const MAX_ENTRIES: u64 = 20_000;
/// Entries that are read at a time.
const PART: usize = 500;

/// What is copied of the state.
struct Known {
    genome: Genome,
    ended: Option<EndedJob>,
    view: CandidateView,
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
    let Known {
        genome,
        ended,
        mut view,
    } = known.await?.ok_or_else(missing)?;
    let places = app.recording.read(&app.coordinator, |kept| {
        (kept.record.generation_of(job), kept.record.entries_of(job))
    });
    let (generation, entries) = places.await?;
    view.generation = generation;
    if let Some(ended) = &ended {
        let seed = app.coordinator.training_seed(job, &ended.genome);
        view.training_seed = seed.map(|seed| seed.to_string());
        if let Some((first, last)) =
            entries.filter(|_| app.coordinator.spec().rules.referee.is_some())
        {
            view.dispute = dispute(&app, job, first, last).await?;
        }
    }
    if let Some(served) = app.served.clone() {
        let read = move || {
            add_models(&mut view, &served.dir, &genome);
            view
        };
        let read = tokio::task::spawn_blocking(read).await;
        return read.map(Json).map_err(|_| missing());
    }
    Ok(Json(view))
}

fn known(state: &RunState, job: JobId) -> Option<Known> {
    let genome = state.genome(job)?.clone();
    let ended = state.ended_job(job).cloned();
    let spec = state.spec();
    let mut view = CandidateView::new(spec, job, &genome, ended.as_ref()).ok()?;
    view.part = state.part(job);
    let search = state.search();
    let parents = search.parents(CandidateId(job.0));
    let parents = parents.filter_map(|CandidateId(parent)| {
        let parent = JobId(parent);
        let result = state.ended_job(parent).and_then(EndedJob::result);
        let accuracy = result.map(|measured| measured.accuracy.percent());
        let of_parent = (parent, state.genome(parent)?);
        Some(ParentView::new(spec, of_parent, accuracy, &genome))
    });
    view.parents = parents.collect();
    let later = state.genomes().map(|(other, _)| other);
    let later = later.skip_while(|other| *other <= job);
    let is_child = |other: &JobId| {
        let mut parents = search.parents(CandidateId(other.0));
        parents.any(|parent| parent.0 == job.0)
    };
    view.children = later.filter(is_child).take(MAX_CHILDREN).collect();
    add_front(&mut view, state);
    Some(Known {
        genome,
        ended,
        view,
    })
}

/// Whether it is on the front, and which rules choose it there.
fn add_front(view: &mut CandidateView, state: &RunState) {
    let front = state.front();
    let limit = limit_of_guessing(state.spec(), None);
    let useful = front.iter();
    let useful = useful.filter(|member| member.measurement.accuracy.percent() > limit);
    let useful: Vec<_> = useful.collect();
    view.on_front = front.iter().any(|member| member.job == view.job);
    let member = useful.iter().find(|member| member.job == view.job);
    view.picks = member.map_or_else(String::new, |member| names_of(member, &useful));
}

/// What the files of a run that has ended tell of a network.
fn add_models(view: &mut CandidateView, dir: &Path, genome: &Genome) {
    let models = read_front(dir).unwrap_or_default();
    if let Some(model) = models.into_iter().find(|model| model.genome == *genome) {
        view.test_accuracy = Some(model.test_accuracy.percent());
        view.curve = model.curve;
    }
    view.retrained = retrained_description(dir, genome).map(|model| RetrainedAccuracy {
        test_accuracy: model.test_accuracy.map(|accuracy| accuracy.percent()),
        epochs: model.recipe.epochs,
    });
}

/// What the referee did about a job, between these entries of the journal.
async fn dispute(app: &App, job: JobId, first: u64, last: u64) -> Reply<Vec<DisputeStep>> {
    let (mut steps, mut after) = (Vec::new(), first.saturating_sub(1));
    let last = last.min(first.saturating_add(MAX_ENTRIES));
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
    let steps = spec
        .rules
        .referee
        .as_ref()
        .map_or(0, |referee| referee.steps);
    let text = match ruling {
        Ruling::Step { step, found } => format!(
            "the referee trained to step {step} of {steps} itself, and found the state {} with the digest chain {}",
            found.state, found.chain
        ),
        Ruling::Accuracy { found } => format!(
            "the referee measured the accuracy of the delivered weights itself, and found {found} %"
        ),
        _ => return None,
    };
    Some(DisputeStep {
        ms: entry.now_ms,
        text,
    })
}
