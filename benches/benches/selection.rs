//! Non-dominated sorting and crowding distances of uniformly distributed points.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use naschain_core::{Purpose, Stream};
use naschain_nsga::{crowding_distance, non_dominated_sort};

const POINTS: [usize; 3] = [100, 1000, 10_000];
const OBJECTIVES: [usize; 3] = [2, 3, 5];

fn cloud(points: usize, objectives: usize) -> Vec<f64> {
    let mut stream = Stream::new(1, Purpose::Simulation, 0, 0);
    (0..points * objectives)
        .map(|_| stream.unit_f64())
        .collect()
}

fn sorting(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("non-dominated sort");
    for objectives in OBJECTIVES {
        for points in POINTS {
            let cloud = cloud(points, objectives);
            group.throughput(Throughput::Elements(points as u64));
            let id = BenchmarkId::new(format!("{objectives} objectives"), points);
            group.bench_with_input(id, &cloud, |bencher, cloud| {
                bencher.iter(|| non_dominated_sort(black_box(cloud), objectives));
            });
        }
    }
    // A front (x, y, -y), whose staircase keeps all points.
    let mut front = cloud(100_000, 3);
    for row in front.chunks_exact_mut(3) {
        row[2] = -row[1];
    }
    group.throughput(Throughput::Elements(100_000));
    group.sample_size(10);
    let id = BenchmarkId::new("3 objectives, one front", 100_000);
    group.bench_with_input(id, &front, |bencher, front| {
        bencher.iter(|| non_dominated_sort(black_box(front), 3));
    });
    group.finish();
}

fn crowding(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("crowding distance");
    for objectives in OBJECTIVES {
        for points in POINTS {
            let cloud = cloud(points, objectives);
            let front: Vec<usize> = (0..points).collect();
            group.throughput(Throughput::Elements(points as u64));
            let id = BenchmarkId::new(format!("{objectives} objectives"), points);
            group.bench_with_input(id, &cloud, |bencher, cloud| {
                bencher.iter(|| crowding_distance(black_box(cloud), objectives, &front));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, sorting, crowding);
criterion_main!(benches);
