//! 3×3 convolutions.

use burn::backend::flex::FlexTensor;

use super::super::ops::Conv3Shape;
use super::tensors::{chunks, each_block, fresh, owned, part, sum_over_blocks, tensor, values};
use crate::kernels::conv3::Conv3;
use crate::kernels::conv3_weights::Conv3Weights;
use crate::kernels::layout::{flip3, pack3, unpack3};

pub(super) fn conv3(x: &FlexTensor, weight: &FlexTensor, shape: Conv3Shape) -> FlexTensor {
    let (dims, isa) = (shape.to.dims(), shape.to.isa);
    let (x, weights) = (
        values(x),
        pack3(&values(weight), shape.inputs(), dims.lanes),
    );
    let mut out = fresh(shape.to.tensor());
    each_block(out.storage_mut(), dims.image(), |images, out| {
        let sizes = shape.sizes(images.len());
        Conv3 {
            sizes,
            x: part(&x, &images, sizes.in_image()),
            weights: &weights,
            out,
            add: false,
        }
        .run_on(isa);
    });
    out
}

pub(super) fn input(
    dz: &FlexTensor,
    weight: &FlexTensor,
    shape: Conv3Shape,
    sum: Option<FlexTensor>,
) -> FlexTensor {
    let (dims, isa) = (shape.to.dims(), shape.to.isa);
    let weights = flip3(&values(weight), dims.channels, dims.lanes);
    let (dz, add) = (values(dz), sum.is_some());
    let mut out = sum.map_or_else(|| fresh(shape.to.tensor()), owned);
    each_block(out.storage_mut(), dims.image(), |images, out| {
        Conv3 {
            sizes: dims.conv3(images.len()),
            x: part(&dz, &images, dims.image()),
            weights: &weights,
            out,
            add,
        }
        .run_on(isa);
    });
    out
}

pub(super) fn weight(x: &FlexTensor, dz: &FlexTensor, shape: Conv3Shape) -> FlexTensor {
    let (dims, isa) = (shape.to.dims(), shape.to.isa);
    let (x, dz) = (values(x), values(dz));
    let numbers = dims.padded() * 9 * shape.inputs();
    let gradient = sum_over_blocks(shape.to.images, numbers, isa, |images, gradient| {
        let mut sums = vec![0.0; 9 * shape.inputs() * dims.lanes];
        let first = images.start;
        for images in chunks(images, dims.pixels()) {
            let sizes = shape.sizes(images.len());
            Conv3Weights {
                sizes,
                x: part(&x, &images, sizes.in_image()),
                dz: part(&dz, &images, dims.image()),
                gradient,
                sums: &mut sums,
                add: images.start > first,
            }
            .run_on(isa);
        }
    });
    let gradient = unpack3(&gradient, shape.inputs(), dims.channels, dims.lanes);
    tensor(gradient, [dims.channels, shape.inputs(), 3, 3])
}
