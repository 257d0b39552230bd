//! The surrogate learns from what a space says of its genomes beyond their genes.

use naschain_core::Genome;
use naschain_nsga::{Objective, Outcome, Search, SearchConfig, Space};

/// The objective is the number of runs of equal bits, which is far from linear in the bits.
fn runs(genome: &Genome) -> f64 {
    let changes = (1..40).filter(|&bit| genome.get(bit) != genome.get(bit - 1));
    1.0 + changes.count() as f64
}

struct Runs {
    /// How often the number of runs is repeated as a feature, and whether the genome's first bit adds
    /// another feature, which a space must not do.
    repeated: usize,
    uneven: bool,
}

impl Space for Runs {
    type Genome = Genome;

    fn features(&self, genome: &Genome) -> Vec<f64> {
        let mut features = vec![runs(genome); self.repeated];
        if self.uneven {
            features.push(f64::NAN);
            features.extend(genome.get(0).then_some(1.0));
        }
        features
    }
}

/// The mean of the last 40 of 60 candidates.
fn mean_runs(space: Runs, seed: u64) -> f64 {
    let mut config = SearchConfig::new(40, vec![Objective::maximize("runs")]);
    (config.seed, config.generations) = (seed, 3);
    let mut search = Search::in_space(config, space).unwrap();
    search
        .run(1, |candidate| {
            Outcome::objectives([runs(&candidate.genome)])
        })
        .unwrap();
    let last = search.evaluated().skip(20);
    last.map(|one| runs(&one.genome)).sum::<f64>() / 40.0
}

#[test]
fn features_of_the_space_are_learned() {
    for seed in 1..=3 {
        let means = [0, 1].map(|repeated| {
            let uneven = false;
            mean_runs(Runs { repeated, uneven }, seed)
        });
        assert!(means[1] > means[0] + 2.0, "seed {seed}: {means:?}");
    }
}

#[test]
fn uneven_features_do_no_harm() {
    let (repeated, uneven) = (1, true);
    let mean = mean_runs(Runs { repeated, uneven }, 1);
    assert!(mean > 22.0, "{mean}");
}
