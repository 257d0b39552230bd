//! Training on one thread: an epoch over 256 digits, with everything around it.

use std::ops::ControlFlow;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use naschain_core::{Augmentation, MacroSpace, Recipe};
use naschain_train::{Dataset, Options, train};

const INIT_CHANNELS: [usize; 2] = [8, 16];

fn epoch(criterion: &mut Criterion) {
    let digits = Dataset::digits();
    let recipe = Recipe {
        epochs: 1,
        batch_size: 64,
        train_images: 256,
        validation_images: 1,
        augmentation: Augmentation::default(),
        ..Recipe::default()
    };
    let mut group = criterion.benchmark_group("training");
    group.sample_size(10);
    group.throughput(Throughput::Elements(recipe.train_images as u64));
    for init_channels in INIT_CHANNELS {
        let space = MacroSpace {
            phases: 2,
            nodes: 4,
            input: digits.shape,
            init_channels,
            classes: digits.classes,
        };
        let genome = "1101011-1011010".parse().unwrap();
        let architecture = space.decode(&genome).unwrap();
        let id = BenchmarkId::new("init channels", init_channels);
        group.bench_with_input(id, &architecture, |bencher, architecture| {
            bencher.iter(|| {
                let mut proceed = |_: &_| ControlFlow::Continue(());
                train(
                    architecture,
                    &digits,
                    &recipe,
                    Options::default(),
                    &mut proceed,
                )
                .unwrap()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, epoch);
criterion_main!(benches);
