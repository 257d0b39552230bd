use naschain_core::Stream;

use crate::Error;
use crate::crowding::crowding_distance;
use crate::sorting::non_dominated_sort;

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
) -> Result<Vec<Ranked>, Error> {
    let rows: Vec<f64> = pool
        .iter()
        .flat_map(|&index| scores.row(index))
        .copied()
        .collect();
    let ranks = feasible_first(scores, pool, &rows)?;
    let mut by_rank: Vec<usize> = (0..pool.len()).collect();
    by_rank.sort_by_key(|&place| ranks[place]);
    let mut kept: Vec<(usize, Ranked)> = Vec::with_capacity(count);
    for front in by_rank.chunk_by(|&a, &b| ranks[a] == ranks[b]) {
        let crowding = crowding_distance(&rows, scores.objectives, front)?;
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
    Ok(kept.into_iter().map(|(_, ranked)| ranked).collect())
}

/// Ranks by feasibility first (Deb 2000): the feasible ones by dominance, then the infeasible ones
/// by their violation, then the failed ones.
fn feasible_first(scores: &Scores, pool: &[usize], rows: &[f64]) -> Result<Vec<u32>, Error> {
    let mut ranks = non_dominated_sort(rows, scores.objectives)?;
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
    Ok(ranks)
}

/// Binary tournament: the better of two random members by rank, then crowding, then chance.
pub(crate) fn tournament(population: &[Ranked], stream: &mut Stream) -> usize {
    let a = population[stream.index(population.len())];
    let b = population[stream.index(population.len())];
    let a_wins = match a.rank.cmp(&b.rank).then(b.crowding.total_cmp(&a.crowding)) {
        std::cmp::Ordering::Less => true,
        std::cmp::Ordering::Greater => false,
        std::cmp::Ordering::Equal => stream.chance(0.5),
    };
    if a_wins { a.index } else { b.index }
}
