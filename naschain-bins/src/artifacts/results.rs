//! The results of a run as its folder holds them, finished or not.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;
use naschain_consensus::JobId;
use naschain_core::{Accuracy, Genome, Measurement};
use naschain_nsga::{hypervolume, non_dominated_sort};
use naschain_run::{EndedJob, FrontMember, RunSpec};

use crate::artifacts::extent::SearchExtent;
use crate::artifacts::front_model::{FrontModel, read_front};
use crate::artifacts::history::existing_history;
use crate::journal::run_folder::read_run;
use crate::printable::counted;

/// Specification, ended jobs, front and models of a run.
pub(crate) struct Results {
    /// The run's folder.
    pub dir: PathBuf,
    /// The run.
    pub spec: RunSpec,
    /// The ended job of each network; with rungs, that which trained it for longest.
    pub ended: Vec<EndedJob>,
    /// Of these, the jobs of networks that were trained up to a rung only, with its epoch.
    pub stopped: BTreeMap<JobId, u32>,
    /// The front so far, most accurate first.
    pub front: Vec<FrontMember>,
    /// How far the search goes.
    pub extent: SearchExtent,
    /// The trained networks of the front; empty before the end of the run.
    pub models: Vec<FrontModel>,
}

impl Results {
    /// Reads the files of a run.
    pub(crate) fn read(dir: &Path) -> Result<Results> {
        let spec = read_run(dir)?;
        let (ended, stopped) = by_network(&spec, existing_history(dir)?);
        let whole = ended.iter().filter(|job| !stopped.contains_key(&job.job));
        Ok(Results {
            dir: dir.to_owned(),
            front: front_of(&spec, whole)?,
            extent: SearchExtent::read(dir, &spec, ended.len()),
            models: read_front(dir)?,
            spec,
            ended,
            stopped,
        })
    }

    /// Of a run that has a specification and nothing else.
    pub(crate) fn not_begun(dir: &Path) -> Result<Results> {
        let spec = read_run(dir)?;
        Ok(Results {
            dir: dir.to_owned(),
            ended: Vec::new(),
            stopped: BTreeMap::new(),
            front: Vec::new(),
            extent: SearchExtent::read(dir, &spec, 0),
            models: Vec::new(),
            spec,
        })
    }

    /// The trained network of a genome, if it is on the front of a finished run.
    pub(crate) fn model(&self, genome: &Genome) -> Option<&FrontModel> {
        self.models.iter().find(|model| model.genome == *genome)
    }

    /// The images on which the miners measure accuracies: validation, or test in a retraining.
    pub(crate) fn measured_on(&self) -> &'static str {
        if self.spec.recipe.is_measured_on_test() {
            "test"
        } else {
            "validation"
        }
    }

    /// The accuracy in percent that a network has to exceed to have learnt anything: that of
    /// guessing and two standard errors of a measurement of it. In a retraining, whose network is
    /// chosen already, it is that of guessing.
    pub(crate) fn guessing_limit(&self) -> f64 {
        limit_of_guessing(&self.spec, self.measured_guessing())
    }

    /// The accuracy of guessing in percent.
    fn guessing(&self) -> f64 {
        guessing(&self.spec, self.measured_guessing())
    }

    fn measured_guessing(&self) -> Option<Accuracy> {
        self.models.iter().find_map(|model| model.guessing_accuracy)
    }

    /// Why no network is useful: the sentence names the run by `of`, such as ` of runs/a`, and
    /// `remedy` if the images are not the reason.
    pub(crate) fn none_useful(&self, of: &str, remedy: &str) -> String {
        let (images, limit) = (self.spec.recipe.validation_images, self.guessing_limit());
        if images == 0 {
            return format!(
                "the network{of} is not better than guessing (above {limit:.2} % test accuracy); train it longer, with more --epochs"
            );
        }
        one_sided(self.guessing(), images).unwrap_or_else(|| {
            format!(
                "no network{of} is better than guessing (above {limit:.2} % validation accuracy); {remedy}"
            )
        })
    }

    /// The networks of the front that are better than guessing, most accurate first.
    pub(crate) fn useful_front(&self) -> Vec<&FrontMember> {
        useful_members(&self.front, self.guessing_limit())
    }
}

/// The networks that are more accurate than `limit` percent.
pub(crate) fn useful_members(front: &[FrontMember], limit: f64) -> Vec<&FrontMember> {
    let is_useful = |member: &&FrontMember| member.measurement.accuracy.percent() > limit;
    front.iter().filter(is_useful).collect()
}

/// The accuracy of guessing in percent: as measured, or that of classes of the same size.
fn guessing(spec: &RunSpec, measured: Option<Accuracy>) -> f64 {
    let uniform = 100.0 / spec.space.classes() as f64;
    measured.map_or(uniform, |accuracy| accuracy.percent())
}

/// As [`Results::guessing_limit`], of a run in which guessing was measured to have this accuracy.
pub(crate) fn limit_of_guessing(spec: &RunSpec, measured: Option<Accuracy>) -> f64 {
    match spec.recipe.validation_images {
        0 => guessing(spec, measured),
        images => limit(guessing(spec, measured), images),
    }
}

/// What a network has to exceed where guessing has an accuracy of `guessing` percent.
fn limit(guessing: f64, images: usize) -> f64 {
    let images = images.max(1) as f64;
    guessing + 2.0 * (guessing * (100.0 - guessing) / images).sqrt()
}

/// What is wrong with validation images on which no network can exceed the limit.
fn one_sided(guessing: f64, images: usize) -> Option<String> {
    (limit(guessing, images) >= 100.0).then(|| {
        format!(
            "the validation images are too few or too one-sided to tell a network from guessing: the largest class is {guessing:.2} % of {}; add pictures of the others",
            counted(images, "image")
        )
    })
}

/// The networks on which miners agreed, in the order in which their jobs ended.
pub(crate) fn measured(ended: &[EndedJob]) -> impl Iterator<Item = (&EndedJob, Measurement)> {
    ended.iter().filter_map(|job| Some((job, job.result()?)))
}

/// The last ended job of each network in a run with rungs, and the epoch of those that were not trained
/// to the end; otherwise all jobs.
pub(crate) fn by_network(
    spec: &RunSpec,
    ended: Vec<EndedJob>,
) -> (Vec<EndedJob>, BTreeMap<JobId, u32>) {
    let mut stopped = BTreeMap::new();
    if spec.recipe.rungs.is_empty() {
        return (ended, stopped);
    }
    let (mut jobs, mut places) = (Vec::new(), BTreeMap::new());
    for job in ended {
        let (place, parts) = places.entry(job.genome.clone()).or_insert((jobs.len(), 0));
        if *place < jobs.len() {
            jobs[*place] = job;
        } else {
            jobs.push(job);
        }
        *parts += 1;
    }
    for (place, parts) in places.into_values() {
        if let Some(rung) = spec.recipe.rungs.get(parts - 1) {
            stopped.insert(jobs[place].job, *rung);
        }
    }
    (jobs, stopped)
}

/// The non-dominated ones of these networks, most accurate first; of equal ones the first job.
fn front_of<'j>(
    spec: &RunSpec,
    trained: impl Iterator<Item = &'j EndedJob>,
) -> Result<Vec<FrontMember>> {
    let measured = trained.filter_map(|job| Some((job, job.result()?)));
    let measured: Vec<(&EndedJob, Measurement)> = measured.collect();
    let rows = measured.iter().flat_map(|(job, measurement)| {
        let [accuracy, params, third] = spec.objective_values(&job.genome, measurement);
        [-accuracy, params, third]
    });
    let rows: Vec<f64> = rows.collect();
    let ranks = non_dominated_sort(&rows, 3)?;
    let first = measured.iter().zip(ranks).filter(|(_, rank)| *rank == 0);
    let mut front: Vec<FrontMember> = first
        .map(|((job, measurement), _)| FrontMember {
            job: job.job,
            genome: job.genome.clone(),
            measurement: *measurement,
        })
        .collect();
    front.sort_by_key(FrontMember::order);
    front.dedup_by_key(|member| {
        let m = member.measurement;
        (m.accuracy, m.params, m.flops)
    });
    Ok(front)
}

/// The largest parameters and FLOPs of networks, as a corner of their hypervolume.
pub(crate) fn largest_costs<'m>(networks: impl Iterator<Item = &'m Measurement>) -> [u64; 2] {
    networks.fold([0; 2], |[params, flops], m| {
        [params.max(m.params), flops.max(m.flops)]
    })
}

/// The hypervolume of networks as a share, 0 to 1, of the box between 100 % at no cost and 0 % at
/// `largest` parameters and FLOPs.
pub(crate) fn hypervolume_share(networks: &[Measurement], largest: [u64; 2]) -> Result<f64> {
    let scale = largest.map(|cost| cost.max(1) as f64);
    let rows: Vec<f64> = networks
        .iter()
        .flat_map(|m| {
            let [params, flops] = [m.params as f64 / scale[0], m.flops as f64 / scale[1]];
            [-m.accuracy.percent() / 100.0, params, flops]
        })
        .collect();
    Ok(hypervolume(&rows, &[0.0, 1.0, 1.0])?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_no_network_can_exceed_is_the_fault_of_the_images() {
        assert_eq!(limit(50.0, 100), 60.0);
        assert_eq!(one_sided(50.0, 100), None);
        let text = one_sided(90.0, 20).unwrap();
        assert!(
            text.contains("the largest class is 90.00 % of 20 images;"),
            "{text}"
        );
        assert!(one_sided(50.0, 4).is_some());
    }
}
