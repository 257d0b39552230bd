//! Batch norm with ReLU.

use std::borrow::Cow;

use burn::backend::flex::FlexTensor;

use super::super::ops::{MapShape, NormParameters, Normed, SavedNorm};
use super::tensors::{each_block, each_block_of, fresh, owned, padded, part, tensor, values};
use crate::kernels::BLOCK;
use crate::kernels::fold::{FoldImages, Recentre};
use crate::kernels::norm::{Affine, BackwardInput, BackwardSums, NormMoments, Normalise};
use crate::kernels::statistics::{
    BackwardStatistics, BatchStatistics, Mean, NormStatistics, RunningStatistics,
};

pub(super) fn forward(
    z: &FlexTensor,
    parameters: &NormParameters<FlexTensor>,
    shape: MapShape,
) -> Normed<FlexTensor> {
    let z = values(z);
    let mut moments = ImageMoments::new(shape);
    each_block_of(shape.images, moments.parts(), |images, [means, squares]| {
        let z = part(&z, &images, shape.dims().image());
        ImageMoments::compute(z, [means, squares], shape);
    });
    finish(&z, moments, parameters, shape)
}

/// The mean and the sum of squares of each image's channels, `[image][channel]` each.
pub(super) struct ImageMoments {
    means: Vec<f32>,
    squares: Vec<f32>,
    shape: MapShape,
}

impl ImageMoments {
    pub(super) fn new(shape: MapShape) -> ImageMoments {
        let means = vec![0.0; shape.images * shape.dims().padded()];
        let squares = means.clone();
        ImageMoments {
            means,
            squares,
            shape,
        }
    }

    /// With the elements per block.
    pub(super) fn parts(&mut self) -> [(&mut [f32], usize); 2] {
        let block = BLOCK * self.shape.dims().padded();
        [(&mut self.means, block), (&mut self.squares, block)]
    }

    /// Those of some images.
    pub(super) fn compute(z: &[f32], [means, squares]: [&mut [f32]; 2], shape: MapShape) {
        let dims = shape.dims();
        NormMoments {
            lanes: dims.lanes,
            pixels: dims.pixels(),
            z,
            means,
            squares,
        }
        .run_on(shape.isa);
    }
}

/// The batch's statistics, and the map normalised by them.
pub(super) fn finish(
    z: &[f32],
    moments: ImageMoments,
    parameters: &NormParameters<FlexTensor>,
    shape: MapShape,
) -> Normed<FlexTensor> {
    let (dims, isa) = (shape.dims(), shape.isa);
    let channels = dims.padded();
    let ImageMoments {
        means, mut squares, ..
    } = moments;
    let mut statistics = running_statistics(parameters, channels);
    let weight = padded(&parameters.weight, channels, 0.0);
    fold(&means, &mut statistics.mean, shape);
    Mean {
        images: shape.images,
        mean: &mut statistics.mean,
    }
    .run_on(isa);
    Recentre {
        pixels: dims.pixels(),
        mean: &statistics.mean,
        means: &means,
        squares: &mut squares,
    }
    .run_on(isa);
    let mut total = vec![0.0; channels];
    fold(&squares, &mut total, shape);
    BatchStatistics {
        count: shape.images * dims.pixels(),
        squares: &total,
        weight: &weight,
        statistics: &mut statistics,
    }
    .run_on(isa);
    let y = normalise(z, &statistics, parameters, shape);
    let per_channel = |mut values: Vec<f32>| {
        values.truncate(dims.channels);
        tensor(values, [dims.channels])
    };
    Normed {
        y,
        running_mean: per_channel(statistics.running_mean),
        running_var: per_channel(statistics.running_var),
        saved: SavedNorm {
            mean: tensor(statistics.mean, [channels]),
            inverse: tensor(statistics.inverse, [channels]),
            scale: tensor(statistics.scale, [channels]),
        },
    }
}

pub(super) fn running(
    z: &FlexTensor,
    parameters: &NormParameters<FlexTensor>,
    shape: MapShape,
) -> FlexTensor {
    let channels = shape.dims().padded();
    let mut statistics = running_statistics(parameters, channels);
    RunningStatistics {
        weight: &padded(&parameters.weight, channels, 0.0),
        statistics: &mut statistics,
    }
    .run_on(shape.isa);
    normalise(&values(z), &statistics, parameters, shape)
}

/// Padded as the planner pads them.
fn running_statistics(parameters: &NormParameters<FlexTensor>, channels: usize) -> NormStatistics {
    let mean = padded(&parameters.running_mean, channels, 0.0);
    NormStatistics::new(mean, padded(&parameters.running_var, channels, 1.0))
}

fn normalise(
    z: &[f32],
    statistics: &NormStatistics,
    parameters: &NormParameters<FlexTensor>,
    shape: MapShape,
) -> FlexTensor {
    let dims = shape.dims();
    let bias = padded(&parameters.bias, dims.padded(), 0.0);
    let mut y = fresh(shape.tensor());
    each_block(y.storage_mut(), dims.image(), |images, y| {
        Normalise {
            lanes: dims.lanes,
            pixels: dims.pixels(),
            affine: Affine {
                mean: &statistics.mean,
                scale: &statistics.scale,
                bias: &bias,
                relu: true,
            },
            z: part(z, &images, dims.image()),
            y,
        }
        .run_on(shape.isa);
    });
    y
}

/// The fold over the images of each block, then over the blocks.
pub(super) fn fold(values: &[f32], out: &mut [f32], shape: MapShape) {
    let blocks = values.chunks(BLOCK * out.len());
    for (block, values) in blocks.enumerate() {
        let add = block > 0;
        FoldImages { values, out, add }.run_on(shape.isa);
    }
}

pub(super) fn backward(
    dy: FlexTensor,
    z: &FlexTensor,
    bias: &FlexTensor,
    saved: &SavedNorm<FlexTensor>,
    shape: MapShape,
) -> [FlexTensor; 3] {
    let z = values(z);
    let mut dz = owned(dy);
    let batch = BatchBackward::new(dz.storage(), &z, bias, saved, shape);
    each_block(dz.storage_mut(), shape.dims().image(), |images, dy| {
        batch.replace(part(&z, &images, shape.dims().image()), dy);
    });
    let [dweight, dbias] = batch.gradients;
    [dz, dweight, dbias]
}

/// What the gradient with respect to `z` needs from the whole batch.
pub(super) struct BatchBackward<'a> {
    statistics: NormStatistics,
    mean: Cow<'a, [f32]>,
    scale: Cow<'a, [f32]>,
    bias: Vec<f32>,
    shape: MapShape,
    /// With respect to weight and bias.
    pub(super) gradients: [FlexTensor; 2],
}

impl<'a> BatchBackward<'a> {
    pub(super) fn new(
        dy: &[f32],
        z: &[f32],
        bias: &FlexTensor,
        saved: &'a SavedNorm<FlexTensor>,
        shape: MapShape,
    ) -> BatchBackward<'a> {
        let (dims, isa) = (shape.dims(), shape.isa);
        let channels = dims.padded();
        let zeros = vec![0.0; channels];
        let mut statistics = NormStatistics::new(zeros.clone(), zeros.clone());
        statistics.inverse = padded(&saved.inverse, channels, 0.0);
        let (mean, scale) = (values(&saved.mean), values(&saved.scale));
        let bias = padded(bias, channels, 0.0);
        let affine = Affine {
            mean: &mean,
            scale: &scale,
            bias: &bias,
            relu: true,
        };
        let mut gradients = vec![0.0; shape.images * channels];
        let mut products = gradients.clone();
        let block = BLOCK * channels;
        let sums = [(&mut gradients[..], block), (&mut products[..], block)];
        each_block_of(shape.images, sums, |images, [gradients, products]| {
            BackwardSums {
                lanes: dims.lanes,
                pixels: dims.pixels(),
                affine,
                z: part(z, &images, dims.image()),
                dy: part(dy, &images, dims.image()),
                gradients,
                products,
            }
            .run_on(isa);
        });
        let mut totals = [zeros.clone(), zeros.clone()];
        fold(&gradients, &mut totals[0], shape);
        fold(&products, &mut totals[1], shape);
        let [mut dweight, mut dbias] = [zeros.clone(), zeros];
        BackwardStatistics {
            count: shape.images * dims.pixels(),
            gradients: &totals[0],
            products: &totals[1],
            weight_gradient: &mut dweight,
            bias_gradient: &mut dbias,
            statistics: &mut statistics,
        }
        .run_on(isa);
        let per_channel = |mut values: Vec<f32>| {
            values.truncate(dims.channels);
            tensor(values, [dims.channels])
        };
        BatchBackward {
            statistics,
            mean,
            scale,
            bias,
            shape,
            gradients: [dweight, dbias].map(per_channel),
        }
    }

    /// Replaces the gradient with respect to some images' results by that with respect to their `z`.
    pub(super) fn replace(&self, z: &[f32], dy: &mut [f32]) {
        let dims = self.shape.dims();
        BackwardInput {
            lanes: dims.lanes,
            pixels: dims.pixels(),
            affine: Affine {
                mean: &self.mean,
                scale: &self.scale,
                bias: &self.bias,
                relu: true,
            },
            a: &self.statistics.a,
            b: &self.statistics.b,
            z,
            dy,
        }
        .run_on(self.shape.isa);
    }
}
