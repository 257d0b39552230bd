//! Candidates that are asked for before there are outcomes to learn from.

use naschain_core::{Purpose, Stream};

use crate::adding::Keyed;
use crate::features::logarithm;
use crate::lineage::Parents;
use crate::{Genes, Search, Space, Surrogate};

/// Random genomes of which the one that is farthest from the candidates is added.
const CHOICE: usize = 16;

impl<S: Space> Search<S> {
    /// Adds random genomes whose known objectives are far from those of the candidates, so that the front
    /// covers their range although nothing has been told. Adds nothing if the space knows no objective.
    pub(crate) fn add_spread(&mut self, until: usize, epoch: u64) {
        let (seed, len) = (self.state.config.seed, self.state.config.genome_len);
        if self.state.config.surrogate == Surrogate::Ridge {
            return;
        }
        while self.state.slots.len() < until {
            let index = self.state.slots.len() as u64;
            let mut stream = Stream::new(seed, Purpose::Initialisation, epoch, index);
            let random = (0..CHOICE).map(|_| {
                let domain = self.state.space.domain();
                self.keyed(S::Genome::random(domain, len, &mut stream), Parents::NONE)
            });
            let is_new =
                |one: &Keyed<S::Genome>| !self.dedup.contains(&self.state.slots, &one.canonical);
            let mut random: Vec<Keyed<S::Genome>> = random.filter(is_new).collect();
            let Some(place) = self.farthest(&random) else {
                return;
            };
            self.add_keyed(random.swap_remove(place));
        }
    }

    /// The place of the genome whose known objectives are farthest from those of all candidates, by their
    /// logarithms as shares of their ranges; `None` if there is no genome, or nothing is known of it.
    fn farthest(&self, genomes: &[Keyed<S::Genome>]) -> Option<usize> {
        let known = |genome: &S::Genome| -> Vec<f64> {
            self.known(genome).into_iter().map(logarithm).collect()
        };
        let first = genomes.first()?;
        self.known(&first.genome).into_iter().flatten().next()?;
        let candidates = self.latest(|_| true).into_iter();
        let candidates = candidates.map(|index| known(self.state.slots[index].genome()));
        let candidates: Vec<Vec<f64>> = candidates.collect();
        let rows: Vec<Vec<f64>> = genomes.iter().map(|one| known(&one.genome)).collect();
        let ranges = (0..self.scores.objectives).map(|at| {
            let values = || candidates.iter().chain(&rows).map(|row| row[at]);
            values().fold(f64::MIN, f64::max) - values().fold(f64::MAX, f64::min)
        });
        let ranges: Vec<f64> = ranges.collect();
        let between = |a: &[f64], b: &[f64]| -> f64 {
            let shares = a.iter().zip(b).zip(&ranges);
            let shares = shares.filter(|(_, range)| **range > 0.0);
            let squares = shares.map(|((a, b), range)| ((a - b) / range) * ((a - b) / range));
            squares.sum()
        };
        let distance = |row: &[f64]| {
            let distances = candidates.iter().map(|other| between(row, other));
            distances.fold(f64::INFINITY, f64::min)
        };
        let distances = rows.iter().map(|row| distance(row)).enumerate();
        let farthest = distances.max_by(|a, b| a.1.total_cmp(&b.1));
        farthest.map(|(place, _)| place)
    }
}

#[cfg(test)]
mod tests {
    use crate::{Ask, Objective, Pace, Search, SearchConfig, Space};
    use naschain_core::Genome;

    /// The objective is the number of ones, which is known.
    #[derive(Clone, Debug)]
    struct Ones;

    impl Space for Ones {
        type Genome = Genome;

        fn known_objectives(&self, genome: &Genome) -> Vec<Option<f64>> {
            vec![None, Some(genome.bits().filter(|bit| *bit).count() as f64)]
        }
    }

    /// The numbers of ones of forty candidates that are asked for before anything is told.
    fn ones() -> Vec<usize> {
        let objectives = vec![Objective::minimize("error"), Objective::minimize("ones")];
        let mut config = SearchConfig::new(64, objectives);
        config.pace = Pace::SteadyState;
        (config.population, config.generations) = (20, 10);
        let mut search = Search::in_space(config, Ones).unwrap();
        let asked = (0..40).map(|_| match search.ask() {
            Ask::Candidate(candidate) => candidate.genome.bits().filter(|bit| *bit).count(),
            other => panic!("{other:?}"),
        });
        asked.collect()
    }

    #[test]
    fn candidates_without_outcomes_cover_the_known_objective() {
        let ones = ones();
        let (first, spread) = ones.split_at(12);
        let range = |ones: &[usize]| ones.iter().max().unwrap() - ones.iter().min().unwrap();
        assert!(range(spread) > range(first), "{ones:?}");
        // Of 28 random numbers of ones, with a standard deviation of 4, many would be equal.
        let mut different = spread.to_vec();
        different.sort_unstable();
        different.dedup();
        assert!(different.len() >= 18, "{ones:?}");
    }
}
