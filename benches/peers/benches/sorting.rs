//! Non-dominated sorting by naschain-nsga, genoxide and moors, one thread each, every one on
//! points that are already in the form it takes.

use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, SamplingMode, criterion_group, criterion_main};
use genoxide::Objective::Minimize;
use genoxide::multi::Scores;
use naschain_core::{Purpose, Stream};
use ndarray::Array2;

const POINTS: [usize; 4] = [100, 1000, 10_000, 100_000];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Shape {
    /// Uniform in the unit cube.
    Cloud,
    /// On the unit sphere: nobody dominates anybody.
    Front,
    /// Whole numbers below 10: ties and duplicates.
    Integers,
}

impl Shape {
    const ALL: [Shape; 3] = [Shape::Cloud, Shape::Front, Shape::Integers];

    fn rows<const M: usize>(self, count: usize) -> Vec<[f64; M]> {
        let mut stream = Stream::new(1, Purpose::Simulation, count as u64, M as u64);
        let mut row = || {
            let uniform = [(); M].map(|()| stream.unit_f64());
            let radius = uniform
                .iter()
                .map(|value| value * value)
                .sum::<f64>()
                .sqrt();
            uniform.map(|value| match self {
                Shape::Cloud => value,
                Shape::Front => value / radius,
                Shape::Integers => (value * 10.0).floor(),
            })
        };
        (0..count).map(|_| row()).collect()
    }
}

/// genoxide compares most pairs where there are many points or one front: single calls took 6 s
/// (M = 5, cloud and integers) to 105 s (M = 5, front) at 100,000 points, 28 s with M = 3 on a front.
fn genoxide_is_measured<const M: usize>(shape: Shape, points: usize) -> bool {
    let quick_of_many = M == 2 || M == 3 && shape != Shape::Front;
    points <= 10_000 || quick_of_many
}

/// moors compares all pairs: 100,000 points would take minutes.
fn moors_is_measured(points: usize) -> bool {
    points <= 10_000
}

fn sorts<const M: usize>(criterion: &mut Criterion) {
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
    group: &mut BenchmarkGroup<WallTime>,
    rows: &[[f64; M]],
    shape: Shape,
) {
    if rows.len() >= 10_000 {
        // Each sample is one call or few; the default would take many more of the slow ones.
        group.sampling_mode(SamplingMode::Flat);
    }
    let flat = rows.as_flattened();
    group.bench_function("naschain", |bencher| {
        bencher.iter(|| naschain_nsga::non_dominated_sort(black_box(flat), M));
    });
    if genoxide_is_measured::<M>(shape, rows.len()) {
        let scores: Vec<Scores<M>> = rows.iter().map(|row| Scores::new(*row)).collect();
        group.bench_function("genoxide", |bencher| {
            bencher
                .iter(|| genoxide::multi::non_dominated_sort(black_box(&scores), &[Minimize; M]));
        });
    }
    if moors_is_measured(rows.len()) {
        let array = Array2::from_shape_fn((rows.len(), M), |(row, column)| rows[row][column]);
        group.bench_function("moors", |bencher| {
            bencher.iter(|| {
                moors::non_dominated_sorting::fast_non_dominated_sorting(
                    black_box(&array),
                    rows.len(),
                )
            });
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().measurement_time(Duration::from_secs(2)).sample_size(20);
    targets = sorts::<2>, sorts::<3>, sorts::<5>
}
criterion_main!(benches);
