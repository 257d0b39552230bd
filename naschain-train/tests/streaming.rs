//! Folders of images are decoded on demand: memory does not grow with the folder, and a training
//! does not depend on where its images are stored.

mod allocations;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use allocations::peak;
use image::RgbImage;
use naschain_core::{MacroSpace, Purpose, Recipe, Stream};
use naschain_train::{DataName, Dataset, Options, Trained, train};

const CLASSES: usize = 3;
const SIDE: u32 = 40;
/// Bytes of an image of the network's input shape, 3×64×64.
const INPUT_BYTES: usize = 3 * 64 * 64;

/// A folder of noisy PNG files, `files` per class in the training and the test set.
fn folder(test: &str, files: [usize; 2]) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("naschain-stream-{test}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    let mut stream = Stream::new(1, Purpose::Simulation, 0, 0);
    for (part, files) in ["train", "val"].into_iter().zip(files) {
        for class in 0..CLASSES {
            let class_dir = dir.join(part).join(format!("class-{class}"));
            std::fs::create_dir_all(&class_dir).unwrap();
            for file in 0..files {
                let mut noise = |_, _| {
                    let level = 60 * class as u64 + stream.below(60);
                    image::Rgb([level as u8, stream.below(256) as u8, 128])
                };
                let mut picture = RgbImage::new(SIDE, SIDE);
                for (x, y, pixel) in picture.enumerate_pixels_mut() {
                    *pixel = noise(x, y);
                }
                picture
                    .save(class_dir.join(format!("{file:05}.png")))
                    .unwrap();
            }
        }
    }
    dir
}

fn load(dir: &Path, shape: &str) -> Dataset {
    let name = DataName::Folder(shape.parse().unwrap());
    Dataset::load(&name, Some(dir)).unwrap()
}

fn trained(dataset: &Dataset, train_images: usize, threads: usize) -> Trained {
    let space = MacroSpace {
        phases: 2,
        nodes: 2,
        input: dataset.shape,
        init_channels: 2,
        classes: dataset.classes,
    };
    let architecture = space.decode(&"11-10".parse().unwrap()).unwrap();
    let mut recipe = Recipe::default();
    recipe.epochs = 2;
    recipe.batch_size = 8;
    recipe.train_images = train_images;
    recipe.validation_images = 8;
    recipe.augmentation.crop_padding = 2;
    recipe.augmentation.horizontal_flip = true;
    recipe.augmentation.cutout = 4;
    let mut options = Options::default();
    options.threads = threads;
    let mut proceed = |_: &_| ControlFlow::Continue(());
    train(&architecture, dataset, &recipe, options, &mut proceed).unwrap()
}

// One test, because the allocator counts for the whole process.
#[test]
fn memory_is_bounded_and_results_equal_those_in_memory() {
    let (small, large) = (folder("small", [24, 8]), folder("large", [120, 8]));
    let work = |dir: &Path| {
        let run = || {
            let dataset = load(dir, "3x64x64");
            let trained = trained(&dataset, 40, 1);
            (dataset, trained)
        };
        peak(run)
    };
    // Starts the decoding threads, which persist, before anything is counted.
    work(&small);
    let ((few, _), few_bytes) = work(&small);
    let ((many, _), many_bytes) = work(&large);
    assert_eq!((few.train.len(), many.train.len()), (72, 360));
    let growth = many_bytes.saturating_sub(few_bytes);
    let more = (360 - 72) * INPUT_BYTES;
    // Names and labels stay in memory; of the pixels at most 64 images at a time.
    assert!(
        growth < more / 20,
        "{growth} bytes more for {more} of pixels"
    );

    // Control: the same images in memory exceed that bound.
    let (copied, bytes) = peak(|| many.train.in_memory().unwrap());
    assert!(bytes >= 360 * INPUT_BYTES, "{bytes}");
    let in_memory = Dataset::new("copy", CLASSES, copied, many.test.clone()).unwrap();
    assert_eq!(in_memory.digest(), many.digest());
    assert_eq!(in_memory.train.moments(), many.train.moments());
    let kept = |most| peak(|| many.clone().into_memory(most as u64).unwrap()).1;
    assert!(kept(360 * INPUT_BYTES) >= 360 * INPUT_BYTES);
    // The test set's 24 images are decoded into memory, the training set is not.
    assert!(kept(360 * INPUT_BYTES - 1) < 180 * INPUT_BYTES);
    let streamed = trained(&many, 100, 1);
    assert_eq!(streamed, trained(&in_memory, 100, 1));
    assert_eq!(streamed, trained(&many, 100, 4));

    let read = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        let indices: Vec<usize> = (0..360).rev().collect();
        pool.build()
            .unwrap()
            .install(|| many.train.pixels(&indices).unwrap())
    };
    assert_eq!(read(1), read(5));
    for dir in [small, large] {
        std::fs::remove_dir_all(dir).unwrap();
    }
}
