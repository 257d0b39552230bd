use std::cmp::Ordering;

use crate::selection::Scores;
use crate::sorting::ranks_of_rows;

/// The non-dominated points in lexicographic order, each with its candidates.
#[derive(Clone, Debug)]
pub(crate) struct Front {
    /// The points, one column per objective.
    columns: Vec<Vec<f64>>,
    /// The candidate with the smallest id at each point.
    candidates: Vec<usize>,
    /// The other candidates at each point, in any order.
    others: Vec<Vec<usize>>,
    /// Whether the points have changed since the last [`Front::take_changed`].
    changed: bool,
}

impl Front {
    pub(crate) fn new(objectives: usize) -> Self {
        Front {
            columns: vec![Vec::new(); objectives],
            candidates: Vec::new(),
            others: Vec::new(),
            changed: false,
        }
    }

    /// The front of all feasible candidates except `left_out`.
    pub(crate) fn without(scores: &Scores, left_out: &[usize]) -> Self {
        let mut is_in: Vec<bool> = scores.violations.iter().map(|one| *one == 0.0).collect();
        left_out.iter().for_each(|&index| is_in[index] = false);
        let feasible: Vec<usize> = (0..is_in.len()).filter(|&index| is_in[index]).collect();
        let ranks = ranks_of_rows(&scores.rows_of(&feasible), scores.objectives);
        let mut front = Front::new(scores.objectives);
        for (index, _) in feasible
            .into_iter()
            .zip(ranks)
            .filter(|(_, rank)| *rank == 0)
        {
            front.insert(scores, index);
        }
        front
    }

    /// The number of points.
    pub(crate) fn len(&self) -> usize {
        self.candidates.len()
    }

    /// All candidates, point by point, those of one point in ascending order.
    pub(crate) fn members(&self) -> Vec<usize> {
        let mut members = Vec::with_capacity(self.len());
        for (first, others) in self.candidates.iter().zip(&self.others) {
            let start = members.len();
            members.push(*first);
            members.extend(others);
            members[start..].sort_unstable();
        }
        members
    }

    /// Returns whether the points have changed since the last call.
    pub(crate) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// The candidate with the smallest id at each point.
    pub(crate) fn candidates(&self) -> &[usize] {
        &self.candidates
    }

    /// The index of the point that equals `row`, or the index to insert it at.
    #[inline]
    fn find(&self, row: &[f64]) -> Result<usize, usize> {
        let firsts = &self.columns[0];
        let mut at = firsts.partition_point(|&first| first < row[0]);
        while at < firsts.len() {
            match self.compare(at, row) {
                Ordering::Less => at += 1,
                Ordering::Equal => return Ok(at),
                Ordering::Greater => break,
            }
        }
        Err(at)
    }

    /// Inserts a candidate if it is feasible and no point dominates it, and removes the points that it
    /// dominates.
    pub(crate) fn insert(&mut self, scores: &Scores, index: usize) {
        if scores.violations[index] > 0.0 {
            return;
        }
        let row = scores.row(index);
        let at = match self.find(row) {
            Ok(at) => {
                let first = &mut self.candidates[at];
                self.others[at].push(index.max(*first));
                *first = index.min(*first);
                return;
            }
            Err(at) => at,
        };
        let point = |at: usize| self.columns.iter().map(move |column| column[at]);
        // Dominators precede the row in lexicographic order; with two objectives, only the direct
        // predecessor can be one.
        let rivals = if row.len() == 2 { at.min(1) } else { at };
        if (at - rivals..at).any(|other| point(other).zip(row).all(|(x, y)| x <= *y)) {
            return;
        }
        let is_dominated = |other: usize| point(other).zip(row).all(|(x, y)| x >= *y);
        let kept: Vec<bool> = (at..self.len()).map(|other| !is_dominated(other)).collect();
        for (column, value) in self.columns.iter_mut().zip(row) {
            retain_from(at, column, &kept);
            column.insert(at, *value);
        }
        retain_from(at, &mut self.candidates, &kept);
        self.candidates.insert(at, index);
        retain_from(at, &mut self.others, &kept);
        self.others.insert(at, Vec::new());
        self.changed = true;
    }

    /// Compares a point with a row lexicographically.
    #[inline]
    fn compare(&self, at: usize, row: &[f64]) -> Ordering {
        for (column, value) in self.columns.iter().zip(row) {
            if column[at] != *value {
                return column[at].total_cmp(value);
            }
        }
        Ordering::Equal
    }
}

/// Keeps the items before `start`, and those from it on whose entry in `kept` is true.
fn retain_from<T>(start: usize, items: &mut Vec<T>, kept: &[bool]) {
    let mut place = 0;
    items.retain(|_| {
        place += 1;
        place <= start || kept[place - 1 - start]
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_a_point_are_in_the_order_of_ids() {
        let mut scores = Scores::with_capacity(2, 6);
        scores.rows = vec![3.0, 1.0, 1.0, 3.0, 3.0, 1.0, 1.0, 3.0, 1.0, 3.0, 4.0, 4.0];
        scores.violations = vec![0.0; 6];
        let mut front = Front::new(2);
        for index in [4, 5, 3, 2, 1, 0] {
            front.insert(&scores, index);
        }
        assert_eq!(front.members(), [1, 3, 4, 0, 2]);
        assert_eq!(front.candidates(), [1, 0]);
    }
}
