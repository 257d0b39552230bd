//! The accuracy that a network has in eight bits.

use naschain_core::Accuracy;
use rayon::prelude::*;

use crate::evaluation::BATCH;
use crate::onnx::evaluate::{Evaluator, FeatureMap};
use crate::onnx::int8;
use crate::{Dataset, Error, Model, Options};

/// Maximum number of test images, because the graph is computed by plain loops.
const MAX_TESTED: usize = 2000;

/// Accuracies of a network on the same test images, before and after its numbers are rounded to eight
/// bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Int8Test {
    /// Number of images: all test images, or 2,000 that are spread evenly over them.
    pub images: usize,
    /// The accuracy of the network itself.
    pub before: Accuracy,
    /// The accuracy of the network in eight bits.
    pub after: Accuracy,
}

/// Tests the graph in eight bits that `dataset` calibrates.
pub(crate) fn test(model: &Model, dataset: &Dataset, options: Options) -> Result<Int8Test, Error> {
    let graph = int8::graph(model, dataset)?;
    let evaluator = Evaluator::new(&graph);
    let (shape, classes) = (dataset.shape, dataset.classes);
    let total = dataset.test.len();
    let images = total.min(MAX_TESTED);
    let indices: Vec<usize> = (0..images).map(|index| index * total / images).collect();
    let unit = 255.0 / f32::from(dataset.white());
    let (mut before, mut after) = (0, 0);
    for indices in indices.chunks(BATCH) {
        let pixels = dataset.test.pixels(indices)?;
        let pixels: Vec<f32> = pixels
            .iter()
            .map(|&pixel| f32::from(pixel) * unit)
            .collect();
        let labels = indices.iter().map(|&index| dataset.test.labels()[index]);
        let labels: Vec<usize> = labels.map(usize::from).collect();
        let logits = model.logits(&pixels, options)?;
        let answers = logits.chunks_exact(classes).zip(&labels);
        before += answers
            .filter(|(row, label)| largest(row) == **label)
            .count();
        let is_right = |image: &[f32], label: usize| {
            let map = FeatureMap {
                shape: [shape.channels, shape.height, shape.width],
                values: image.to_vec(),
            };
            largest(&evaluator.values(map)["logits"].values) == label
        };
        let answers = pixels.par_chunks_exact(shape.len()).zip(&labels);
        after += answers
            .filter(|(image, label)| is_right(image, **label))
            .count();
    }
    let accuracy = |correct: usize| Accuracy::from_counts(correct as u64, images as u64);
    Ok(Int8Test {
        images,
        before: accuracy(before)?,
        after: accuracy(after)?,
    })
}

/// The index of the largest number; of equal ones the first.
fn largest(row: &[f32]) -> usize {
    let indices = (0..row.len()).rev();
    let largest = indices.max_by(|&a, &b| row[a].total_cmp(&row[b]));
    largest.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::largest;

    #[test]
    fn of_equal_numbers_the_first_is_the_largest() {
        assert_eq!(largest(&[1.0, 3.0, 3.0, -4.0]), 1);
        assert_eq!(largest(&[]), 0);
    }
}
