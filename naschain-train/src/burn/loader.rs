//! The mini-batches of a recipe as a data loader of burn.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use burn::data::dataloader::{DataLoader, DataLoaderIterator, Progress};
use burn::tensor::backend::Backend;

use super::mini_batches::{MiniBatch, MiniBatches};
use crate::Error;

/// [`MiniBatches`] as a data loader of burn, for its Learner: in their order, in the thread that asks
/// for them, for a training on one device. Requires the feature `burn-learner`.
///
/// The loader's iterators panic, with the message of the [`Error`], if an image file has changed since
/// the data set was opened: burn's data loaders cannot return errors. Its
/// [`slice`](DataLoader::slice) always panics, because a part of the images has other mini-batches.
#[derive(Clone)]
pub struct MiniBatchLoader {
    batches: Arc<MiniBatches<'static>>,
    loaded: Loaded,
}

/// What a loader loads.
#[derive(Clone)]
enum Loaded {
    Training {
        paths: usize,
        /// The epoch of the next iterator, shared with the loader's copies.
        next_epoch: Arc<AtomicU32>,
    },
    Validation,
}

impl MiniBatchLoader {
    /// The training images, for a network with `paths` that drop-path can drop. Each call of
    /// [`iter`](DataLoader::iter) is the next epoch; the first is `first_epoch`, which is 1, or 1
    /// more than the epoch of the checkpoint from which the Learner continues.
    ///
    /// # Panics
    /// If `first_epoch` is 0.
    pub fn training(
        batches: Arc<MiniBatches<'static>>,
        paths: usize,
        first_epoch: u32,
    ) -> MiniBatchLoader {
        assert!(first_epoch > 0, "epochs are counted from 1");
        let next_epoch = Arc::new(AtomicU32::new(first_epoch));
        let loaded = Loaded::Training { paths, next_epoch };
        MiniBatchLoader { batches, loaded }
    }

    /// The images of [`MiniBatches::validation`].
    pub fn validation(batches: Arc<MiniBatches<'static>>) -> MiniBatchLoader {
        let loaded = Loaded::Validation;
        MiniBatchLoader { batches, loaded }
    }

    fn images(&self) -> usize {
        match self.loaded {
            Loaded::Training { .. } => self.batches.images(),
            Loaded::Validation => self.batches.validation_images(),
        }
    }
}

impl<B: Backend> DataLoader<B, MiniBatch> for MiniBatchLoader {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<MiniBatch> + 'a> {
        let batches: Box<dyn Iterator<Item = _>> = match &self.loaded {
            Loaded::Training { paths, next_epoch } => {
                let epoch = next_epoch.fetch_add(1, Ordering::Relaxed);
                Box::new(self.batches.epoch(epoch, *paths))
            }
            Loaded::Validation => Box::new(self.batches.validation()),
        };
        let progress = Progress::new(0, self.images());
        Box::new(LoaderIterator { batches, progress })
    }

    fn num_items(&self) -> usize {
        self.images()
    }

    /// A mini-batch moves to a device in [`MiniBatch::images`].
    fn to_device(&self, _: &B::Device) -> Arc<dyn DataLoader<B, MiniBatch>> {
        Arc::new(self.clone())
    }

    fn slice(&self, start: usize, end: usize) -> Arc<dyn DataLoader<B, MiniBatch>> {
        panic!(
            "images {start} to {end} cannot be loaded separately: the mini-batches of a recipe are \
             for a training on one device"
        )
    }
}

struct LoaderIterator<'a> {
    batches: Box<dyn Iterator<Item = Result<MiniBatch, Error>> + 'a>,
    progress: Progress,
}

impl Iterator for LoaderIterator<'_> {
    type Item = MiniBatch;

    fn next(&mut self) -> Option<MiniBatch> {
        let batch = self.batches.next()?;
        let batch = batch.unwrap_or_else(|error| panic!("{error}"));
        self.progress.items_processed += batch.labels.len();
        Some(batch)
    }
}

impl DataLoaderIterator<MiniBatch> for LoaderIterator<'_> {
    fn progress(&self) -> Progress {
        self.progress.clone()
    }
}

#[cfg(test)]
mod tests {
    use burn::backend::Flex;
    use naschain_core::Recipe;

    use super::*;
    use crate::Dataset;

    fn batches() -> Arc<MiniBatches<'static>> {
        let mut recipe = Recipe::default();
        (recipe.train_images, recipe.validation_images) = (100, 300);
        (recipe.batch_size, recipe.drop_path) = (48, 0.2);
        // Cutout would erase such small images.
        recipe.augmentation.cutout = 0;
        Arc::new(MiniBatches::owned(Dataset::digits(), recipe).unwrap())
    }

    #[test]
    fn each_iterator_is_the_next_epoch() {
        let batches = batches();
        let loader = MiniBatchLoader::training(batches.clone(), 3, 2);
        let loader: &dyn DataLoader<Flex, MiniBatch> = &loader;
        assert_eq!(loader.num_items(), 100);
        let moved = loader.to_device(&Default::default());
        for (epoch, loader) in [(2, loader), (3, &*moved), (4, loader)] {
            let mut found = loader.iter();
            for (right, processed) in batches.epoch(epoch, 3).zip([48, 96, 100]) {
                assert_eq!(found.next(), Some(right.unwrap()), "epoch {epoch}");
                let progress = found.progress();
                assert_eq!(progress.items_processed, processed);
                assert_eq!(progress.items_total, 100);
            }
            assert_eq!(found.next(), None);
        }
    }

    #[test]
    fn validation_images_are_the_same_each_time() {
        let loader = MiniBatchLoader::validation(batches());
        let loader: &dyn DataLoader<Flex, MiniBatch> = &loader;
        assert_eq!(loader.num_items(), 300);
        let all: Vec<_> = loader.iter().collect();
        let sizes: Vec<_> = all.iter().map(|batch| batch.labels.len()).collect();
        assert_eq!(sizes, [250, 50]);
        assert!(all.iter().all(|batch| batch.factors.is_empty()));
        assert!(loader.iter().eq(all));
    }

    #[test]
    #[should_panic(expected = "on one device")]
    fn several_devices_are_refused() {
        let loader = MiniBatchLoader::training(batches(), 0, 1);
        DataLoader::<Flex, MiniBatch>::slice(&loader, 0, 50);
    }
}
