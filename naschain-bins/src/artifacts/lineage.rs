//! `lineage.json`: from which candidates the search made each one, by job, for those of which it is known.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result};
use naschain_consensus::JobId;
use naschain_run::RunState;

use crate::files::write_whole;

/// The file, in the folder of a run.
const LINEAGE_FILE: &str = "lineage.json";

/// The parents of each candidate that has any.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lineage(BTreeMap<JobId, Vec<JobId>>);

impl Lineage {
    /// What the search knows.
    pub(crate) fn of(state: &RunState) -> Lineage {
        let all = state.genomes();
        let all = all.map(|(job, _)| (job, state.parents(job).collect()));
        Lineage(
            all.filter(|(_, parents): &(_, Vec<JobId>)| !parents.is_empty())
                .collect(),
        )
    }

    /// From which candidates this one was made.
    pub(crate) fn parents(&self, job: JobId) -> &[JobId] {
        self.0.get(&job).map_or(&[], Vec::as_slice)
    }

    /// Which candidates were made from one of these.
    pub(crate) fn children(&self, jobs: &[JobId]) -> Vec<JobId> {
        let is_child = |(_, parents): &(&JobId, &Vec<JobId>)| {
            parents.iter().any(|parent| jobs.contains(parent))
        };
        self.0
            .iter()
            .filter(is_child)
            .map(|(child, _)| *child)
            .collect()
    }

    /// Writes the file.
    pub(crate) fn write(&self, dir: &Path) -> Result<()> {
        let json = serde_json::to_vec(&self.0)?;
        write_whole(&dir.join(LINEAGE_FILE), &json)
    }
}

/// Reads the file; `None` of a run that an earlier version has ended.
pub(crate) fn read_lineage(dir: &Path) -> Result<Option<Lineage>> {
    let path = dir.join(LINEAGE_FILE);
    let context = || format!("cannot read {}", path.display());
    match std::fs::read(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        read => {
            let read = serde_json::from_slice(&read.with_context(context)?);
            Ok(Some(Lineage(read.with_context(context)?)))
        }
    }
}
