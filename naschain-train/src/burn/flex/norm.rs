//! Batch norm with ReLU.

use burn::backend::flex::FlexTensor;

use super::super::ops::{MapShape, NormParameters, Normed, SavedNorm};
use super::tensors::{each_block, each_block_of_two, fresh, owned, padded, part, tensor, values};
use crate::kernels::BLOCK;
use crate::kernels::fold::{FoldImages, Recentre};
use crate::kernels::norm::{Affine, BackwardInput, BackwardSums, Moments, Normalise};
use crate::kernels::statistics::{Backward, BatchStatistics, Mean, RunningStatistics, Statistics};

pub(super) fn forward(
    z: &FlexTensor,
    parameters: &NormParameters<FlexTensor>,
    shape: MapShape,
) -> Normed<FlexTensor> {
    let (dims, isa) = (shape.dims(), shape.isa);
    let channels = dims.padded();
    let mut statistics = running_statistics(parameters, channels);
    let weight = padded(&parameters.weight, channels, 0.0);
    let z = values(z);
    let mut means = vec![0.0; shape.images * channels];
    let mut squares = means.clone();
    let sums = [&mut means[..], &mut squares];
    each_block_of_two(sums, channels, |images, [means, squares]| {
        Moments {
            lanes: dims.lanes,
            pixels: dims.pixels(),
            z: part(&z, &images, dims.image()),
            means,
            squares,
        }
        .run_on(isa);
    });
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
    let y = normalise(&z, &statistics, parameters, shape);
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
fn running_statistics(parameters: &NormParameters<FlexTensor>, channels: usize) -> Statistics {
    let mean = padded(&parameters.running_mean, channels, 0.0);
    Statistics::new(mean, padded(&parameters.running_var, channels, 1.0))
}

fn normalise(
    z: &[f32],
    statistics: &Statistics,
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
    let (dims, isa) = (shape.dims(), shape.isa);
    let channels = dims.padded();
    let (z, bias) = (values(z), padded(bias, channels, 0.0));
    let zeros = vec![0.0; channels];
    let mut statistics = Statistics::new(zeros.clone(), zeros);
    statistics.inverse = padded(&saved.inverse, channels, 0.0);
    let (mean, scale) = (values(&saved.mean), values(&saved.scale));
    let affine = Affine {
        mean: &mean,
        scale: &scale,
        bias: &bias,
    };
    let mut dz = owned(dy);
    let mut gradients = vec![0.0; shape.images * channels];
    let mut products = gradients.clone();
    let dy = dz.storage::<f32>();
    let sums = [&mut gradients[..], &mut products];
    each_block_of_two(sums, channels, |images, [gradients, products]| {
        BackwardSums {
            lanes: dims.lanes,
            pixels: dims.pixels(),
            affine,
            z: part(&z, &images, dims.image()),
            dy: part(dy, &images, dims.image()),
            gradients,
            products,
        }
        .run_on(isa);
    });
    let mut totals = [vec![0.0; channels], vec![0.0; channels]];
    fold(&gradients, &mut totals[0], shape);
    fold(&products, &mut totals[1], shape);
    let [mut dweight, mut dbias] = [vec![0.0; channels], vec![0.0; channels]];
    Backward {
        count: shape.images * dims.pixels(),
        gradients: &totals[0],
        products: &totals[1],
        weight_gradient: &mut dweight,
        bias_gradient: &mut dbias,
        statistics: &mut statistics,
    }
    .run_on(isa);
    each_block(dz.storage_mut(), dims.image(), |images, dy| {
        BackwardInput {
            lanes: dims.lanes,
            pixels: dims.pixels(),
            affine,
            a: &statistics.a,
            b: &statistics.b,
            z: part(&z, &images, dims.image()),
            dy,
        }
        .run_on(isa);
    });
    dweight.truncate(dims.channels);
    dbias.truncate(dims.channels);
    let per_channel = |values| tensor(values, [dims.channels]);
    [dz, per_channel(dweight), per_channel(dbias)]
}
