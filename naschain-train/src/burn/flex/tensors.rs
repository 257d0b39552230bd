//! Buffers of the flex backend as slices, and loops over the blocks of a batch.

use std::borrow::Cow;
use std::ops::Range;

use burn::backend::flex::{FlexTensor, Layout};
use burn::tensor::{Bytes, DType, Shape};
use rayon::prelude::*;

use super::super::recycle;
use crate::Isa;
use crate::kernels::fold::Accumulate;
use crate::kernels::{BLOCK, chunk};

/// A tensor's values, copied only if it is a view that is not contiguous.
pub(super) fn values(tensor: &FlexTensor) -> Cow<'_, [f32]> {
    match tensor.as_slice::<f32>() {
        Some(values) => Cow::Borrowed(values),
        None => Cow::Owned(tensor.to_contiguous().storage::<f32>().to_vec()),
    }
}

/// A tensor with memory of its own that covers exactly its elements: copied only if others share
/// it or it is a view.
pub(super) fn owned(tensor: FlexTensor) -> FlexTensor {
    tensor.to_contiguous()
}

/// A new tensor of arbitrary values.
pub(super) fn fresh<const D: usize>(shape: [usize; D]) -> FlexTensor {
    let bytes = recycle::bytes(shape.iter().product());
    let layout = Layout::contiguous(Shape::from(shape));
    FlexTensor::new(bytes, layout, DType::F32)
}

/// A new tensor of `values`.
pub(super) fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> FlexTensor {
    let layout = Layout::contiguous(Shape::from(shape));
    FlexTensor::new(Bytes::from_elems(values), layout, DType::F32)
}

/// Calls `work` for each block of [`BLOCK`] images with the block's part of `out`, which has `image`
/// elements per image; in parallel if there are several threads.
pub(super) fn each_block(
    out: &mut [f32],
    image: usize,
    work: impl Fn(Range<usize>, &mut [f32]) + Sync,
) {
    let images = out.len() / image;
    each_block_of(images, [(out, BLOCK * image)], |images, [out]| {
        work(images, out);
    });
}

/// As [`each_block`], for several results, each with its number of elements per block. An empty
/// result stays empty.
pub(super) fn each_block_of<const N: usize>(
    images: usize,
    outs: [(&mut [f32], usize); N],
    work: impl Fn(Range<usize>, [&mut [f32]; N]) + Sync,
) {
    let mut rest = outs;
    let blocks = (0..images).step_by(BLOCK).map(|first| {
        let parts = rest.each_mut().map(|(all, block)| {
            let taken = std::mem::take(all);
            let (part, after) = taken.split_at_mut(taken.len().min(*block));
            *all = after;
            part
        });
        (first..images.min(first + BLOCK), parts)
    });
    match rayon::current_num_threads() {
        1 => blocks.for_each(|(images, parts)| work(images, parts)),
        _ => {
            let blocks: Vec<_> = blocks.collect();
            let blocks = blocks.into_par_iter();
            blocks.for_each(|(images, parts)| work(images, parts));
        }
    }
}

/// The gradient of a weight of `numbers` packed elements: `work` sums over the chunks of one block
/// of images, and the blocks' sums are folded in their order.
pub(super) fn sum_over_blocks(
    images: usize,
    numbers: usize,
    isa: Isa,
    work: impl Fn(Range<usize>, &mut [f32]) + Sync,
) -> Vec<f32> {
    sum_over_blocks_into((&mut [], 0), images, numbers, isa, |images, _, sum| {
        work(images, sum);
    })
}

/// The same, where `work` also fills the block's part of `out`, which has `image` elements per
/// image, or is empty.
pub(super) fn sum_over_blocks_into(
    (out, image): (&mut [f32], usize),
    images: usize,
    numbers: usize,
    isa: Isa,
    work: impl Fn(Range<usize>, &mut [f32], &mut [f32]) + Sync,
) -> Vec<f32> {
    let mut parts = vec![0.0; images.div_ceil(BLOCK) * numbers];
    let outs = [(out, BLOCK * image), (&mut parts[..], numbers)];
    each_block_of(images, outs, |images, [out, part]| work(images, out, part));
    let (sum, rest) = parts.split_at_mut(numbers);
    for from in rest.chunks(numbers) {
        let add = true;
        Accumulate { from, to: sum, add }.run_on(isa);
    }
    parts.truncate(numbers);
    parts
}

/// The chunks of a block of images of `pixels` pixels.
pub(super) fn chunks(images: Range<usize>, pixels: usize) -> impl Iterator<Item = Range<usize>> {
    let step = chunk(pixels).min(BLOCK);
    let end = images.end;
    images
        .step_by(step)
        .map(move |first| first..(first + step).min(end))
}

/// The elements of some images.
pub(super) fn part<'a>(all: &'a [f32], images: &Range<usize>, image: usize) -> &'a [f32] {
    &all[images.start * image..images.end * image]
}

/// One value per channel, padded to whole blocks.
pub(super) fn padded(tensor: &FlexTensor, numbers: usize, padding: f32) -> Vec<f32> {
    let mut values = values(tensor).into_owned();
    values.resize(numbers, padding);
    values
}
