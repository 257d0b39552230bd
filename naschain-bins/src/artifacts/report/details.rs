//! What the report knows of single networks.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use naschain_consensus::JobId;
use naschain_core::Genome;
use naschain_run::{EndedJob, RunRecord};

use crate::artifacts::candidate::{CandidateView, LineageView, ParentView, PartView, public_seed};
use crate::artifacts::choice::names_of;
use crate::artifacts::lineage::{Lineage, read_lineage};
use crate::artifacts::models::retrained_accuracy;
use crate::artifacts::results::Results;

/// Networks whose details are in the report, the most accurate first; a drawing has some kilobytes.
const MAX_DETAILED: usize = 300;

/// What is known of the front, and of the most accurate networks, by job. `all` are the jobs that the
/// record has.
pub(super) fn details(
    results: &Results,
    all: &[EndedJob],
    record: &RunRecord,
) -> Result<serde_json::Value> {
    let front: BTreeSet<JobId> = results.front.iter().map(|member| member.job).collect();
    let lineage = read_lineage(&results.dir)?;
    let mut parts: BTreeMap<&Genome, Vec<JobId>> = BTreeMap::new();
    for job in all {
        parts.entry(&job.genome).or_default().push(job.job);
    }
    parts.values_mut().for_each(|jobs| jobs.sort_unstable());
    let known = ReportedRun {
        results,
        record,
        parts,
        jobs: all.iter().map(|job| (job.job, job)).collect(),
        lineage: lineage.as_ref(),
    };
    let mut wanted: Vec<&EndedJob> = all.iter().collect();
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
        let view = serde_json::to_value(known.detail(job, front.contains(&job.job))?)?;
        details.insert(job.job.0.to_string(), view);
    }
    Ok(details.into())
}

/// What details are made of.
struct ReportedRun<'r> {
    results: &'r Results,
    record: &'r RunRecord,
    jobs: BTreeMap<JobId, &'r EndedJob>,
    /// The jobs of each genome, in their order.
    parts: BTreeMap<&'r Genome, Vec<JobId>>,
    lineage: Option<&'r Lineage>,
}

impl ReportedRun<'_> {
    fn detail(&self, job: &EndedJob, is_front: bool) -> Result<CandidateView> {
        let (results, spec) = (self.results, &self.results.spec);
        let mut view = CandidateView::new(spec, job.job, &job.genome, Some(job))?;
        let jobs = self.parts.get(&job.genome).map_or(&[][..], Vec::as_slice);
        view.generation = self.record.generation_of(job.job);
        view.training_seed = public_seed(spec);
        view.on_front = is_front;
        view.picks = picks(results, job.job);
        if !spec.search.rungs.is_empty() {
            let rung = jobs.iter().position(|other| *other == job.job).unwrap_or(0);
            let end = |rung: usize| spec.search.rungs.get(rung).copied();
            view.part = Some(PartView {
                from_epoch: rung.checked_sub(1).and_then(end).unwrap_or(0),
                until_epoch: end(rung).unwrap_or(spec.recipe.epochs),
            });
        }
        // These are of the whole training, which the last part completes.
        if jobs.last() == Some(&job.job) {
            let model = results.model(&job.genome);
            view.test_accuracy = model.map(|model| model.test_accuracy.percent());
            view.curve = model.map_or_else(Vec::new, |model| model.curve.clone());
            view.retrained = retrained_accuracy(&results.dir, &job.genome);
        }
        view.lineage = self
            .lineage
            .map(|lineage| self.family(lineage, jobs, &job.genome));
        view.other_parts = jobs.to_vec();
        view.other_parts.retain(|other| *other != job.job);
        Ok(view)
    }

    fn family(&self, lineage: &Lineage, jobs: &[JobId], genome: &Genome) -> LineageView {
        // The first of them began the network.
        let parents = jobs
            .first()
            .map_or(&[][..], |first| lineage.parents(*first));
        let parents = parents.iter();
        let parents = parents.filter_map(|parent| {
            let ended = self.jobs.get(parent)?;
            let accuracy = ended.result().map(|measured| measured.accuracy.percent());
            let parent = (*parent, &ended.genome);
            Some(ParentView::new(
                &self.results.spec,
                parent,
                accuracy,
                genome,
            ))
        });
        LineageView {
            parents: parents.collect(),
            children: lineage.children(jobs),
            has_more: false,
        }
    }
}

/// The choices that pick a network.
pub(super) fn picks(results: &Results, job: JobId) -> String {
    let useful = results.useful_front();
    let member = useful.iter().find(|member| member.job == job);
    member.map_or_else(String::new, |member| names_of(member, &useful))
}
