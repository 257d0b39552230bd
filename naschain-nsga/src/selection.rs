use std::cmp::Ordering;

use naschain_core::{Purpose, Stream};

use crate::crowding::Crowding;
use crate::sorting::{FrontsOfPairs, monotone_key, ranks_of_rows, value_of_key};

/// The input of selection: a row of minimised objectives and a violation per candidate.
#[derive(Clone, Debug)]
pub(crate) struct Scores {
    /// Number of objectives.
    pub(crate) objectives: usize,
    /// The rows; NaN if there is no feasible result.
    pub(crate) rows: Vec<f64>,
    /// 0 if feasible, above 0 if infeasible, infinity if failed or pending.
    pub(crate) violations: Vec<f64>,
    /// Number of feasible results.
    pub(crate) successes: usize,
    /// The largest violation of each constraint so far; empty if no outcome had constraints.
    pub(crate) largest: Vec<f64>,
}

impl Scores {
    /// Empty scores with memory reserved for `capacity` candidates.
    pub(crate) fn with_capacity(objectives: usize, capacity: usize) -> Self {
        Scores {
            objectives,
            rows: Vec::with_capacity(capacity * objectives),
            violations: Vec::with_capacity(capacity),
            successes: 0,
            largest: Vec::new(),
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

    /// The candidates of `pool`, all feasible, in lexicographic order of their rows; equal rows in the
    /// order of `pool`.
    fn sorted(&self, pool: &[usize]) -> Sorted {
        // A stable sort, which is fast on the sorted runs that survivors form.
        if self.objectives == 2 {
            return self.sorted_pairs(pool);
        }
        let mut indices = pool.to_vec();
        indices.sort_by(|&a, &b| {
            let order = self.row(a).partial_cmp(self.row(b));
            order.unwrap_or(Ordering::Equal)
        });
        let rows = self.rows_of(&indices);
        let ranks = ranks_of_rows(&rows, self.objectives);
        Sorted {
            indices,
            rows,
            ranks,
        }
    }

    /// As `sorted`, with two objectives.
    fn sorted_pairs(&self, pool: &[usize]) -> Sorted {
        let pairs = self.rows.as_chunks::<2>().0;
        let key = |index: usize| {
            let [first, second] = pairs[index].map(monotone_key);
            u128::from(first) << 64 | u128::from(second)
        };
        let order = pool.iter().map(|&index| (key(index), index));
        let mut order: Vec<(u128, usize)> = order.collect();
        order.sort_by_key(|(key, _)| *key);
        let mut fronts = FrontsOfPairs::default();
        let keys = order
            .iter()
            .map(|(key, _)| [(key >> 64) as u64, *key as u64]);
        let ranks = keys.clone().map(|pair| fronts.rank(pair)).collect();
        let rows: Vec<[f64; 2]> = keys.map(|pair| pair.map(value_of_key)).collect();
        Sorted {
            indices: order.iter().map(|&(_, index)| index).collect(),
            rows: rows.into_flattened(),
            ranks,
        }
    }

    #[inline]
    pub(crate) fn row(&self, index: usize) -> &[f64] {
        &self.rows[index * self.objectives..(index + 1) * self.objectives]
    }
}

/// Feasible candidates in lexicographic order, their rows, and the rows' fronts.
struct Sorted {
    indices: Vec<usize>,
    rows: Vec<f64>,
    ranks: Vec<u32>,
}

/// A candidate with the values that tournaments compare.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ranked {
    pub(crate) index: usize,
    rank: u32,
    crowding: f64,
}

/// The result of a selection.
pub(crate) struct Selection {
    /// The best candidates by rank, and by crowding distance in the front that only partly fits; ties
    /// are broken at random.
    pub(crate) survivors: Vec<Ranked>,
    /// The non-dominated feasible candidates, survivors or not.
    pub(crate) non_dominated: Vec<usize>,
}

impl Selection {
    /// Selects the best `count` candidates of `pool`.
    ///
    /// Feasible candidates are ranked by dominance. Infeasible ones follow by their violation, and
    /// failed ones come last (feasibility first: Deb 2000).
    pub(crate) fn of(scores: &Scores, pool: Vec<usize>, count: usize, stream: &mut Stream) -> Self {
        let violation = |index: usize| scores.violations[index];
        let mut feasible = pool;
        let is_other = |index: &mut usize| violation(*index) != 0.0;
        let mut others: Vec<usize> = feasible.extract_if(.., is_other).collect();
        // One sort serves both the ranks and, front by front, the crowding distances.
        let Sorted {
            indices: mut sorted,
            rows,
            ranks,
        } = scores.sorted(&feasible);
        let mut fronts = Fronts::of(&ranks);
        let first_front = fronts.iter().next().unwrap_or_default().iter();
        let non_dominated = first_front.map(|&place| sorted[place]).collect();
        others.sort_by(|&a, &b| violation(a).total_cmp(&violation(b)));
        for group in others.chunk_by(|&a, &b| violation(a) == violation(b)) {
            fronts.push(group.len());
            sorted.extend(group);
        }
        let unused = Ranked {
            index: usize::MAX,
            rank: u32::MAX,
            crowding: 0.0,
        };
        let mut survivors = vec![unused; sorted.len()];
        let mut free = count;
        let mut crowding = Crowding::default();
        for (rank, front) in (0..).zip(fronts.iter()) {
            let distances = if front[0] < feasible.len() {
                crowding.of_front(&rows, scores.objectives, front)
            } else {
                crowding.zeros(front.len())
            };
            let keep = |at: usize| {
                survivors[front[at]] = Ranked {
                    index: sorted[front[at]],
                    rank,
                    crowding: distances[at],
                };
            };
            if front.len() > free {
                let chosen = least_crowded(distances, free, stream);
                chosen.into_iter().for_each(keep);
                break;
            }
            (0..front.len()).for_each(keep);
            free -= front.len();
        }
        survivors.retain(|ranked| ranked.rank != unused.rank);
        Selection {
            survivors,
            non_dominated,
        }
    }
}

impl Selection {
    /// All candidates of `pool` from best to worst by rank and crowding distance; ties in the order of
    /// their indices.
    pub(crate) fn ranked(scores: &Scores, pool: Vec<usize>) -> Vec<usize> {
        let count = pool.len();
        // Nothing is drawn, because all fit.
        let mut stream = Stream::new(0, Purpose::Selection, 0, 0);
        let mut ranked = Selection::of(scores, pool, count, &mut stream).survivors;
        ranked.sort_by(|a, b| {
            let order = a.rank.cmp(&b.rank).then(b.crowding.total_cmp(&a.crowding));
            order.then(a.index.cmp(&b.index))
        });
        ranked.into_iter().map(|one| one.index).collect()
    }
}

/// The places of each rank in ascending order.
struct Fronts {
    /// The places of the first rank, then those of the second, and so on.
    places: Vec<usize>,
    /// The end of each rank in `places`.
    ends: Vec<usize>,
}

impl Fronts {
    fn of(ranks: &[u32]) -> Self {
        let count = ranks.iter().max().map_or(0, |&last| last as usize + 1);
        let mut ends = vec![0; count];
        for &rank in ranks {
            ends[rank as usize] += 1;
        }
        // Each entry starts as its rank's begin and grows with every place of that rank.
        let mut sum = 0;
        for end in &mut ends {
            sum += std::mem::replace(end, sum);
        }
        let mut places = vec![0; ranks.len()];
        for (place, &rank) in ranks.iter().enumerate() {
            let end = &mut ends[rank as usize];
            places[*end] = place;
            *end += 1;
        }
        Fronts { places, ends }
    }

    /// Appends a front of `count` places.
    fn push(&mut self, count: usize) {
        let len = self.places.len();
        self.places.extend(len..len + count);
        self.ends.push(len + count);
    }

    fn iter(&self) -> impl Iterator<Item = &[usize]> {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let front = &self.places[start..end];
            start = end;
            front
        })
    }
}

/// The `count` indices with the largest distances, fewer than all; ties at the border are broken at
/// random.
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
    // A partial shuffle: only the places that are kept are drawn.
    for place in 0..count - kept.len() {
        let other = place + stream.index(equal.len() - place);
        equal.swap(place, other);
        kept.push(equal[place]);
    }
    kept
}

/// Binary tournaments in rounds: in each round every member of the population takes part once, except
/// the last of an odd number.
pub(crate) struct Tournaments<'a> {
    population: &'a [Ranked],
    stream: Stream,
    /// Indices into the population; those before `remaining` have not taken part in this round.
    places: Vec<usize>,
    remaining: usize,
}

impl<'a> Tournaments<'a> {
    pub(crate) fn new(population: &'a [Ranked], stream: Stream) -> Self {
        Tournaments {
            population,
            stream,
            places: (0..population.len()).collect(),
            remaining: 0,
        }
    }

    /// Returns the better of the next two members by rank, then crowding distance, then chance. The
    /// population must not be empty.
    #[inline]
    pub(crate) fn winner(&mut self) -> usize {
        let (a, b) = self.next_two();
        let a_wins = match a.rank.cmp(&b.rank).then(b.crowding.total_cmp(&a.crowding)) {
            Ordering::Less => true,
            Ordering::Greater => false,
            Ordering::Equal => self.stream.chance(0.5),
        };
        if a_wins { a.index } else { b.index }
    }

    /// Two steps of a shuffle from the end, which use one random number.
    #[inline]
    fn next_two(&mut self) -> (Ranked, Ranked) {
        if self.remaining < 2 {
            self.remaining = self.places.len();
        }
        let last = self.remaining - 1;
        if last == 0 {
            return (self.population[0], self.population[0]);
        }
        let (first, second) = self.stream.two_indices(self.remaining);
        self.places.swap(first, last);
        self.places.swap(second, last - 1);
        self.remaining -= 2;
        let next = |place: usize| self.population[self.places[place]];
        (next(last), next(last - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The `free` survivors with their ranks, sorted by rank and index.
    fn ranks(violations: &[f64], rows: &[[f64; 2]], free: usize) -> Vec<(usize, u32)> {
        let scores = Scores {
            objectives: 2,
            rows: rows.concat(),
            violations: violations.to_vec(),
            successes: violations.iter().filter(|&&one| one == 0.0).count(),
            largest: Vec::new(),
        };
        let pool = (0..violations.len()).collect();
        let mut stream = Stream::new(1, Purpose::Simulation, 0, 0);
        let selection = Selection::of(&scores, pool, free, &mut stream);
        let ranked = selection.survivors.iter();
        let mut ranks: Vec<(usize, u32)> = ranked.map(|one| (one.index, one.rank)).collect();
        ranks.sort_by_key(|&(index, rank)| (rank, index));
        ranks
    }

    #[test]
    fn feasible_candidates_rank_first_and_failed_ones_last() {
        const NAN: [f64; 2] = [f64::NAN; 2];
        let violations = [f64::INFINITY, 2.0, 0.0, 1.0, 0.0, 1.0, f64::INFINITY];
        let rows = [NAN, NAN, [5.0, 5.0], NAN, [4.0, 4.0], NAN, NAN];
        let expected = [(4, 0), (2, 1), (3, 2), (5, 2), (1, 3), (0, 4), (6, 4)];
        assert_eq!(ranks(&violations, &rows, 7), expected);
        for free in [1, 2, 4, 5] {
            assert_eq!(ranks(&violations, &rows, free), expected[..free]);
        }
    }

    #[test]
    fn the_extreme_points_of_a_truncated_front_survive() {
        let rows: Vec<[f64; 2]> = (0..20).map(|x| [f64::from(x), f64::from(-x)]).collect();
        let kept = ranks(&[0.0; 20], &rows, 5);
        assert_eq!(kept.len(), 5);
        assert!(kept.contains(&(0, 0)) && kept.contains(&(19, 0)));
    }
}
