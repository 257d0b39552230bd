//! What the report knows of single networks.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use anyhow::Result;
use naschain_consensus::JobId;
use naschain_run::EndedJob;

use crate::artifacts::candidate::CandidateView;
use crate::artifacts::choice::names_of;
use crate::artifacts::models::retrained_accuracy;
use crate::artifacts::results::Results;

/// Networks whose details are in the report, the most accurate first; a drawing has some kilobytes.
const MAX_DETAILED: usize = 300;

/// What is known of the front, and of the most accurate networks, by job.
pub(super) fn details(results: &Results) -> Result<serde_json::Value> {
    let front: BTreeSet<JobId> = results.front.iter().map(|member| member.job).collect();
    let mut wanted: Vec<&EndedJob> = results.ended.iter().collect();
    let accuracy = |job: &EndedJob| job.result().map(|measured| measured.accuracy);
    wanted.sort_by_key(|job| {
        (
            Reverse(front.contains(&job.job)),
            Reverse(accuracy(job)),
            job.job,
        )
    });
    let mut details = serde_json::Map::new();
    for job in wanted.into_iter().take(MAX_DETAILED) {
        let view = serde_json::to_value(detail(results, job, front.contains(&job.job))?)?;
        details.insert(job.job.0.to_string(), view);
    }
    Ok(details.into())
}

fn detail(results: &Results, job: &EndedJob, is_front: bool) -> Result<CandidateView> {
    let mut view = CandidateView::new(&results.spec, job.job, &job.genome, Some(job))?;
    let model = results.model(&job.genome);
    view.on_front = is_front;
    view.picks = picks(results, job.job);
    view.test_accuracy = model.map(|model| model.test_accuracy.percent());
    view.curve = model.map_or_else(Vec::new, |model| model.curve.clone());
    view.retrained = retrained_accuracy(&results.dir, &job.genome);
    Ok(view)
}

/// The choices that pick a network.
pub(super) fn picks(results: &Results, job: JobId) -> String {
    let useful = results.useful_front();
    let member = useful.iter().find(|member| member.job == job);
    member.map_or_else(String::new, |member| names_of(member, &useful))
}
