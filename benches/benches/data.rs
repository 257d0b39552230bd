//! Reading of data sets, and augmentation of batches.

use std::hint::black_box;
use std::io::Write;
use std::path::PathBuf;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use image::RgbImage;
use naschain_core::{Augmentation, Purpose, Recipe, Stream};
use naschain_train::{Batch, Dataset, Images};

/// Images in all files of a synthetic data set.
const IMAGES: usize = 6_000;
/// Image files of a synthetic folder.
const PICTURES: usize = 64;
/// Their height and width.
const SIDE: u32 = 256;
const BATCH: usize = 128;

/// A temporary folder, deleted on drop.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let name = format!("naschain-bench-{name}-{}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&dir).unwrap();
        Folder(dir)
    }

    fn load(&self, name: &str) -> Dataset {
        Dataset::load(&name.parse().unwrap(), Some(&self.0)).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Gradients with some noise, which compress about as well as photographs.
fn pixels(count: usize) -> Vec<u8> {
    let mut stream = Stream::new(1, Purpose::Simulation, 0, 0);
    let pixel = |index: usize| (index / 8 % 200) as u64 + stream.below(8);
    (0..count).map(pixel).map(|pixel| pixel as u8).collect()
}

fn idx() -> Folder {
    let folder = Folder::new("idx");
    let write = |name: &str, sizes: &[u32], data: Vec<u8>| {
        let mut bytes = vec![0, 0, 8, sizes.len() as u8];
        bytes.extend(sizes.iter().flat_map(|size| size.to_be_bytes()));
        bytes.extend(data);
        let file = std::fs::File::create(folder.0.join(name)).unwrap();
        let mut writer = flate2::write::GzEncoder::new(file, Default::default());
        writer.write_all(&bytes).unwrap();
        writer.finish().unwrap();
    };
    let half = IMAGES / 2;
    for part in ["train", "t10k"] {
        let images = pixels(half * 784);
        write(
            &format!("{part}-images-idx3-ubyte.gz"),
            &[half as u32, 28, 28],
            images,
        );
        let labels = (0..half).map(|image| (image % 10) as u8).collect();
        write(
            &format!("{part}-labels-idx1-ubyte.gz"),
            &[half as u32],
            labels,
        );
    }
    folder
}

fn cifar() -> Folder {
    let folder = Folder::new("cifar");
    let names = [
        "data_batch_1",
        "data_batch_2",
        "data_batch_3",
        "data_batch_4",
        "data_batch_5",
    ];
    for name in names.iter().chain(&["test_batch"]) {
        let mut bytes = pixels(IMAGES / 6 * 3073);
        for (image, record) in bytes.chunks_exact_mut(3073).enumerate() {
            record[0] = (image % 10) as u8;
        }
        std::fs::write(folder.0.join(format!("{name}.bin")), bytes).unwrap();
    }
    folder
}

fn pictures() -> Folder {
    let folder = Folder::new("pictures");
    for index in 0..PICTURES {
        let part = if index % 2 == 0 { "train" } else { "val" };
        let class = folder.0.join(part).join((index / 2 % 2).to_string());
        std::fs::create_dir_all(&class).unwrap();
        let picture = RgbImage::from_raw(SIDE, SIDE, pixels((SIDE * SIDE * 3) as usize)).unwrap();
        picture.save(class.join(format!("{index}.png"))).unwrap();
    }
    folder
}

fn reading(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("reading");
    group.sample_size(10);
    let sets = [
        ("mnist", "1x28x28, gzip", idx(), IMAGES),
        ("cifar10", "3x32x32", cifar(), IMAGES),
        (
            "folder-3x32x32",
            "PNG of 256x256, all processors",
            pictures(),
            PICTURES,
        ),
    ];
    for (name, what, folder, images) in &sets {
        group.throughput(Throughput::Elements(*images as u64));
        group.bench_function(format!("{name} ({what})"), |bencher| {
            bencher.iter(|| black_box(folder.load(name).digest()));
        });
    }
    group.finish();
}

fn augmenting(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("augmenting");
    group.throughput(Throughput::Elements(BATCH as u64));
    let shape = "3x32x32".parse().unwrap();
    let part = |images: usize| Images::new(shape, pixels(images * 3072), vec![0; images]).unwrap();
    let dataset = Dataset::new("synthetic", 2, part(BATCH), part(1)).unwrap();
    let indices: Vec<usize> = (0..BATCH).collect();
    for (name, augmentation) in [
        ("nothing", Augmentation::default()),
        ("crop, flip and cutout", Recipe::default().augmentation),
    ] {
        let mut recipe = Recipe::default();
        recipe.augmentation = augmentation;
        group.bench_function(format!("3x32x32, {name}"), |bencher| {
            bencher.iter(|| black_box(Batch::augmented(&dataset, &indices, &recipe, 1).unwrap()));
        });
    }
    group.finish();
}

criterion_group!(benches, reading, augmenting);
criterion_main!(benches);
