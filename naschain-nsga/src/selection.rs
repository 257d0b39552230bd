use naschain_core::Stream;

use crate::crowding::distances;
use crate::sorting::ranks_of_rows;

/// What selection looks at: one row of minimised objectives and one violation a candidate.
#[derive(Clone, Debug, Default)]
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

    /// How many of a front in lexicographic order come before `row`.
    pub(crate) fn place_in(&self, front: &[usize], row: &[f64]) -> usize {
        let first = row[0];
        let smaller = front.partition_point(|&other| self.row(other)[0] < first);
        let ties = front[smaller..].iter();
        smaller + ties.take_while(|&&other| self.row(other) < row).count()
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
/// ties at random. They come in the order of `pool`.
pub(crate) fn survivors(
    scores: &Scores,
    pool: &[usize],
    count: usize,
    stream: &mut Stream,
) -> Vec<Ranked> {
    let rows = scores.rows_of(pool);
    let ranks = feasible_first(scores, pool, &rows);
    let mut kept: Vec<Option<Ranked>> = vec![None; pool.len()];
    let mut free = count;
    for (rank, places) in (0..).zip(fronts(&ranks)) {
        let crowding = distances(&rows, scores.objectives, &places);
        let mut order: Vec<usize> = (0..places.len()).collect();
        if places.len() > free {
            keep_least_crowded(&mut order, &crowding, free, stream);
        }
        free -= order.len();
        for at in order {
            let (place, crowding) = (places[at], crowding[at]);
            let index = pool[place];
            kept[place] = Some(Ranked {
                index,
                rank,
                crowding,
            });
        }
        if free == 0 {
            break;
        }
    }
    kept.into_iter().flatten().collect()
}

/// The places of each rank, ascending.
fn fronts(ranks: &[u32]) -> Vec<Vec<usize>> {
    let mut sizes = Vec::new();
    for &rank in ranks {
        sizes.resize(sizes.len().max(rank as usize + 1), 0);
        sizes[rank as usize] += 1;
    }
    let mut fronts: Vec<Vec<usize>> = sizes.into_iter().map(Vec::with_capacity).collect();
    for (place, &rank) in ranks.iter().enumerate() {
        fronts[rank as usize].push(place);
    }
    fronts
}

/// Keeps those `count` of `order`, at least 1 and less than all, with the largest distances; who
/// of the equal ones at the border, is chance.
fn keep_least_crowded(order: &mut Vec<usize>, crowding: &[f64], count: usize, stream: &mut Stream) {
    let mut sorted = crowding.to_vec();
    let (_, border, _) = sorted.select_nth_unstable_by(count - 1, |a, b| b.total_cmp(a));
    let mut equal: Vec<usize> = order.clone();
    equal.retain(|&at| crowding[at] == *border);
    order.retain(|&at| crowding[at] > *border);
    // The first steps of a shuffle: the rest are not looked at.
    for place in 0..count - order.len() {
        let other = place + stream.index(equal.len() - place);
        equal.swap(place, other);
        order.push(equal[place]);
    }
}

/// The non-dominated points of `pool`, all feasible: each by its first candidate, in lexicographic
/// order.
pub(crate) fn first_front(scores: &Scores, pool: Vec<usize>) -> Vec<usize> {
    let ranks = ranks_of_rows(&scores.rows_of(&pool), scores.objectives);
    let ranked = pool.into_iter().zip(ranks).filter(|(_, rank)| *rank == 0);
    let mut front: Vec<usize> = ranked.map(|(index, _)| index).collect();
    front.sort_by(|&a, &b| {
        let rows = scores.row(a).partial_cmp(scores.row(b));
        rows.unwrap_or(std::cmp::Ordering::Equal).then(a.cmp(&b))
    });
    front.dedup_by(|b, a| scores.row(*a) == scores.row(*b));
    front
}

/// Puts a candidate into a front as [`first_front`] gives it, if it is feasible and nobody there
/// dominates it, and takes out those whom it dominates.
pub(crate) fn join_front(scores: &Scores, front: &mut Vec<usize>, index: usize) {
    if scores.violations[index] > 0.0 {
        return;
    }
    let row = scores.row(index);
    let reaches = |a: usize, b: &[f64]| scores.row(a).iter().zip(b).all(|(x, y)| x <= y);
    let at = scores.place_in(front, row);
    if let Some(other) = front.get_mut(at)
        && scores.row(*other) == row
    {
        *other = index.min(*other);
        return;
    }
    // Whoever dominates comes before in lexicographic order, with two objectives just before.
    if front[..at].iter().rev().any(|&other| reaches(other, row)) {
        return;
    }
    let beaten = |other: usize| row.iter().zip(scores.row(other)).all(|(x, y)| x <= y);
    let mut place = 0;
    front.retain(|&other| {
        place += 1;
        place <= at || !beaten(other)
    });
    front.insert(at, index);
}

/// Ranks by feasibility first (Deb 2000): the feasible ones by dominance, then the infeasible ones
/// by their violation, then the failed ones.
fn feasible_first(scores: &Scores, pool: &[usize], rows: &[f64]) -> Vec<u32> {
    let mut ranks = ranks_of_rows(rows, scores.objectives);
    let violation = |place: usize| scores.violations[pool[place]];
    let mut others: Vec<usize> = (0..pool.len())
        .filter(|&place| violation(place) > 0.0)
        .collect();
    others.sort_by(|&a, &b| violation(a).total_cmp(&violation(b)));
    // The sort has put all of them, being NaN, into one last front: its number is the first free.
    let first = others.first().map_or(0, |&place| ranks[place]);
    for (step, group) in others
        .chunk_by(|&a, &b| violation(a) == violation(b))
        .enumerate()
    {
        for &place in group {
            ranks[place] = first + step as u32;
        }
    }
    ranks
}

/// Binary tournaments among a population, all of which take part equally often.
pub(crate) struct Tournaments<'a> {
    population: &'a [Ranked],
    stream: Stream,
    /// Those who have not taken part since all were shuffled.
    waiting: Vec<usize>,
}

impl<'a> Tournaments<'a> {
    pub(crate) fn new(population: &'a [Ranked], stream: Stream) -> Self {
        Tournaments {
            population,
            stream,
            waiting: Vec::new(),
        }
    }

    /// The better of the next two by rank, then crowding, then chance.
    pub(crate) fn winner(&mut self) -> usize {
        let (a, b) = (self.next(), self.next());
        let a_wins = match a.rank.cmp(&b.rank).then(b.crowding.total_cmp(&a.crowding)) {
            std::cmp::Ordering::Less => true,
            std::cmp::Ordering::Greater => false,
            std::cmp::Ordering::Equal => self.stream.chance(0.5),
        };
        if a_wins { a.index } else { b.index }
    }

    fn next(&mut self) -> Ranked {
        if self.waiting.is_empty() {
            self.waiting = self.stream.permutation(self.population.len());
        }
        let place = self.waiting.pop().unwrap_or_default();
        self.population[place]
    }
}
