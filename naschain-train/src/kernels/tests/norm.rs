//! Batch norm.

use super::super::BLOCK;
use super::super::fold::{FoldImages, Recentre};
use super::super::layout::{from_blocks, into_blocks};
use super::super::norm::{Affine, BackwardInput, BackwardSums, NormMoments, Normalise};
use super::super::reference::{self, Channel, TensorShape};
use super::super::simd::Isa;
use super::super::statistics::{
    BackwardStatistics, BatchStatistics, Mean, NormStatistics, RunningStatistics,
};
use super::{assert_bits, every_isa, numbers, shape};

/// A batch norm and its inputs. Maps are in the layout of the reference, `z_blocks` is in that of the
/// kernels.
struct Case {
    what: String,
    isa: Isa,
    shape: TensorShape,
    lanes: usize,
    /// Number of channels, with padding.
    padded: usize,
    z: Vec<f32>,
    z_blocks: Vec<f32>,
    dy: Vec<f32>,
    weight: Vec<f32>,
    bias: Vec<f32>,
    running_mean: Vec<f32>,
    running_var: Vec<f32>,
}

impl Case {
    fn new(isa: Isa, shape: TensorShape) -> Case {
        let (channels, lanes) = (shape.channels, isa.lanes(shape.channels));
        let padded = channels.next_multiple_of(lanes);
        let pad = |mut values: Vec<f32>, fill| {
            values.resize(padded, fill);
            values
        };
        let running = numbers(channels, 5);
        let positive = running.iter().map(|r| r.abs()).collect();
        let z = numbers(shape.len(), 1);
        Case {
            what: format!("{isa:?} {shape:?}"),
            isa,
            shape,
            lanes,
            padded,
            z_blocks: into_blocks(&z, channels, shape.pixels(), lanes),
            z,
            dy: numbers(shape.len(), 2),
            weight: pad(numbers(channels, 3), 0.0),
            bias: pad(numbers(channels, 4), 0.0),
            running_mean: pad(running, 0.0),
            running_var: pad(positive, 1.0),
        }
    }

    /// The planes of one channel, one for each image.
    fn planes<'a>(&self, map: &'a [f32], channel: usize) -> Vec<&'a [f32]> {
        let (channels, pixels) = (self.shape.channels, self.shape.pixels());
        (0..self.shape.images)
            .map(|image| &map[(image * channels + channel) * pixels..][..pixels])
            .collect()
    }

    fn fold(&self, values: &[f32], out: &mut [f32]) {
        for (index, values) in values.chunks(BLOCK * self.padded).enumerate() {
            let (out, add) = (&mut *out, index > 0);
            FoldImages { values, out, add }.run_on(self.isa);
        }
    }

    fn assert_map(&self, blocks: &[f32], right: &[f32]) {
        let (channels, pixels) = (self.shape.channels, self.shape.pixels());
        let found = from_blocks(blocks, channels, pixels, self.lanes);
        assert_bits(&found, right, &self.what);
    }

    /// The statistics of the batch, by the kernels.
    fn statistics(&self) -> NormStatistics {
        let (isa, images, pixels) = (self.isa, self.shape.images, self.shape.pixels());
        let mut statistics =
            NormStatistics::new(self.running_mean.clone(), self.running_var.clone());
        let mut means = vec![0.0; images * self.padded];
        let mut squares = means.clone();
        NormMoments {
            lanes: self.lanes,
            pixels,
            z: &self.z_blocks,
            means: &mut means,
            squares: &mut squares,
        }
        .run_on(isa);
        self.fold(&means, &mut statistics.mean);
        let mean = &mut statistics.mean;
        Mean { images, mean }.run_on(isa);
        Recentre {
            pixels,
            mean: &statistics.mean,
            means: &means,
            squares: &mut squares,
        }
        .run_on(isa);
        let mut total = vec![0.0; self.padded];
        self.fold(&squares, &mut total);
        BatchStatistics {
            count: images * pixels,
            squares: &total,
            weight: &self.weight,
            statistics: &mut statistics,
        }
        .run_on(isa);
        statistics
    }

    /// The statistics of each channel, by the reference.
    fn reference(&self) -> Vec<Channel> {
        let channel = |c: usize| {
            let before = Channel {
                mean: 0.0,
                inverse: 0.0,
                scale: 0.0,
                running_mean: self.running_mean[c],
                running_var: self.running_var[c],
            };
            reference::batch_statistics(&self.planes(&self.z, c), self.weight[c], before)
        };
        (0..self.shape.channels).map(channel).collect()
    }

    fn check_statistics(&self, found: &NormStatistics, right: &[Channel]) {
        let check = |found: &[f32], value: fn(&Channel) -> f32| {
            let right: Vec<f32> = right.iter().map(value).collect();
            assert_bits(&found[..right.len()], &right, &self.what);
        };
        check(&found.mean, |c| c.mean);
        check(&found.inverse, |c| c.inverse);
        check(&found.scale, |c| c.scale);
        check(&found.running_mean, |c| c.running_mean);
        check(&found.running_var, |c| c.running_var);
    }

    fn check_output(&self, statistics: &NormStatistics, right: &[Channel]) {
        let (channels, pixels) = (self.shape.channels, self.shape.pixels());
        let mut y = vec![f32::NAN; self.z_blocks.len()];
        Normalise {
            lanes: self.lanes,
            pixels,
            affine: self.affine(statistics),
            z: &self.z_blocks,
            y: &mut y,
        }
        .run_on(self.isa);
        let value = |index: usize| {
            let c = index / pixels % channels;
            reference::relu(reference::affine(self.z[index], right[c], self.bias[c]))
        };
        let right: Vec<f32> = (0..self.z.len()).map(value).collect();
        self.assert_map(&y, &right);
    }

    fn affine<'a>(&'a self, statistics: &'a NormStatistics) -> Affine<'a> {
        Affine {
            mean: &statistics.mean,
            scale: &statistics.scale,
            bias: &self.bias,
            relu: true,
        }
    }

    fn check_gradients(&self, statistics: &mut NormStatistics, right: &[Channel]) {
        let (isa, lanes, pixels) = (self.isa, self.lanes, self.shape.pixels());
        let mut dz = into_blocks(&self.dy, self.shape.channels, pixels, lanes);
        let mut gradients = vec![0.0; self.shape.images * self.padded];
        let mut products = gradients.clone();
        BackwardSums {
            lanes,
            pixels,
            affine: self.affine(statistics),
            z: &self.z_blocks,
            dy: &dz,
            gradients: &mut gradients,
            products: &mut products,
        }
        .run_on(isa);
        let mut totals = [vec![0.0; self.padded], vec![0.0; self.padded]];
        self.fold(&gradients, &mut totals[0]);
        self.fold(&products, &mut totals[1]);
        let mut weight_gradient = vec![0.0; self.padded];
        let mut bias_gradient = vec![0.0; self.padded];
        BackwardStatistics {
            count: self.shape.images * pixels,
            gradients: &totals[0],
            products: &totals[1],
            weight_gradient: &mut weight_gradient,
            bias_gradient: &mut bias_gradient,
            statistics,
        }
        .run_on(isa);
        BackwardInput {
            lanes,
            pixels,
            affine: self.affine(statistics),
            a: &statistics.a,
            b: &statistics.b,
            z: &self.z_blocks,
            dy: &mut dz,
        }
        .run_on(isa);
        let dz = from_blocks(&dz, self.shape.channels, pixels, lanes);
        for (c, channel) in right.iter().enumerate() {
            let (z, dy) = (self.planes(&self.z, c), self.planes(&self.dy, c));
            let (right_dz, right_weight, right_bias) =
                reference::norm_backward(&z, &dy, *channel, Some(self.bias[c]));
            assert_bits(&[weight_gradient[c]], &[right_weight], &self.what);
            assert_bits(&[bias_gradient[c]], &[right_bias], &self.what);
            assert_bits(
                &self.planes(&dz, c).concat(),
                &right_dz.concat(),
                &self.what,
            );
        }
    }

    /// The statistics of an evaluation are those that the training has recorded.
    fn check_running_statistics(&self, mut statistics: NormStatistics, right: Channel) {
        RunningStatistics {
            weight: &self.weight,
            statistics: &mut statistics,
        }
        .run_on(self.isa);
        let right = reference::running_statistics(self.weight[0], right);
        let found = [
            statistics.mean[0],
            statistics.inverse[0],
            statistics.scale[0],
        ];
        assert_bits(
            &found,
            &[right.mean, right.inverse, right.scale],
            &self.what,
        );
    }
}

pub(super) fn check_norm(isa: Isa, shape: TensorShape) {
    let case = Case::new(isa, shape);
    let (mut statistics, right) = (case.statistics(), case.reference());
    case.check_statistics(&statistics, &right);
    case.check_output(&statistics, &right);
    case.check_gradients(&mut statistics, &right);
    case.check_running_statistics(statistics, right[0]);
}

#[test]
fn batch_norm_forward_and_backward() {
    for isa in every_isa() {
        for (images, channels, height, width) in [
            (2, 8, 26, 26),
            (3, 3, 15, 15),
            (65, 16, 3, 3),
            (33, 9, 1, 1),
            (1, 1, 1, 1),
            (4, 24, 6, 6),
            (1, 17, 5, 3),
        ] {
            check_norm(isa, shape(images, channels, height, width));
        }
        for pixels in 1..=64 {
            check_norm(isa, shape(2, 2, 1, pixels));
        }
    }
}
