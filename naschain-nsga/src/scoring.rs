use crate::candidate::{CandidateId, ObjectiveValues, Outcome};
use crate::state::Slot;
use crate::{Error, Search, Space};

impl<S: Space> Search<S> {
    /// Checks that the outcome fits this search; one with a NaN becomes a failure.
    #[inline]
    pub(crate) fn check(&self, id: CandidateId, outcome: &mut Outcome) -> Result<(), Error> {
        match outcome {
            Outcome::Objectives(values) => {
                self.check_count(id, values)?;
                if let Some(reason) = self.nan(values) {
                    *outcome = Outcome::Failed(reason);
                }
            }
            Outcome::Constrained(values) => {
                let constraints = &values.constraints;
                self.check_count(id, &values.objectives)?;
                let (found, expected) = (constraints.len(), self.scores.largest.len());
                if found != expected && expected > 0 {
                    return Err(Error::ConstraintCount {
                        id,
                        found,
                        expected,
                    });
                }
                let reason = match constraints.iter().position(|value| !value.is_finite()) {
                    Some(at) => Some(format!("constraint {at} is {}", constraints[at])),
                    None if values.hold() => self.nan(&values.objectives),
                    // The objectives of an infeasible candidate need not exist.
                    None => None,
                };
                if let Some(reason) = reason {
                    *outcome = Outcome::Failed(reason);
                }
            }
            &mut Outcome::Infeasible(found) if !(found > 0.0 && found.is_finite()) => {
                return Err(Error::Violation { id, found });
            }
            Outcome::Infeasible(_) | Outcome::Failed(_) => {}
        }
        Ok(())
    }

    fn check_count(&self, id: CandidateId, values: &ObjectiveValues) -> Result<(), Error> {
        let (found, expected) = (values.len(), self.scores.objectives);
        if found == expected {
            return Ok(());
        }
        Err(Error::ObjectiveCount {
            id,
            found,
            expected,
        })
    }

    /// Names the first objective that is NaN.
    fn nan(&self, values: &ObjectiveValues) -> Option<String> {
        let at = values.iter().position(|value| value.is_nan())?;
        let name = &self.state.config.objectives[at].name;
        Some(format!("objective {name} is NaN"))
    }

    /// Enters an outcome into the scores.
    #[inline]
    pub(crate) fn score(&mut self, index: usize, outcome: &Outcome) {
        match outcome {
            Outcome::Failed(_) => {}
            Outcome::Infeasible(violation) => {
                self.scores.violations[index] = *violation;
            }
            Outcome::Objectives(values) => self.score_feasible(index, values),
            Outcome::Constrained(values) => {
                let constraints = &values.constraints;
                let largest = &mut self.scores.largest;
                largest.resize(constraints.len(), 0.0);
                for (largest, value) in largest.iter_mut().zip(constraints.iter()) {
                    *largest = largest.max(*value);
                }
                let violation = total_violation(constraints, largest);
                if violation > 0.0 {
                    self.scores.violations[index] = violation;
                } else {
                    self.score_feasible(index, &values.objectives);
                }
            }
        }
    }

    #[inline]
    fn score_feasible(&mut self, index: usize, values: &ObjectiveValues) {
        let width = self.scores.objectives;
        self.scores.violations[index] = 0.0;
        self.scores.successes += 1;
        let row = &mut self.scores.rows[index * width..(index + 1) * width];
        let directions = self.state.config.objectives.iter();
        for ((cell, value), objective) in row.iter_mut().zip(values.iter()).zip(directions) {
            *cell = objective.direction.minimised(*value);
        }
    }

    /// Computes the violations again, as shares of the largest ones of all candidates told so far.
    pub(crate) fn update_violations(&mut self) {
        if self.scores.largest.is_empty() {
            return;
        }
        for (slot, violation) in self.state.slots.iter().zip(&mut self.scores.violations) {
            if let Slot::Evaluated(told) = slot
                && let Some(constraints) = told.outcome.constraints()
            {
                *violation = total_violation(constraints, &self.scores.largest);
            }
        }
    }

    /// The value of one constraint of a candidate, if its outcome has constraints.
    pub(crate) fn constraint_value(&self, index: usize, constraint: usize) -> Option<f64> {
        match &self.state.slots[index] {
            Slot::Evaluated(told) => told.outcome.constraints()?.get(constraint).copied(),
            Slot::Pending(_) => None,
        }
    }
}

/// The sum of the violations as shares of the largest ones; above 0 if a constraint is violated.
fn total_violation(constraints: &[f64], largest: &[f64]) -> f64 {
    let violated = constraints
        .iter()
        .zip(largest)
        .filter(|(one, _)| **one > 0.0);
    // A share may be rounded to 0.
    let shares = violated.map(|(value, largest)| (value / largest).max(f64::MIN_POSITIVE));
    shares.sum()
}
