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
    let range = |block: usize, out: &[f32]| {
        let first = block * BLOCK;
        first..first + out.len() / image
    };
    match rayon::current_num_threads() {
        1 => {
            for (block, out) in out.chunks_mut(BLOCK * image).enumerate() {
                work(range(block, out), out);
            }
        }
        _ => {
            let blocks = out.par_chunks_mut(BLOCK * image).enumerate();
            blocks.for_each(|(block, out)| work(range(block, out), out));
        }
    }
}

/// As [`each_block`], for two results.
pub(super) fn each_block_of_two(
    outs: [&mut [f32]; 2],
    image: usize,
    work: impl Fn(Range<usize>, [&mut [f32]; 2]) + Sync,
) {
    let [a, b] = outs;
    let range = |block: usize, out: &[f32]| {
        let first = block * BLOCK;
        first..first + out.len() / image
    };
    let blocks = a.par_chunks_mut(BLOCK * image);
    let blocks = blocks.zip(b.par_chunks_mut(BLOCK * image)).enumerate();
    match rayon::current_num_threads() {
        1 => {
            let blocks = a.chunks_mut(BLOCK * image).zip(b.chunks_mut(BLOCK * image));
            for (block, (a, b)) in blocks.enumerate() {
                work(range(block, a), [a, b]);
            }
        }
        _ => blocks.for_each(|(block, (a, b))| work(range(block, a), [a, b])),
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
    let blocks = images.div_ceil(BLOCK);
    let mut parts = vec![0.0; blocks * numbers];
    let range = |block: usize| block * BLOCK..images.min((block + 1) * BLOCK);
    match rayon::current_num_threads() {
        1 => {
            for (block, part) in parts.chunks_mut(numbers).enumerate() {
                work(range(block), part);
            }
        }
        _ => {
            let parts = parts.par_chunks_mut(numbers).enumerate();
            parts.for_each(|(block, part)| work(range(block), part));
        }
    }
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
