//! Drop-path: regularisation that drops whole feature maps of single images during training.
//!
//! NSGA-Net drops paths in the cells of its micro space (after Zoph et al. 2018): for each image,
//! an operation's output is set to 0 with a probability that grows from epoch to epoch, and kept
//! outputs are scaled up to preserve the mean; identities are never dropped. Its macro space does
//! not define drop-path, so this crate does: where several maps are joined, each node's output is
//! dropped independently, and the phase's input never. In a chain of nodes nothing is dropped.
//! There, a dropped map would be the whole signal. In the mobile space it drops what a residual block adds to
//! its input (stochastic depth, Huang et al. 2016).

use naschain_core::{Purpose, Recipe, Stream};

/// Draws which of `count` paths are dropped for each image: for each path, in declaration order,
/// one factor per image. Empty if the epoch's probability is 0.
pub(crate) fn draw(recipe: &Recipe, epoch: u32, count: usize, images: &[usize]) -> Vec<Vec<f32>> {
    match probability(recipe, epoch) {
        0.0 => Vec::new(),
        probability => factors(recipe.seed, epoch, probability, count, images),
    }
}

/// The probability in `epoch`, counted from 1.
fn probability(recipe: &Recipe, epoch: u32) -> f64 {
    recipe.drop_path * f64::from(epoch - 1) / f64::from(recipe.epochs)
}

/// For each path one factor per image: 0, or the factor that preserves the expected value.
fn factors(
    seed: u64,
    epoch: u32,
    probability: f64,
    count: usize,
    images: &[usize],
) -> Vec<Vec<f32>> {
    let kept = (1.0 / (1.0 - probability)) as f32;
    let mut factors = vec![Vec::with_capacity(images.len()); count];
    for &image in images {
        let mut stream = Stream::new(seed, Purpose::DropPath, u64::from(epoch), image as u64);
        for path in &mut factors {
            let dropped = stream.chance(probability);
            path.push(if dropped { 0.0 } else { kept });
        }
    }
    factors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_probability_grows_linearly_from_zero() {
        let mut recipe = Recipe::default();
        recipe.epochs = 4;
        recipe.drop_path = 0.2;
        let all: Vec<f64> = (1..=4).map(|epoch| probability(&recipe, epoch)).collect();
        for (found, right) in all.iter().zip([0.0, 0.05, 0.1, 0.15]) {
            assert!((found - right).abs() < 1e-15, "{all:?}");
        }
        assert_eq!(probability(&Recipe::default(), 20), 0.0);
    }

    #[test]
    fn factors_are_keyed_by_image_and_epoch_and_keep_the_mean() {
        let images: Vec<usize> = (0..4000).collect();
        let all = factors(1, 2, 0.25, 3, &images);
        for path in &all {
            let kept = path.iter().filter(|&&factor| factor > 0.0).count();
            // Binomial with mean 3,000 and standard deviation 27; the stream is fixed.
            assert!(kept.abs_diff(3000) < 110, "{kept}");
            let zero_or_kept = |factor: &f32| *factor == 0.0 || *factor == 1.0 / 0.75;
            assert!(path.iter().all(zero_or_kept));
        }
        let alone = factors(1, 2, 0.25, 3, &[7]);
        let of_seven: Vec<f32> = all.iter().map(|path| path[7]).collect();
        assert_eq!(alone.concat(), of_seven);
        assert_ne!(all[0], all[1]);
        assert_ne!(all, factors(1, 3, 0.25, 3, &images));
        assert_ne!(all, factors(2, 2, 0.25, 3, &images));
    }
}
