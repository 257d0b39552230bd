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
    let mut by_rank: Vec<(u32, usize)> = ranks.into_iter().zip(0..).collect();
    by_rank.sort_unstable();
    let mut kept: Vec<Option<Ranked>> = vec![None; pool.len()];
    let mut free = count;
    for front in by_rank.chunk_by(|a, b| a.0 == b.0) {
        let places: Vec<usize> = front.iter().map(|(_, place)| *place).collect();
        let crowding = distances(&rows, scores.objectives, &places);
        let mut order: Vec<usize> = (0..front.len()).collect();
        if front.len() > free {
            stream.shuffle(&mut order);
            order.sort_by(|&a, &b| crowding[b].total_cmp(&crowding[a]));
            order.truncate(free);
        }
        free -= order.len();
        for at in order {
            let (rank, place) = front[at];
            let (index, crowding) = (pool[place], crowding[at]);
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
    let at = front.partition_point(|&other| comes_before(scores.row(other), row));
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

/// Lexicographic order of rows without NaN.
#[inline]
pub(crate) fn comes_before(a: &[f64], b: &[f64]) -> bool {
    let different = a.iter().zip(b).find(|(x, y)| x != y);
    different.is_some_and(|(x, y)| x < y)
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
