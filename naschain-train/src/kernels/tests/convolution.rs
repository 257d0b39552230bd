//! Convolutions and their gradients.

use super::super::BLOCK;
use super::super::conv1::{Conv1, Sizes1};
use super::super::conv1_weights::Conv1Weights;
use super::super::conv3::{Conv3, Sizes3};
use super::super::conv3_weights::Conv3Weights;
use super::super::layout::{
    Transposed, flipped, from_blocks, into_blocks, pack1, pack3, unpack1, unpack3,
};
use super::super::reference::{self, TensorShape};
use super::super::simd::Isa;
use super::{assert_bits, each_chunk, every_isa, numbers, shape};

/// A 3x3 convolution and what the tests know of it. Maps are in the layout of the reference; those
/// named `blocks` and `packed` are in that of the kernels.
struct Case3 {
    what: String,
    isa: Isa,
    shape: TensorShape,
    to: TensorShape,
    padding: usize,
    lanes: usize,
    sizes: Sizes3,
    x: Vec<f32>,
    x_blocks: Vec<f32>,
    weights: Vec<f32>,
    packed: Vec<f32>,
    dz: Vec<f32>,
    dz_blocks: Vec<f32>,
}

impl Case3 {
    fn new(isa: Isa, shape: TensorShape, out: usize, padding: usize) -> Case3 {
        let to = shape.convolved(out, padding);
        let x = numbers(shape.len(), 1);
        let weights = numbers(out * shape.channels * 9, 2);
        let dz = numbers(to.len(), 3);
        let lanes = isa.lanes(out);
        let in_lanes = if padding == 1 { lanes } else { 1 };
        Case3 {
            what: format!("{isa:?} {shape:?} to {out}, padding {padding}"),
            isa,
            shape,
            to,
            padding,
            lanes,
            sizes: Sizes3 {
                images: shape.images,
                height: shape.height,
                width: shape.width,
                padding,
                in_channels: shape.channels,
                in_lanes,
                out_channels: out,
                out_lanes: lanes,
            },
            x_blocks: into_blocks(&x, shape.channels, shape.pixels(), in_lanes),
            packed: pack3(&weights, shape.channels, lanes),
            dz_blocks: into_blocks(&dz, out, to.pixels(), lanes),
            x,
            weights,
            dz,
        }
    }

    /// Compares a map of the output's shape, in blocks, with one of the reference.
    fn assert_map(&self, blocks: &[f32], right: &[f32]) {
        let (out, pixels) = (self.to.channels, self.to.pixels());
        let found = from_blocks(blocks, out, pixels, self.lanes);
        assert_bits(&found, right, &self.what);
    }

    fn check_output(&self) {
        let mut z = vec![f32::NAN; self.shape.images * self.sizes.out_image()];
        let conv = |z: &mut [f32], add| {
            Conv3 {
                sizes: self.sizes,
                x: &self.x_blocks,
                weights: &self.packed,
                out: z,
                add,
            }
            .run_on(self.isa);
        };
        conv(&mut z, false);
        let (shape, out) = (self.shape, self.to.channels);
        let right = reference::conv3(&self.x, shape, &self.weights, out, self.padding);
        self.assert_map(&z, &right);
        conv(&mut z, true);
        let doubled: Vec<f32> = right.iter().map(|z| z + z).collect();
        self.assert_map(&z, &doubled);
    }

    fn check_weight_gradient(&self) {
        let (shape, sizes, out) = (self.shape, self.sizes, self.to.channels);
        let mut total = vec![0.0; self.packed.len()];
        let mut block = vec![f32::NAN; self.packed.len()];
        let mut room = vec![f32::NAN; sizes.block_weights()];
        for first in (0..shape.images).step_by(BLOCK) {
            let images = (shape.images - first).min(BLOCK);
            each_chunk(images, self.to.pixels(), |chunk, add| {
                Conv3Weights {
                    sizes: Sizes3 {
                        images: chunk.len(),
                        ..sizes
                    },
                    x: &self.x_blocks[(first + chunk.start) * sizes.in_image()..],
                    dz: &self.dz_blocks[(first + chunk.start) * sizes.out_image()..],
                    gradient: &mut block,
                    sums: &mut room,
                    add,
                }
                .run_on(self.isa);
            });
            let folded = total.iter_mut().zip(&block);
            folded.for_each(|(t, b)| *t = if first == 0 { *b } else { *t + *b });
        }
        let right = reference::conv3_weights(&self.x, shape, &self.dz, out, self.padding);
        let found = unpack3(&total, shape.channels, out, self.lanes);
        assert_bits(&found, &right, &self.what);
    }

    /// For as many output as input channels.
    fn check_input_gradient(&self) {
        let (out, lanes) = (self.to.channels, self.lanes);
        let mut back = vec![0.0; self.packed.len()];
        flipped(&self.packed, out, lanes, &mut back);
        let mut dx = vec![f32::NAN; self.shape.images * self.sizes.in_image()];
        Conv3 {
            sizes: self.sizes,
            x: &self.dz_blocks,
            weights: &back,
            out: &mut dx,
            add: false,
        }
        .run_on(self.isa);
        let weights = weights_of(&self.packed, out, lanes);
        let right = reference::conv3_input(&self.dz, self.to, &weights, out);
        self.assert_map(&dx, &right);
    }
}

pub(super) fn check_conv3(isa: Isa, shape: TensorShape, out: usize, padding: usize) {
    let case = Case3::new(isa, shape, out, padding);
    case.check_output();
    case.check_weight_gradient();
    if padding == 1 && shape.channels == out {
        case.check_input_gradient();
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

/// A 1x1 convolution of several maps, as [`Case3`].
struct Case1 {
    what: String,
    isa: Isa,
    shape: TensorShape,
    sizes: Sizes1,
    read: Vec<Vec<f32>>,
    blocks: Vec<Vec<f32>>,
    weights: Vec<f32>,
    packed: Vec<f32>,
    dz: Vec<f32>,
    dz_blocks: Vec<f32>,
}

impl Case1 {
    fn new(isa: Isa, shape: TensorShape, maps: usize, out: usize) -> Case1 {
        let inputs = shape.channels;
        let read: Vec<Vec<f32>> = (0..maps).map(|m| numbers(shape.len(), m as u64)).collect();
        let weights = numbers(out * maps * inputs, 20);
        let (in_lanes, lanes) = (isa.lanes(inputs), isa.lanes(out));
        let to_blocks = |map: &Vec<f32>| into_blocks(map, inputs, shape.pixels(), in_lanes);
        let dz = numbers(shape.images * out * shape.pixels(), 21);
        Case1 {
            what: format!("{isa:?} {maps} × {shape:?} to {out}"),
            isa,
            shape,
            sizes: Sizes1 {
                images: shape.images,
                pixels: shape.pixels(),
                maps,
                in_channels: inputs,
                in_lanes,
                out_channels: out,
                out_lanes: lanes,
            },
            blocks: read.iter().map(to_blocks).collect(),
            packed: pack1(&weights, maps * inputs, lanes),
            dz_blocks: into_blocks(&dz, out, shape.pixels(), lanes),
            read,
            weights,
            dz,
        }
    }

    fn check_output(&self) {
        let sizes = self.sizes;
        let slices: Vec<&[f32]> = self.blocks.iter().map(Vec::as_slice).collect();
        let mut z = vec![f32::NAN; sizes.images * sizes.out_image()];
        Conv1 {
            sizes,
            maps: &slices,
            weights: &self.packed,
            out: &mut z,
            add: false,
        }
        .run_on(self.isa);
        let right = reference::conv1(&self.read, self.shape, &self.weights, sizes.out_channels);
        let found = from_blocks(&z, sizes.out_channels, sizes.pixels, sizes.out_lanes);
        assert_bits(&found, &right, &self.what);
    }

    fn check_weight_gradient(&self) {
        let sizes = self.sizes;
        let mut gradient = vec![f32::NAN; self.packed.len()];
        assert!(sizes.images <= BLOCK);
        for (map, x) in self.blocks.iter().enumerate() {
            each_chunk(sizes.images, sizes.pixels, |chunk, add| {
                Conv1Weights {
                    sizes: Sizes1 {
                        images: chunk.len(),
                        ..sizes
                    },
                    map,
                    x: &x[chunk.start * sizes.in_image()..],
                    dz: &self.dz_blocks[chunk.start * sizes.out_image()..],
                    gradient: &mut gradient,
                    add,
                }
                .run_on(self.isa);
            });
        }
        let out = sizes.out_channels;
        let right = reference::conv1_weights(&self.read, self.shape, &self.dz, out);
        let inputs = sizes.maps * sizes.in_channels;
        let found = unpack1(&gradient, inputs, out, sizes.out_lanes);
        assert_bits(&found, &right, &self.what);
    }

    /// The gradient of the last map is added to what its buffer holds.
    fn check_input_gradient(&self) {
        let sizes = self.sizes;
        let (maps, inputs, out) = (sizes.maps, sizes.in_channels, sizes.out_channels);
        let transposed = Transposed {
            inputs,
            in_lanes: sizes.in_lanes,
            outputs: out,
            out_lanes: sizes.out_lanes,
            maps,
        };
        let mut back = vec![0.0; transposed.len()];
        transposed.fill(&self.packed, maps - 1, &mut back);
        let mut dx = vec![0.5; sizes.images * sizes.in_image()];
        Conv1 {
            sizes: Sizes1 {
                maps: 1,
                in_channels: out,
                in_lanes: sizes.out_lanes,
                out_channels: inputs,
                out_lanes: sizes.in_lanes,
                ..sizes
            },
            maps: &[&self.dz_blocks],
            weights: &back,
            out: &mut dx,
            add: true,
        }
        .run_on(self.isa);
        let to = TensorShape {
            channels: out,
            ..self.shape
        };
        let last = [maps - 1, maps];
        let right = reference::conv1_input(&self.dz, to, &self.weights, inputs, last);
        let right: Vec<f32> = right.iter().map(|sum| 0.5 + sum).collect();
        let found = from_blocks(&dx, inputs, sizes.pixels, sizes.in_lanes);
        assert_bits(&found, &right, &self.what);
    }
}

pub(super) fn check_conv1(isa: Isa, shape: TensorShape, maps: usize, out: usize) {
    let case = Case1::new(isa, shape, maps, out);
    case.check_output();
    case.check_weight_gradient();
    case.check_input_gradient();
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
