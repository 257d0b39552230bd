use std::cmp::Ordering;

use naschain_core::Stream;

use crate::crowding::distances_in_order;
use crate::sorting::{monotone_key, ranks_of_sorted_rows};

/// What selection looks at: one row of minimised objectives and one violation a candidate.
#[derive(Clone, Debug)]
pub(crate) struct Scores {
    /// Objectives of a row.
    pub(crate) objectives: usize,
    /// The rows; NaN where there is no feasible result.
    pub(crate) rows: Vec<f64>,
    /// 0 feasible, above 0 infeasible, infinity failed or not yet told.
    pub(crate) violations: Vec<f64>,
    /// How many rows are feasible results.
    pub(crate) successes: usize,
}

impl Scores {
    /// No rows of so many objectives, and room for `most`.
    pub(crate) fn with_capacity(objectives: usize, most: usize) -> Self {
        Scores {
            objectives,
            rows: Vec::with_capacity(most * objectives),
            violations: Vec::with_capacity(most),
            successes: 0,
        }
    }

    pub(crate) fn truncate(&mut self, len: usize) {
        self.rows.truncate(len * self.objectives);
        self.violations.truncate(len);
    }

    /// The rows of `pool`, one after the other.
    pub(crate) fn rows_of(&self, pool: &[usize]) -> Vec<f64> {
        let mut rows = Vec::with_capacity(pool.len() * self.objectives);
        for &index in pool {
            rows.extend_from_slice(self.row(index));
        }
        rows
    }

    /// Candidates of `pool`, all feasible, in lexicographic order of their rows, equal ones in the
    /// order of `pool`; and the rows.
    fn sorted(&self, pool: &[usize]) -> (Vec<usize>, Vec<f64>) {
        // Stable sorts, which are quick where parts are in order already.
        if self.objectives == 2 {
            let pairs = self.rows.as_chunks::<2>().0;
            let mut order: Vec<(u128, usize)> = pool
                .iter()
                .map(|&index| {
                    let [first, second] = pairs[index].map(monotone_key);
                    (u128::from(first) << 64 | u128::from(second), index)
                })
                .collect();
            order.sort_by_key(|(key, _)| *key);
            let rows: Vec<[f64; 2]> = order.iter().map(|&(_, index)| pairs[index]).collect();
            let sorted = order.into_iter().map(|(_, index)| index).collect();
            return (sorted, rows.into_flattened());
        }
        let mut sorted = pool.to_vec();
        sorted.sort_by(|&a, &b| {
            let order = self.row(a).partial_cmp(self.row(b));
            order.unwrap_or(Ordering::Equal)
        });
        let rows = self.rows_of(&sorted);
        (sorted, rows)
    }

    #[inline]
    pub(crate) fn row(&self, index: usize) -> &[f64] {
        &self.rows[index * self.objectives..(index + 1) * self.objectives]
    }
}

/// A candidate with what the tournament compares.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ranked {
    pub(crate) index: usize,
    rank: u32,
    crowding: f64,
}

/// The best `count` of `pool`: by rank, and in the front that does not fit by crowding distance,
/// ties at random.
///
/// The feasible ones are ranked by dominance, then come the infeasible ones by their violation, then
/// the failed ones (feasibility first: Deb 2000).
pub(crate) fn survivors(
    scores: &Scores,
    pool: &[usize],
    count: usize,
    stream: &mut Stream,
) -> Vec<Ranked> {
    let violation = |index: usize| scores.violations[index];
    let (mut feasible, mut others) = (Vec::with_capacity(pool.len()), Vec::new());
    for &index in pool {
        match violation(index) == 0.0 {
            true => feasible.push(index),
            false => others.push(index),
        }
    }
    // Sorted once, the rows are in order for the ranks and, front by front, for the crowding distances.
    let (mut sorted, rows) = scores.sorted(&feasible);
    let mut fronts = fronts(&ranks_of_sorted_rows(&rows, scores.objectives));
    others.sort_by(|&a, &b| violation(a).total_cmp(&violation(b)));
    for group in others.chunk_by(|&a, &b| violation(a) == violation(b)) {
        fronts.push((sorted.len()..sorted.len() + group.len()).collect());
        sorted.extend(group);
    }
    let mut kept: Vec<Option<Ranked>> = vec![None; sorted.len()];
    let mut free = count;
    for (rank, front) in (0..).zip(fronts) {
        let crowding = match front[0] < feasible.len() {
            true => distances_in_order(&rows, scores.objectives, &front),
            false => vec![0.0; front.len()],
        };
        let keep = |at: usize| {
            kept[front[at]] = Some(Ranked {
                index: sorted[front[at]],
                rank,
                crowding: crowding[at],
            });
        };
        if front.len() > free {
            let chosen = least_crowded(&crowding, free, stream);
            chosen.into_iter().for_each(keep);
            break;
        }
        (0..front.len()).for_each(keep);
        free -= front.len();
    }
    let mut survivors = Vec::with_capacity(count.min(kept.len()));
    survivors.extend(kept.into_iter().flatten());
    survivors
}

/// The places of each rank, ascending.
fn fronts(ranks: &[u32]) -> Vec<Vec<usize>> {
    let mut fronts: Vec<Vec<usize>> = Vec::new();
    for (place, &rank) in ranks.iter().enumerate() {
        // In lexicographic order, a rank comes after the ranks before it.
        match fronts.get_mut(rank as usize) {
            Some(front) => front.push(place),
            None => {
                let mut front = Vec::with_capacity(ranks.len() - place);
                front.push(place);
                fronts.push(front);
            }
        }
    }
    fronts
}

/// Those `count`, less than all, with the largest distances; who of the equal ones at the border, is
/// chance.
fn least_crowded(crowding: &[f64], count: usize, stream: &mut Stream) -> Vec<usize> {
    if count == 0 {
        return Vec::new();
    }
    let mut sorted = crowding.to_vec();
    let (_, border, _) = sorted.select_nth_unstable_by(count - 1, |a, b| b.total_cmp(a));
    let (mut kept, mut equal) = (Vec::with_capacity(count), Vec::new());
    for (at, distance) in crowding.iter().enumerate() {
        if distance > border {
            kept.push(at);
        } else if distance == border {
            equal.push(at);
        }
    }
    // The first steps of a shuffle: the rest are not looked at.
    for place in 0..count - kept.len() {
        let other = place + stream.index(equal.len() - place);
        equal.swap(place, other);
        kept.push(equal[place]);
    }
    kept
}

/// Binary tournaments among a population, in rounds in which each takes part once, but for the last of
/// an odd number.
pub(crate) struct Tournaments<'a> {
    population: &'a [Ranked],
    stream: Stream,
    /// The places in the population; those before `waiting` have not taken part in this round.
    places: Vec<usize>,
    waiting: usize,
}

impl<'a> Tournaments<'a> {
    pub(crate) fn new(population: &'a [Ranked], stream: Stream) -> Self {
        Tournaments {
            population,
            stream,
            places: (0..population.len()).collect(),
            waiting: 0,
        }
    }

    /// The better of the next two, of at least one, by rank, then crowding, then chance.
    pub(crate) fn winner(&mut self) -> usize {
        let (a, b) = self.next_two();
        let a_wins = match a.rank.cmp(&b.rank).then(b.crowding.total_cmp(&a.crowding)) {
            Ordering::Less => true,
            Ordering::Greater => false,
            Ordering::Equal => self.stream.chance(0.5),
        };
        if a_wins { a.index } else { b.index }
    }

    /// Two steps of a shuffle from the end, with one random number.
    fn next_two(&mut self) -> (Ranked, Ranked) {
        if self.waiting < 2 {
            self.waiting = self.places.len();
        }
        let last = self.waiting - 1;
        if last == 0 {
            return (self.population[0], self.population[0]);
        }
        let (first, second) = self.stream.two_indices(self.waiting);
        self.places.swap(first, last);
        self.places.swap(second, last - 1);
        self.waiting -= 2;
        let next = |place: usize| self.population[self.places[place]];
        (next(last), next(last - 1))
    }
}
