//! Decoding random genomes of the published search's space, and counting their parameters and FLOPs.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use naschain_core::{Genome, MacroSpace, Purpose, Stream};

const GENOMES: u64 = 1000;

fn costs(criterion: &mut Criterion) {
    let space = MacroSpace {
        phases: 3,
        nodes: 10,
        input: "3x32x32".parse().unwrap(),
        init_channels: 36,
        classes: 10,
    };
    let random = |index| {
        let mut stream = Stream::new(1, Purpose::Initialisation, 0, index);
        Genome::from_bits((0..space.genome_len()).map(|_| stream.chance(0.5)))
    };
    let genomes: Vec<Genome> = (0..GENOMES).map(random).collect();
    let mut group = criterion.benchmark_group("genome");
    group.throughput(Throughput::Elements(GENOMES));
    group.bench_function("decode", |bencher| {
        bencher.iter(|| {
            for genome in &genomes {
                black_box(space.decode(black_box(genome)).unwrap());
            }
        });
    });
    group.bench_function("decode and costs", |bencher| {
        bencher.iter(|| {
            for genome in &genomes {
                let architecture = space.decode(black_box(genome)).unwrap();
                black_box(architecture.costs().unwrap());
            }
        });
    });
    group.finish();
}

criterion_group!(benches, costs);
criterion_main!(benches);
