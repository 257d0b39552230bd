//! Non-dominated sorting by naschain-nsga, genoxide and moors on one thread each, with the input already
//! in the form that each crate takes.

mod thread_time;

use std::hint::black_box;
use std::time::Duration;

use cpu_time::ThreadTime;
use criterion::{BenchmarkGroup, Criterion, SamplingMode, criterion_group, criterion_main};
use genoxide::Objective::Minimize;
use genoxide::multi::Scores;
use naschain_core::{Purpose, Stream};
use ndarray::Array2;
use thread_time::ProcessorTime;

const POINTS: [usize; 4] = [100, 1000, 10_000, 100_000];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Shape {
    /// Uniform in the unit cube.
    Cloud,
    /// On the unit sphere: no point dominates another.
    Front,
    /// Whole numbers below 10: ties and duplicates.
    Integers,
    /// The last objective is the negative of the previous one: a front whose staircase keeps all
    /// points.
    Opposed,
}

impl Shape {
    const ALL: [Shape; 4] = [Shape::Cloud, Shape::Front, Shape::Integers, Shape::Opposed];

    fn rows<const M: usize>(self, count: usize) -> Vec<[f64; M]> {
        let mut stream = Stream::new(1, Purpose::Simulation, count as u64, M as u64);
        let mut row = || {
            let uniform = [(); M].map(|()| stream.unit_f64());
            let radius = uniform
                .iter()
                .map(|value| value * value)
                .sum::<f64>()
                .sqrt();
            let mut row = uniform.map(|value| match self {
                Shape::Cloud | Shape::Opposed => value,
                Shape::Front => value / radius,
                Shape::Integers => (value * 10.0).floor(),
            });
            if self == Shape::Opposed {
                row[M - 1] = -row[M - 2];
            }
            row
        };
        (0..count).map(|_| row()).collect()
    }
}

/// genoxide compares most pairs of a front: a single call takes 10 seconds or more.
fn genoxide_is_slow<const M: usize>(shape: Shape, points: usize) -> bool {
    points > 10_000 && M > 2 && matches!(shape, Shape::Front | Shape::Opposed)
}

/// moors compares all pairs, and stores a list of the points that each point dominates. With 100,000
/// points it is slow on a front, and needs tens of gigabytes on other shapes.
fn moors_is_slow(points: usize) -> bool {
    points > 10_000
}

/// Measures a single call without criterion, whose many calls would take hours. Runs only if the
/// environment variable SLOW is set.
fn once<T>(name: &str, shape: Shape, rows: usize, objectives: usize, call: impl FnOnce() -> T) {
    if std::env::var_os("SLOW").is_some() {
        let start = ThreadTime::now();
        black_box(call());
        let seconds = start.elapsed().as_secs_f64();
        println!("{rows} points/M={objectives}/{shape:?}/{name}, one call: {seconds:.1} s");
    }
}

fn sorts<const M: usize>(criterion: &mut Criterion<ProcessorTime>) {
    for shape in Shape::ALL {
        for points in POINTS {
            let mut group = criterion.benchmark_group(format!("{points} points/M={M}/{shape:?}"));
            let rows = shape.rows::<M>(points);
            sort_by_all(&mut group, &rows, shape);
            group.finish();
        }
    }
}

fn sort_by_all<const M: usize>(
    group: &mut BenchmarkGroup<ProcessorTime>,
    rows: &[[f64; M]],
    shape: Shape,
) {
    if rows.len() >= 10_000 {
        // One or few calls per sample; the default would take many more.
        group.sampling_mode(SamplingMode::Flat);
    }
    let flat = rows.as_flattened();
    group.bench_function("naschain", |bencher| {
        bencher.iter(|| naschain_nsga::non_dominated_sort(black_box(flat), M));
    });
    let scores: Vec<Scores<M>> = rows.iter().map(|row| Scores::new(*row)).collect();
    let genoxide = || genoxide::multi::non_dominated_sort(black_box(&scores), &[Minimize; M]);
    if genoxide_is_slow::<M>(shape, rows.len()) {
        once("genoxide", shape, rows.len(), M, genoxide);
    } else {
        group.bench_function("genoxide", |bencher| bencher.iter(genoxide));
    }
    let array = Array2::from_shape_fn((rows.len(), M), |(row, column)| rows[row][column]);
    let moors =
        || moors::non_dominated_sorting::fast_non_dominated_sorting(black_box(&array), rows.len());
    if !moors_is_slow(rows.len()) {
        group.bench_function("moors", |bencher| bencher.iter(moors));
    } else if matches!(shape, Shape::Front | Shape::Opposed) {
        once("moors", shape, rows.len(), M, moors);
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .with_measurement(ProcessorTime)
        .measurement_time(Duration::from_secs(2))
        .sample_size(20);
    targets = sorts::<2>, sorts::<3>, sorts::<5>
}
criterion_main!(benches);
