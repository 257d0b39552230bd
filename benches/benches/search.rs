//! What a step of the default search costs when many genomes have been told: four outcomes, and the
//! choice of the four candidates that follow.

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use naschain_core::Genome;
use naschain_nsga::{Mode, Objective, Outcome, Search, SearchConfig};

const BITS: usize = 80;
const TOLD: [usize; 3] = [1_000, 10_000, 100_000];
/// Candidates of a step.
const STEP: usize = 4;

/// Two objectives that want different bits, with what a linear model cannot say.
fn evaluate(genome: &Genome) -> Outcome {
    let ones = |from: usize| genome.count_ones(from..from + 40) as f64;
    Outcome::objectives([ones(0) - ones(40), (40.0 - ones(0)) * (1.0 + ones(40))])
}

/// A default search that has been told so many: by plain NSGA-II, which takes no time.
fn search(told_before: usize) -> Search {
    let objectives = vec![Objective::minimize("a"), Objective::minimize("b")];
    let config = SearchConfig {
        population: 100,
        generations: 2_000,
        mode: Mode::Nsga2,
        ..SearchConfig::new(BITS, objectives)
    };
    let mut search = Search::new(config).unwrap();
    step(&mut search, told_before);
    let mut saved = serde_json::to_value(&search).unwrap();
    saved["config"]["mode"] = "surrogate".into();
    let mut search: Search = serde_json::from_value(saved).unwrap();
    // The rest of plain NSGA-II's generation: what follows is the model's choice.
    step(&mut search, 100);
    search
}

fn step(search: &mut Search, candidates: usize) {
    for _ in 0..candidates {
        let candidate = search.ask().unwrap();
        let outcome = evaluate(&candidate.genome);
        search.tell(candidate.id, outcome).unwrap();
    }
}

fn steps(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("a step of the default search");
    group.sample_size(10);
    for told in TOLD {
        let search = search(told);
        group.bench_function(BenchmarkId::from_parameter(told), |bencher| {
            bencher.iter_batched_ref(
                || search.clone(),
                |search| step(black_box(search), STEP),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, steps);
criterion_main!(benches);
