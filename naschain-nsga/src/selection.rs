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
}

impl Scores {
    pub(crate) fn truncate(&mut self, len: usize) {
        self.rows.truncate(len * self.objectives);
        self.violations.truncate(len);
    }

    /// The rows of `pool`, one after the other.
    pub(crate) fn rows_of(&self, pool: &[usize]) -> Vec<f64> {
        pool.iter()
            .flat_map(|&index| self.row(index))
            .copied()
            .collect()
    }

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
    let mut by_rank: Vec<usize> = (0..pool.len()).collect();
    by_rank.sort_by_key(|&place| ranks[place]);
    let mut kept: Vec<(usize, Ranked)> = Vec::with_capacity(count);
    for front in by_rank.chunk_by(|&a, &b| ranks[a] == ranks[b]) {
        let crowding = distances(&rows, scores.objectives, front);
        let mut order: Vec<usize> = (0..front.len()).collect();
        if kept.len() + front.len() > count {
            stream.shuffle(&mut order);
            order.sort_by(|&a, &b| crowding[b].total_cmp(&crowding[a]));
            order.truncate(count - kept.len());
        }
        kept.extend(order.into_iter().map(|at| {
            let (index, rank, crowding) = (pool[front[at]], ranks[front[at]], crowding[at]);
            (
                front[at],
                Ranked {
                    index,
                    rank,
                    crowding,
                },
            )
        }));
        if kept.len() == count {
            break;
        }
    }
    kept.sort_by_key(|(place, _)| *place);
    kept.into_iter().map(|(_, ranked)| ranked).collect()
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
