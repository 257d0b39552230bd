//! A whole run of ZDT5, 80 bits, population 100, 250 generations, two-point crossover with
//! probability 0.9 and on average one flipped bit per child: naschain-nsga (plain NSGA-II) and genoxide.

mod thread_time;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use genoxide::Objective::Minimize;
use genoxide::multi::problems::{MultiProblem, Zdt5};
use genoxide::prelude::{BitFlip, MultiEngine, Nsga2, PointCrossover, Stop};
use naschain_core::Genome;
use naschain_nsga::{Ask, Mode, Objective, Outcome, Search, SearchConfig};
use thread_time::ProcessorTime;

const BITS: usize = 80;
const POPULATION: usize = 100;
const GENERATIONS: usize = 250;

/// The first objective counts the ones of the first 30 bits; the second one scores ten groups of five
/// bits.
fn evaluate(genome: &Genome) -> [f64; 2] {
    let group = |from: usize| match genome.count_ones(from..from + 5) {
        5 => 1.0,
        count => 2.0 + count as f64,
    };
    let first = 1.0 + genome.count_ones(0..30) as f64;
    let groups: f64 = (30..BITS).step_by(5).map(group).sum();
    [first, groups / first]
}

fn naschain(seed: u64) -> usize {
    let objectives = vec![Objective::minimize("f1"), Objective::minimize("f2")];
    let mut config = SearchConfig::new(BITS, objectives);
    config.mode = Mode::Nsga2;
    config.population = POPULATION;
    config.generations = GENERATIONS;
    config.seed = seed;
    let mut search = Search::new(config).expect("a valid configuration");
    while let Ask::Candidate(candidate) = search.ask() {
        let outcome = Outcome::objectives(evaluate(&candidate.genome));
        search
            .tell(candidate.id, outcome)
            .expect("an id that was asked");
    }
    search.front().len()
}

fn genoxide(seed: u64) -> usize {
    let problem = Zdt5::default();
    let algorithm = Nsga2::builder(problem.representation(), [Minimize; 2])
        .population_size(POPULATION)
        .crossover(PointCrossover::two_point())
        .mutate(BitFlip::per_gene(1.0 / BITS as f64).expect("a probability"))
        .seed(seed)
        .build()
        .expect("a valid configuration");
    let outcome = MultiEngine::new(algorithm, problem)
        .stop_when(Stop::generations(GENERATIONS as u64))
        .run()
        .expect("a run to its end");
    outcome.front_values().len()
}

fn runs(criterion: &mut Criterion<ProcessorTime>) {
    let mut group = criterion.benchmark_group("ZDT5, whole run");
    group.bench_function("naschain", |bencher| {
        bencher.iter(|| naschain(black_box(1)));
    });
    group.bench_function("genoxide", |bencher| {
        bencher.iter(|| genoxide(black_box(1)));
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(ProcessorTime);
    targets = runs
}
criterion_main!(benches);
