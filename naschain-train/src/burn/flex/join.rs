//! 1×1 convolutions of one or several maps, with drop-path.

use std::ops::Range;

use burn::backend::flex::FlexTensor;

use super::super::ops::{Conv1Shape, Factors};
use super::tensors::{chunks, each_block, fresh, owned, part, sum_over_blocks, tensor, values};
use crate::kernels::conv1::Conv1;
use crate::kernels::conv1_weights::Conv1Weights;
use crate::kernels::fold::Scale;
use crate::kernels::layout::{Transposed, pack1, unpack1};

pub(super) fn conv1(
    maps: &[FlexTensor],
    factors: &[Factors],
    weight: &FlexTensor,
    shape: Conv1Shape,
) -> FlexTensor {
    let (dims, isa) = (shape.to.dims(), shape.to.isa);
    let weights = pack1(&values(weight), shape.maps * shape.inputs, dims.lanes);
    let maps: Vec<_> = maps.iter().map(values).collect();
    let mut out = fresh(shape.to.tensor());
    each_block(out.storage_mut(), dims.image(), |block, out| {
        let mut scaled = vec![Vec::new(); maps.len()];
        for images in chunks(block.clone(), dims.pixels()) {
            let sizes = shape.sizes(images.len());
            let maps = maps.iter().zip(factors).zip(&mut scaled);
            let read = maps.map(|((map, factors), to)| {
                let map = part(map, &images, sizes.in_image());
                dropped(map, factors, &images, to, shape)
            });
            let read: Vec<&[f32]> = read.collect();
            let within = images.start - block.start..images.end - block.start;
            Conv1 {
                sizes,
                maps: &read,
                weights: &weights,
                out: &mut out[within.start * dims.image()..within.end * dims.image()],
                add: false,
            }
            .run_on(isa);
        }
    });
    out
}

/// Some images of a map: unchanged, or multiplied by drop-path's factors into `to`.
fn dropped<'a>(
    map: &'a [f32],
    factors: &Factors,
    images: &Range<usize>,
    to: &'a mut Vec<f32>,
    shape: Conv1Shape,
) -> &'a [f32] {
    let Some(factors) = factors else { return map };
    to.resize(map.len(), 0.0);
    Scale {
        factors: &factors[images.clone()],
        from: map,
        to,
        add: false,
    }
    .run_on(shape.to.isa);
    to
}

pub(super) fn input(
    dz: &FlexTensor,
    weight: &FlexTensor,
    map: usize,
    factors: &Factors,
    shape: Conv1Shape,
    sum: Option<FlexTensor>,
) -> FlexTensor {
    let (from, to, isa) = (shape.from().dims(), shape.to.dims(), shape.to.isa);
    let transposed = Transposed {
        inputs: shape.inputs,
        in_lanes: from.lanes,
        outputs: to.channels,
        out_lanes: to.lanes,
        maps: shape.maps,
    };
    let weights = transposed.of_rows(&values(weight), map);
    let (dz, add) = (values(dz), sum.is_some());
    let mut out = sum.map_or_else(|| fresh(shape.from().tensor()), owned);
    each_block(out.storage_mut(), from.image(), |block, out| {
        let mut scaled = Vec::new();
        for images in chunks(block.clone(), from.pixels()) {
            let within = images.start - block.start..images.end - block.start;
            let out = &mut out[within.start * from.image()..within.end * from.image()];
            scaled.resize(if factors.is_some() { out.len() } else { 0 }, 0.0);
            let (result, add_result) = match factors {
                Some(_) => (&mut scaled[..], false),
                None => (&mut *out, add),
            };
            Conv1 {
                sizes: shape.back(images.len()),
                maps: &[part(&dz, &images, to.image())],
                weights: &weights,
                out: result,
                add: add_result,
            }
            .run_on(isa);
            if let Some(factors) = factors {
                Scale {
                    factors: &factors[images],
                    from: &scaled,
                    to: out,
                    add,
                }
                .run_on(isa);
            }
        }
    });
    out
}

pub(super) fn weight(
    maps: &[FlexTensor],
    factors: &[Factors],
    dz: &FlexTensor,
    shape: Conv1Shape,
) -> FlexTensor {
    let (dims, isa) = (shape.to.dims(), shape.to.isa);
    let maps: Vec<_> = maps.iter().map(values).collect();
    let dz = values(dz);
    let inputs = shape.maps * shape.inputs;
    let numbers = dims.padded() * inputs;
    let gradient = sum_over_blocks(shape.to.images, numbers, isa, |block, gradient| {
        let mut scaled = Vec::new();
        for images in chunks(block.clone(), dims.pixels()) {
            let sizes = shape.sizes(images.len());
            for (map, (x, factors)) in maps.iter().zip(factors).enumerate() {
                let x = part(x, &images, sizes.in_image());
                Conv1Weights {
                    sizes,
                    map,
                    x: dropped(x, factors, &images, &mut scaled, shape),
                    dz: part(&dz, &images, dims.image()),
                    gradient,
                    add: images.start > block.start,
                }
                .run_on(isa);
            }
        }
    });
    let gradient = unpack1(&gradient, inputs, dims.channels, dims.lanes);
    tensor(gradient, [dims.channels, inputs, 1, 1])
}
