//! The document that pages and reports are made from.

use naschain_core::{Digest, GeneSpace};
use naschain_run::{RecordColumns, RunSpec};
use serde::Serialize;

use crate::artifacts::results::limit_of_guessing;

/// What does not change in a run.
#[derive(Clone, PartialEq, Serialize)]
pub(crate) struct RunFacts {
    title: String,
    run: Digest,
    measured_on: &'static str,
    pub(crate) guessing_limit: f64,
    genome_len: usize,
    /// The search space: `macro`, `micro` or `mobile`.
    space: &'static str,
    /// Bits of a phase, a cell or a stage.
    phase_len: usize,
    /// What each bit of a genome stands for, where that is not a connection.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    gene_names: Vec<String>,
    epochs: u32,
    rungs: Vec<u32>,
    seats: usize,
    networks: usize,
    pub(crate) generations: usize,
    population: usize,
    /// Whether the run ended before its search was finished.
    pub(crate) was_stopped: bool,
    /// The run time after which the run is stopped, if there is one.
    pub(crate) time_limit_ms: Option<u64>,
    /// Whether the times are milliseconds; otherwise they are numbers of evaluations.
    has_times: bool,
}

impl RunFacts {
    /// Those of a run; `networks` is the number of its jobs, at most.
    pub(crate) fn new(spec: &RunSpec, title: &str, networks: usize, has_times: bool) -> RunFacts {
        RunFacts {
            title: title.to_owned(),
            run: spec.digest(),
            measured_on: ["validation", "test"][usize::from(spec.recipe.is_measured_on_test())],
            guessing_limit: limit_of_guessing(spec, None),
            genome_len: spec.search.genome_len,
            space: spec.space.name(),
            phase_len: spec.space.part_len(),
            gene_names: spec
                .space
                .gene_space()
                .map(GeneSpace::bit_names)
                .unwrap_or_default(),
            epochs: spec.recipe.epochs,
            rungs: spec.recipe.rungs.clone(),
            seats: spec.rules.seats,
            networks,
            generations: spec.search.generations,
            population: spec.search.population,
            was_stopped: false,
            time_limit_ms: None,
            has_times,
        }
    }
}

/// The response of `/v1/record`.
#[derive(Serialize)]
pub(crate) struct RecordDocument<'r> {
    pub(crate) cursor: String,
    pub(crate) facts: RunFacts,
    #[serde(flatten)]
    pub(crate) columns: RecordColumns<'r>,
}
