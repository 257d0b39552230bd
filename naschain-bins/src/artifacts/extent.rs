//! `extent.json`: how many networks the search of a run has, and whether it is finished.
//!
//! `run.json` alone does not tell: a search may be extended, and it is finished before its last network
//! where there are no others.

use std::path::Path;

use anyhow::Result;
use naschain_run::{RunSpec, RunState};
use serde::{Deserialize, Serialize};

use crate::files::write_whole;
use crate::printable::counted;

const FILE: &str = "extent.json";

/// How far a search goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SearchExtent {
    /// Networks that it evaluates at most.
    pub networks: usize,
    /// Whether nothing is left to evaluate.
    pub finished: bool,
}

impl SearchExtent {
    /// That of a run in this state.
    pub(crate) fn of(state: &RunState) -> SearchExtent {
        SearchExtent {
            networks: state.max_networks(),
            finished: state.is_finished(),
        }
    }

    /// Writes the file into the run's folder.
    pub(crate) fn write(self, dir: &Path) -> Result<()> {
        let json = serde_json::to_string(&self)?;
        write_whole(&dir.join(FILE), json.as_bytes())
    }

    /// That of the run in `dir`, of which `ended` networks are evaluated. Where there is no readable
    /// file, as in runs of earlier versions, it follows from the specification.
    pub(crate) fn read(dir: &Path, spec: &RunSpec, ended: usize) -> SearchExtent {
        let text = std::fs::read_to_string(dir.join(FILE)).ok();
        let stored = text.and_then(|text| serde_json::from_str(&text).ok());
        stored.unwrap_or_else(|| {
            let networks = spec.max_networks();
            SearchExtent {
                networks,
                finished: ended >= networks,
            }
        })
    }

    /// How many networks are evaluated, such as `4 of 24`; only the number if it is finished.
    pub(crate) fn evaluated(self, ended: usize) -> String {
        if self.finished {
            ended.to_string()
        } else {
            format!("{ended} of {}", self.networks)
        }
    }
}

/// How much a search has done: such as `9 of 24 networks`, or with rungs, where a network may be trained
/// in several jobs, `9 of 80 trainings of 56 networks`.
pub(crate) fn work_done(state: &RunState) -> String {
    let (done, jobs) = (state.ended_jobs().len(), state.max_jobs());
    format!("{done} of {}", jobs_of(jobs, state.max_networks()))
}

/// How much a search has left to do, in the same words.
pub(crate) fn work_left(state: &RunState) -> String {
    let left = state.max_jobs().saturating_sub(state.ended_jobs().len());
    jobs_of(left, state.max_networks())
}

/// The number of jobs of a search, such as `24 networks` or `80 trainings of 56 networks`.
fn jobs_of(jobs: usize, networks: usize) -> String {
    if jobs <= networks {
        counted(jobs, "network")
    } else {
        format!("{jobs} trainings of {}", counted(networks, "network"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_folder::test_folder;
    use crate::test_spec::test_spec;

    #[test]
    fn an_extent_is_stored_or_follows_from_the_specification() {
        let spec = test_spec();
        let dir = test_folder("extent");
        let networks = spec.max_networks();
        assert!(SearchExtent::read(&dir, &spec, networks).finished);
        let early = SearchExtent::read(&dir, &spec, 4);
        assert_eq!(early.evaluated(4), format!("4 of {networks}"));
        let extended = SearchExtent {
            networks: networks + 8,
            finished: false,
        };
        extended.write(&dir).unwrap();
        assert_eq!(SearchExtent::read(&dir, &spec, networks), extended);
        let stalled = SearchExtent {
            networks: 24,
            finished: true,
        };
        assert_eq!(stalled.evaluated(20), "20");
        std::fs::remove_dir_all(dir).unwrap();
    }
}
