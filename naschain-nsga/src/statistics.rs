use serde::{Deserialize, Serialize};

use crate::exact;
use crate::hypervolume::hypervolume;
use crate::search::Finish;
use crate::{Search, Space};

/// The progress of a search when a generation was completed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statistics {
    /// The generation, from 1. With rungs, one is complete when the first results of all its genomes
    /// were told; the last entry is that of the search's end.
    pub generation: usize,
    /// Candidates told so far, including failed and infeasible ones.
    pub evaluations: usize,
    /// Candidates told so far that failed or are infeasible.
    pub unsuccessful: usize,
    /// Number of distinct points on the front of all evaluated candidates.
    pub front_len: usize,
    /// Genomes rejected so far because their canonical form was a candidate already.
    pub duplicates: u64,
    /// The front's hypervolume with respect to the configured reference point or, by default, the
    /// worst value of each objective in the first generation. `None` with more than three objectives,
    /// and while no candidate has succeeded.
    #[serde(with = "exact::option")]
    pub hypervolume: Option<f64>,
}

impl<S: Space> Search<S> {
    /// Adds an entry if a generation is complete, and ends a search that has stalled.
    pub(crate) fn record(&mut self) {
        let config = &self.state.config;
        let evaluations = self.state.slots.len() - self.pending;
        let complete = self.genomes_told() / config.population;
        // The last entry includes what was promoted after the last genome was made.
        let made_all = self.genomes_made() == config.max_candidates();
        let is_last = self.has_rungs() && (made_all || self.state.ended.is_some());
        let recorded = self.state.statistics.len();
        if complete < recorded || complete == recorded && !(is_last && recorded > 0) {
            return;
        }
        let unsuccessful = evaluations - self.scores.successes;
        let hypervolume = match (self.front.take_changed(), self.state.statistics.last()) {
            (false, Some(before)) => before.hypervolume,
            _ => self.front_volume(),
        };
        self.state.statistics.truncate(complete - 1);
        self.state.statistics.push(Statistics {
            generation: complete,
            evaluations,
            unsuccessful,
            front_len: self.front.len(),
            duplicates: self.state.duplicates,
            hypervolume,
        });
        let stalled = self
            .state
            .config
            .stalled_generations
            .is_some_and(|patience| {
                let entries = &self.state.statistics;
                entries.len() > patience
                    && entries[entries.len() - 1].hypervolume
                        <= entries[entries.len() - 1 - patience].hypervolume
            });
        if stalled && !is_last && self.state.ended.is_none() {
            self.state.ended = Some(Finish::Stalled);
        }
    }

    fn front_volume(&mut self) -> Option<f64> {
        if self.scores.objectives > 3 {
            return None;
        }
        if self.state.reference.is_none() {
            self.state.reference = self.reference_point();
        }
        let rows = self.scores.rows_of(self.front.candidates());
        hypervolume(&rows, self.state.reference.as_ref()?).ok()
    }

    /// The configured reference point or the worst finite values so far, with all objectives minimised.
    fn reference_point(&self) -> Option<Vec<f64>> {
        let objectives = self.state.config.objectives.iter().enumerate();
        if let Some(reference) = &self.state.config.reference {
            let point = objectives.map(|(at, goal)| goal.direction.minimised(reference[at]));
            return Some(point.collect());
        }
        let worst = |at: usize| {
            let column = self
                .scores
                .rows
                .iter()
                .skip(at)
                .step_by(self.scores.objectives);
            let finite = column.copied().filter(|value| value.is_finite());
            finite.reduce(|a, b| if b > a { b } else { a })
        };
        objectives.map(|(at, _)| worst(at)).collect()
    }
}
