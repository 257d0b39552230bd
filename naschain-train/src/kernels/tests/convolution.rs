//! Convolutions and their gradients.

use super::super::BLOCK;
use super::super::conv1::{Conv1, Sizes1};
use super::super::conv1_weights::Conv1Weights;
use super::super::conv3::{Conv3, Sizes3};
use super::super::conv3_weights::Conv3Weights;
use super::super::layout::{
    Transposed, flipped, from_blocks, into_blocks, pack1, pack3, unpack1, unpack3,
};
use super::super::reference::{self, Shape};
use super::super::simd::Isa;
use super::{assert_bits, each_chunk, every_isa, numbers, shape};

pub(super) fn check_conv3(isa: Isa, shape: Shape, out: usize, padding: usize) {
    let what = format!("{isa:?} {shape:?} to {out}, padding {padding}");
    let to = shape.convolved(out, padding);
    let x = numbers(shape.len(), 1);
    let weights = numbers(out * shape.channels * 9, 2);
    let dz = numbers(to.len(), 3);
    let lanes = isa.lanes(out);
    let in_lanes = if padding == 1 { lanes } else { 1 };
    let sizes = Sizes3 {
        images: shape.images,
        height: shape.height,
        width: shape.width,
        padding,
        in_channels: shape.channels,
        in_lanes,
        out_channels: out,
        out_lanes: lanes,
    };
    let packed = pack3(&weights, shape.channels, lanes);
    let x_blocks = into_blocks(&x, shape.channels, shape.pixels(), in_lanes);
    let mut z = vec![f32::NAN; shape.images * sizes.out_image()];
    let conv = |z: &mut [f32], add| {
        let (x, weights, out) = (&x_blocks, &packed, z);
        Conv3 {
            sizes,
            x,
            weights,
            out,
            add,
        }
        .run_on(isa);
    };
    conv(&mut z, false);
    let right = reference::conv3(&x, shape, &weights, out, padding);
    assert_bits(&from_blocks(&z, out, to.pixels(), lanes), &right, &what);
    conv(&mut z, true);
    let doubled: Vec<f32> = right.iter().map(|z| z + z).collect();
    assert_bits(&from_blocks(&z, out, to.pixels(), lanes), &doubled, &what);

    let dz_blocks = into_blocks(&dz, out, to.pixels(), lanes);
    let right = reference::conv3_weights(&x, shape, &dz, out, padding);
    let mut total = vec![0.0; packed.len()];
    let mut block = vec![f32::NAN; packed.len()];
    let mut room = vec![f32::NAN; sizes.block_weights()];
    for first in (0..shape.images).step_by(BLOCK) {
        let images = (shape.images - first).min(BLOCK);
        each_chunk(images, to.pixels(), |chunk, add| {
            Conv3Weights {
                sizes: Sizes3 {
                    images: chunk.len(),
                    ..sizes
                },
                x: &x_blocks[(first + chunk.start) * sizes.in_image()..],
                dz: &dz_blocks[(first + chunk.start) * sizes.out_image()..],
                gradient: &mut block,
                sums: &mut room,
                add,
            }
            .run_on(isa);
        });
        let folded = total.iter_mut().zip(&block);
        folded.for_each(|(t, b)| *t = if first == 0 { *b } else { *t + *b });
    }
    assert_bits(&unpack3(&total, shape.channels, out, lanes), &right, &what);

    if padding == 1 && shape.channels == out {
        let mut back = vec![0.0; packed.len()];
        flipped(&packed, out, lanes, &mut back);
        let mut dx = vec![f32::NAN; shape.images * sizes.in_image()];
        let (x, weights, out_to) = (&dz_blocks, &back, &mut dx);
        Conv3 {
            sizes,
            x,
            weights,
            out: out_to,
            add: false,
        }
        .run_on(isa);
        let right = reference::conv3_input(&dz, to, &weights_of(&packed, out, lanes), out);
        assert_bits(&from_blocks(&dx, out, to.pixels(), lanes), &right, &what);
    }
}

fn weights_of(packed: &[f32], channels: usize, lanes: usize) -> Vec<f32> {
    unpack3(packed, channels, channels, lanes)
}

#[test]
fn convolutions_of_3x3_at_the_sizes_of_the_space() {
    for isa in every_isa() {
        for (images, channels, side) in [
            (1, 8, 30),
            (2, 3, 15),
            (3, 16, 7),
            (1, 9, 26),
            (2, 17, 13),
            (5, 24, 6),
            (33, 7, 6),
            (7, 16, 3),
            (35, 1, 3),
            (70, 5, 1),
            (9, 32, 1),
        ] {
            check_conv3(isa, shape(images, channels, side, side), channels, 1);
        }
        for (images, planes, side, out) in
            [(2, 1, 28, 9), (1, 3, 32, 16), (3, 1, 8, 8), (34, 2, 3, 4)]
        {
            check_conv3(isa, shape(images, planes, side, side), out, 0);
        }
        // Every width once, so that all tile sizes occur.
        for width in 1..=64 {
            check_conv3(isa, shape(1, 3, 2, width), 3, 1);
            check_conv3(isa, shape(1, 1, 3, width + 2), 9, 0);
        }
    }
}

#[test]
#[should_panic(expected = "out >= self.images")]
fn a_convolution_of_no_map_checks_its_output() {
    let sizes = Sizes1 {
        images: 1,
        pixels: 4,
        maps: 0,
        in_channels: 8,
        in_lanes: 8,
        out_channels: 8,
        out_lanes: 8,
    };
    Conv1 {
        sizes,
        maps: &[],
        weights: &[],
        out: &mut [0.0; 8],
        add: false,
    }
    .run_on(Isa::Portable);
}

pub(super) fn check_conv1(isa: Isa, shape: Shape, maps: usize, out: usize) {
    let what = format!("{isa:?} {maps} × {shape:?} to {out}");
    let inputs = shape.channels;
    let read: Vec<Vec<f32>> = (0..maps).map(|m| numbers(shape.len(), m as u64)).collect();
    let weights = numbers(out * maps * inputs, 20);
    let (in_lanes, lanes) = (isa.lanes(inputs), isa.lanes(out));
    let sizes = Sizes1 {
        images: shape.images,
        pixels: shape.pixels(),
        maps,
        in_channels: inputs,
        in_lanes,
        out_channels: out,
        out_lanes: lanes,
    };
    let to_blocks = |map: &Vec<f32>| into_blocks(map, inputs, shape.pixels(), in_lanes);
    let blocks: Vec<Vec<f32>> = read.iter().map(to_blocks).collect();
    let slices: Vec<&[f32]> = blocks.iter().map(Vec::as_slice).collect();
    let packed = pack1(&weights, maps * inputs, lanes);
    let mut z = vec![f32::NAN; shape.images * sizes.out_image()];
    Conv1 {
        sizes,
        maps: &slices,
        weights: &packed,
        out: &mut z,
        add: false,
    }
    .run_on(isa);
    let right = reference::conv1(&read, shape, &weights, out);
    assert_bits(&from_blocks(&z, out, shape.pixels(), lanes), &right, &what);

    let dz = numbers(right.len(), 21);
    let dz_blocks = into_blocks(&dz, out, shape.pixels(), lanes);
    let right = reference::conv1_weights(&read, shape, &dz, out);
    let mut gradient = vec![f32::NAN; packed.len()];
    assert!(shape.images <= BLOCK);
    for (map, x) in blocks.iter().enumerate() {
        each_chunk(shape.images, shape.pixels(), |chunk, add| {
            Conv1Weights {
                sizes: Sizes1 {
                    images: chunk.len(),
                    ..sizes
                },
                map,
                x: &x[chunk.start * sizes.in_image()..],
                dz: &dz_blocks[chunk.start * sizes.out_image()..],
                gradient: &mut gradient,
                add,
            }
            .run_on(isa);
        });
    }
    let found = unpack1(&gradient, maps * inputs, out, lanes);
    assert_bits(&found, &right, &what);

    let transposed = Transposed {
        inputs,
        in_lanes,
        outputs: out,
        out_lanes: lanes,
        maps,
    };
    let mut back = vec![0.0; transposed.len()];
    transposed.fill(&packed, maps - 1, &mut back);
    let mut dx = vec![0.5; shape.images * sizes.in_image()];
    Conv1 {
        sizes: Sizes1 {
            maps: 1,
            in_channels: out,
            in_lanes: lanes,
            out_channels: inputs,
            out_lanes: in_lanes,
            ..sizes
        },
        maps: &[&dz_blocks],
        weights: &back,
        out: &mut dx,
        add: true,
    }
    .run_on(isa);
    let dz_shape = Shape {
        channels: out,
        ..shape
    };
    let right = reference::conv1_input(&dz, dz_shape, &weights, inputs, [maps - 1, maps]);
    let right: Vec<f32> = right.iter().map(|sum| 0.5 + sum).collect();
    assert_bits(
        &from_blocks(&dx, inputs, shape.pixels(), in_lanes),
        &right,
        &what,
    );
}

#[test]
fn convolutions_of_1x1_and_linear_layers() {
    for isa in every_isa() {
        for (images, channels, side, maps, out) in [
            (1, 8, 26, 2, 8),
            (2, 16, 13, 3, 16),
            (3, 12, 7, 2, 12),
            (5, 24, 6, 4, 24),
            (32, 5, 3, 2, 5),
            (31, 16, 1, 2, 16),
            (2, 8, 15, 1, 16),
            (3, 12, 6, 1, 24),
            (2, 24, 3, 1, 48),
            (32, 64, 1, 1, 10),
            (9, 1, 1, 1, 3),
        ] {
            check_conv1(isa, shape(images, channels, side, side), maps, out);
        }
        for pixels in 1..=64 {
            check_conv1(isa, shape(2, 3, 1, pixels), 2, 4);
        }
    }
}
