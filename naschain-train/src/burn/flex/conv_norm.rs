//! 3×3 convolution, batch norm and ReLU in one. A chunk of images is convolved and summed while it is
//! in the cache, and the gradient between norm and convolution is never written to a whole map.

use burn::backend::flex::FlexTensor;

use super::super::ops::{Conv3Shape, ConvNormGradients, ConvNormRead, ConvNormed, NormParameters};
use super::norm::{BatchBackward, ImageMoments, finish};
use super::tensors::{
    chunks, each_block_of, fresh, owned, part, sum_over_blocks_into, tensor, values,
};
use crate::kernels::BLOCK;
use crate::kernels::conv3::Conv3;
use crate::kernels::conv3_weights::Conv3Weights;
use crate::kernels::layout::{flip3, pack3, unpack3};

pub(super) fn forward(
    x: &FlexTensor,
    weight: &FlexTensor,
    parameters: &NormParameters<FlexTensor>,
    shape: Conv3Shape,
) -> ConvNormed<FlexTensor> {
    let (to, dims, isa) = (shape.to, shape.to.dims(), shape.to.isa);
    let weights = pack3(&values(weight), shape.inputs(), dims.lanes);
    let x = values(x);
    let mut z = fresh(to.tensor());
    let mut moments = ImageMoments::new(to);
    let [means, squares] = moments.parts();
    let outs = [(z.storage_mut(), BLOCK * dims.image()), means, squares];
    each_block_of(to.images, outs, |block, [z, means, squares]| {
        for images in chunks(block.clone(), dims.pixels()) {
            let within = images.start - block.start..images.end - block.start;
            let z = &mut z[within.start * dims.image()..within.end * dims.image()];
            let sizes = shape.sizes(images.len());
            Conv3 {
                sizes,
                x: part(&x, &images, sizes.in_image()),
                weights: &weights,
                out: &mut *z,
                add: false,
            }
            .run_on(isa);
            let sums = within.start * dims.padded()..within.end * dims.padded();
            let sums = [&mut means[sums.clone()], &mut squares[sums]];
            ImageMoments::compute(z, sums, to);
        }
    });
    let normed = finish(z.storage(), moments, parameters, to);
    ConvNormed { z, normed }
}

/// The gradients, without that of `x` if `input` is false.
pub(super) fn backward(
    dy: &FlexTensor,
    read: &ConvNormRead<FlexTensor>,
    shape: Conv3Shape,
    (input, sum): (bool, Option<FlexTensor>),
) -> ConvNormGradients<FlexTensor> {
    let (to, dims, isa) = (shape.to, shape.to.dims(), shape.to.isa);
    let (x, z, dy) = (values(&read.x), values(&read.z), values(dy));
    let batch = BatchBackward::new(&dy, &z, &read.norm_bias, &read.saved, to);
    let back = flip3(&values(&read.weight), dims.channels, dims.lanes);
    let add_input = sum.is_some();
    let mut dx = input.then(|| sum.map_or_else(|| fresh(to.tensor()), owned));
    let out: &mut [f32] = match &mut dx {
        Some(dx) => dx.storage_mut(),
        None => &mut [],
    };
    let numbers = dims.padded() * 9 * shape.inputs();
    let work = |block: std::ops::Range<usize>, dx: &mut [f32], gradient: &mut [f32]| {
        let mut sums = vec![0.0; 9 * shape.inputs() * dims.lanes];
        let mut dz = Vec::new();
        for images in chunks(block.clone(), dims.pixels()) {
            dz.clear();
            dz.extend_from_slice(part(&dy, &images, dims.image()));
            batch.replace(part(&z, &images, dims.image()), &mut dz);
            let sizes = shape.sizes(images.len());
            Conv3Weights {
                sizes,
                x: part(&x, &images, sizes.in_image()),
                dz: &dz,
                gradient: &mut *gradient,
                sums: &mut sums,
                add: images.start > block.start,
            }
            .run_on(isa);
            if dx.is_empty() {
                continue;
            }
            let within = images.start - block.start..images.end - block.start;
            Conv3 {
                sizes: dims.conv3(images.len()),
                x: &dz,
                weights: &back,
                out: &mut dx[within.start * dims.image()..within.end * dims.image()],
                add: add_input,
            }
            .run_on(isa);
        }
    };
    let gradient = sum_over_blocks_into((out, dims.image()), to.images, numbers, isa, work);
    let gradient = unpack3(&gradient, shape.inputs(), dims.channels, dims.lanes);
    let [norm_weight, norm_bias] = batch.gradients;
    ConvNormGradients {
        x: dx,
        weight: tensor(gradient, [dims.channels, shape.inputs(), 3, 3]),
        norm_weight,
        norm_bias,
    }
}
