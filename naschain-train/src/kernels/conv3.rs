//! 3×3 convolution. The gradient with respect to its input is the same operation with the weights
//! of [`super::layout::flipped`].
//!
//! Lanes are output channels. A tile holds in registers the sums of `P` adjacent pixels of one row
//! in `R` images; each input value is broadcast to all lanes once and used for the three taps of a
//! row. Every sum runs over kernel row, input channel, kernel column.

use super::conv3_tile::Conv3Tile;
use super::simd::{Isa, Kernel, Vector};

/// Dimensions of a 3×3 convolution.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes3 {
    pub(crate) images: usize,
    /// Rows of the input; the output has `2 - 2 · padding` fewer.
    pub(crate) height: usize,
    /// Columns of the input.
    pub(crate) width: usize,
    /// 0 or 1.
    pub(crate) padding: usize,
    pub(crate) in_channels: usize,
    /// Lanes of the input: 1 (planar), or those of the output.
    pub(crate) in_lanes: usize,
    pub(crate) out_channels: usize,
    pub(crate) out_lanes: usize,
}

impl Sizes3 {
    pub(crate) fn out_height(&self) -> usize {
        self.height + 2 * self.padding - 2
    }

    pub(crate) fn out_width(&self) -> usize {
        self.width + 2 * self.padding - 2
    }

    pub(crate) fn in_blocks(&self) -> usize {
        self.in_channels.div_ceil(self.in_lanes)
    }

    pub(crate) fn out_blocks(&self) -> usize {
        self.out_channels.div_ceil(self.out_lanes)
    }

    /// Elements per image of the input.
    pub(crate) fn in_image(&self) -> usize {
        self.in_blocks() * self.height * self.width * self.in_lanes
    }

    /// Elements per image of the output.
    pub(crate) fn out_image(&self) -> usize {
        self.out_blocks() * self.out_height() * self.out_width() * self.out_lanes
    }

    /// Weights of one block of output channels.
    pub(crate) fn block_weights(&self) -> usize {
        9 * self.in_channels * self.out_lanes
    }

    pub(crate) fn check(&self, x: usize, weights: usize, out: usize) {
        assert!(self.padding <= 1 && self.height + 2 * self.padding > 2);
        assert!(self.width + 2 * self.padding > 2 && self.in_channels > 0);
        // Only the pixels are planar, and they are read without padding.
        assert!(self.in_lanes == if self.padding == 0 { 1 } else { self.out_lanes });
        assert!(x >= self.images * self.in_image());
        assert!(weights >= self.out_blocks() * self.block_weights());
        assert!(out >= self.images * self.out_image());
    }
}

/// `out = conv(x, weights)`, or `out += conv(x, weights)`.
pub(crate) struct Conv3<'a> {
    pub(crate) sizes: Sizes3,
    /// `[image][block][row][column][lane]`
    pub(crate) x: &'a [f32],
    /// `[block][kernel row][in channel][kernel column][lane]`
    pub(crate) weights: &'a [f32],
    /// As `x`.
    pub(crate) out: &'a mut [f32],
    pub(crate) add: bool,
}

impl Conv3<'_> {
    pub(crate) fn run_on(self, isa: Isa) {
        isa.run(self.sizes.out_lanes, self);
    }
}

impl Kernel for Conv3<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let sizes = self.sizes;
        sizes.check(self.x.len(), self.weights.len(), self.out.len());
        assert_eq!(sizes.out_lanes, V::LANES);
        let (rows, columns) = (sizes.out_height(), sizes.out_width());
        let at_once = match sizes.padding {
            0 => 1,
            _ => images_at_once(columns),
        };
        for block in 0..sizes.out_blocks() {
            let weights = &self.weights[block * sizes.block_weights()..];
            let mut image = 0;
            while image < sizes.images {
                let images = if image + at_once <= sizes.images {
                    at_once
                } else {
                    1
                };
                let x = &self.x[image * sizes.in_image()..];
                let out = image * sizes.out_image() + block * rows * columns * V::LANES;
                let out = &mut self.out[out..];
                for row in 0..rows {
                    let output_row = OutputRow {
                        sizes: &sizes,
                        row,
                        images,
                        add: self.add,
                    };
                    output_row.run::<V>(x, weights, out);
                }
                image += images;
            }
        }
    }
}

/// A tile spans several images if rows are narrow, so that there are enough independent sums to
/// hide the latency of an FMA.
fn images_at_once(columns: usize) -> usize {
    match columns {
        1 => 8,
        2..=3 => 4,
        4..=5 => 2,
        _ => 1,
    }
}

/// One row of the output in one or more images.
struct OutputRow<'a> {
    sizes: &'a Sizes3,
    row: usize,
    images: usize,
    add: bool,
}

impl OutputRow<'_> {
    #[inline(always)]
    fn run<V: Vector>(&self, x: &[f32], weights: &[f32], out: &mut [f32]) {
        let sizes = self.sizes;
        let columns = sizes.out_width();
        // Kernel rows inside the image.
        let first = sizes.padding.saturating_sub(self.row);
        let end = (sizes.height + sizes.padding - self.row).min(3);
        let in_row = sizes.width * sizes.in_lanes;
        let top = (self.row + first - sizes.padding) * in_row;
        let widest = if V::REGISTERS > 16 { 15 } else { 12 };
        let tiles = columns.div_ceil(widest);
        let mut column = 0;
        for tile in 0..tiles {
            let width = (columns - column) / (tiles - tile);
            let last = column + width == columns;
            // The first pixel's left neighbour is outside the image and is not read.
            let left =
                top as isize + (column as isize - sizes.padding as isize) * sizes.in_lanes as isize;
            let at = Conv3Tile {
                x: x.as_ptr().wrapping_offset(left),
                row_step: in_row,
                block_step: sizes.height * in_row,
                image_step: sizes.in_image(),
                kernel_rows: end - first,
                channels: sizes.in_channels,
                weights: weights[first * 3 * sizes.in_channels * V::LANES..].as_ptr(),
                out: out[(self.row * columns + column) * V::LANES..].as_mut_ptr(),
                out_image_step: sizes.out_image(),
                add: self.add,
            };
            match (sizes.padding, column == 0, last) {
                (0, _, _) => at.sized::<V, 1, false, false, true>(width),
                (_, true, true) => match self.images {
                    8 => at.enter::<V, 8, 1, true, true, false>(),
                    4 => at.four::<V>(width),
                    2 => at.two::<V>(width),
                    _ => at.sized::<V, 1, true, true, false>(width),
                },
                (_, true, false) => at.sized::<V, 1, true, false, false>(width),
                (_, false, true) => at.sized::<V, 1, false, true, false>(width),
                (_, false, false) => at.sized::<V, 1, false, false, false>(width),
            }
            column += width;
        }
    }
}
