//! The time of a step of the default search after many evaluations: telling four outcomes and choosing
//! the next four candidates.

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use naschain_core::Genome;
use naschain_nsga::{
    Bits, Mode, Objective, Outcome, RealVector, Reals, Search, SearchConfig, Space,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Bits of a genome and number of evaluations before the step. 138 bits are those of a `MacroSpace` of
/// 3 phases of 10 nodes.
const BITS: [(usize, usize); 6] = [
    (80, 1_000),
    (80, 10_000),
    (80, 100_000),
    (138, 1_000),
    (138, 100_000),
    (1_000, 1_000),
];
/// Number of evaluations before the step, of real vectors.
const REALS: [usize; 3] = [1_000, 10_000, 100_000];
const VARIABLES: usize = 12;
/// Candidates per step.
const STEP: usize = 4;

/// Two conflicting objectives, one of which is not linear in the bits.
fn of_bits(genome: &Genome) -> Outcome {
    let half = genome.len() / 2;
    let ones = |from: usize| genome.count_ones(from..from + half) as f64;
    let (first, second) = (ones(0), ones(half));
    Outcome::objectives([first - second, (half as f64 - first) * (1.0 + second)])
}

/// DTLZ2 (Deb et al. 2002): three objectives, and a front that grows as long as the search does.
fn of_reals(vector: &RealVector) -> Outcome {
    let x = vector.values();
    let squares = x[2..].iter().map(|value| (value - 0.5) * (value - 0.5));
    let radius = 1.0 + squares.sum::<f64>();
    let [a, b] = [x[0], x[1]].map(|share| share * std::f64::consts::FRAC_PI_2);
    let sides = [a.cos() * b.cos(), a.cos() * b.sin(), a.sin()];
    Outcome::objectives(sides.map(|side| radius * side))
}

/// A search and its objective function.
struct Problem<S: Space> {
    search: Search<S>,
    evaluate: fn(&S::Genome) -> Outcome,
}

impl<S: Space + Serialize + DeserializeOwned> Problem<S>
where
    S::Genome: Serialize + DeserializeOwned,
{
    /// A search in the default mode after `told` evaluations, which were made by the faster plain
    /// NSGA-II.
    fn new(
        space: S,
        genes: usize,
        objectives: &[&str],
        told: usize,
        evaluate: fn(&S::Genome) -> Outcome,
    ) -> Self {
        let objectives = objectives
            .iter()
            .copied()
            .map(Objective::minimize)
            .collect();
        let mut config = SearchConfig::new(genes, objectives);
        config.population = 100;
        config.generations = 2_000;
        config.mode = Mode::Nsga2;
        let search = Search::in_space(config, space).unwrap();
        let mut plain = Problem { search, evaluate };
        plain.step(told);
        let mut saved = serde_json::to_value(&plain.search).unwrap();
        saved["config"]["mode"] = "surrogate".into();
        let search = serde_json::from_value(saved).unwrap();
        let mut problem = Problem { search, evaluate };
        // Completes the generation made by plain NSGA-II; the following candidates are the model's.
        problem.step(100);
        problem
    }

    fn step(&mut self, candidates: usize) {
        for _ in 0..candidates {
            let candidate = self.search.ask().candidate().unwrap();
            let outcome = (self.evaluate)(&candidate.genome);
            self.search.tell(candidate.id, outcome).unwrap();
        }
    }

    fn bench(&self, criterion: &mut Criterion, name: &str, told: usize)
    where
        S: Clone,
    {
        let mut group = criterion.benchmark_group("a step of the default search");
        group.sample_size(10);
        let evaluate = self.evaluate;
        group.bench_function(BenchmarkId::new(name, told), |bencher| {
            bencher.iter_batched_ref(
                || Problem {
                    search: self.search.clone(),
                    evaluate,
                },
                |problem| black_box(problem).step(STEP),
                BatchSize::PerIteration,
            );
        });
        group.finish();
    }
}

fn steps(criterion: &mut Criterion) {
    for (bits, told) in BITS {
        let problem = Problem::new(Bits, bits, &["a", "b"], told, of_bits);
        problem.bench(criterion, &format!("{bits} bits"), told);
    }
    for told in REALS {
        let problem = Problem::new(Reals, VARIABLES, &["a", "b", "c"], told, of_reals);
        problem.bench(criterion, "DTLZ2", told);
    }
}

criterion_group!(benches, steps);
criterion_main!(benches);
