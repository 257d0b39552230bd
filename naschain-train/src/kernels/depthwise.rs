//! Depthwise convolution: each channel by itself, with a square kernel and the padding that keeps the
//! resolution. Lanes are channels, so every value of a vector is the sum of one channel.
//!
//! Every sum runs over kernel row, kernel column; taps outside the image are skipped. The gradient with
//! respect to the input is, with stride 1, the same operation with the rotated kernel.

#![allow(unsafe_code)] // tiles read and write unchecked, within bounds that `DepthwiseSizes::check` verified

use std::ops::Range;

use super::simd::{Isa, Kernel, Vector};

/// Pixels whose sums are held in registers: adjacent ones of a row, or the same one of several images.
const TILE: usize = 8;

/// Dimensions of a depthwise convolution.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DepthwiseSizes {
    pub(crate) images: usize,
    pub(crate) channels: usize,
    /// 8 or 16.
    pub(crate) lanes: usize,
    /// Rows and columns of the input.
    pub(crate) height: usize,
    pub(crate) width: usize,
    /// Rows of the kernel: 3, 5 or 7.
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    pub(crate) dilation: usize,
}

impl DepthwiseSizes {
    pub(crate) fn out_height(&self) -> usize {
        (self.height - 1) / self.stride + 1
    }

    pub(crate) fn out_width(&self) -> usize {
        (self.width - 1) / self.stride + 1
    }

    pub(super) fn blocks(&self) -> usize {
        self.channels.div_ceil(self.lanes)
    }

    fn padding(&self) -> usize {
        self.dilation * (self.kernel - 1) / 2
    }

    /// Elements of one plane of the input and of the output.
    pub(super) fn planes(&self) -> [usize; 2] {
        [
            self.height * self.width * self.lanes,
            self.out_height() * self.out_width() * self.lanes,
        ]
    }

    /// Weights of one block of channels.
    pub(super) fn block_weights(&self) -> usize {
        self.kernel * self.kernel * self.lanes
    }

    pub(super) fn check(&self, x: usize, weights: usize, out: usize) {
        let [input, output] = self.planes();
        let blocks = self.blocks();
        assert!(x >= self.images * blocks * input);
        assert!(weights >= blocks * self.block_weights());
        assert!(out >= self.images * blocks * output);
    }

    /// The taps of an output row or column that are inside `size` rows or columns.
    pub(super) fn taps(&self, at: usize, size: usize) -> Range<usize> {
        let (first, padding) = (at * self.stride, self.padding());
        let begin = padding.saturating_sub(first).div_ceil(self.dilation);
        let end = (size + padding - first).div_ceil(self.dilation);
        begin.min(self.kernel)..end.min(self.kernel)
    }

    /// The output columns all of whose taps are inside the image.
    pub(super) fn inner(&self) -> Range<usize> {
        let reach = self.dilation * (self.kernel - 1);
        let begin = self.padding().div_ceil(self.stride);
        // `column * stride - padding + reach` must be below the width.
        let end = (self.width + self.padding()).saturating_sub(reach);
        let end = end.div_ceil(self.stride).min(self.out_width());
        begin.min(end)..end
    }

    /// The row or column of a tap.
    pub(super) fn tap(&self, at: usize, tap: usize) -> usize {
        at * self.stride + tap * self.dilation - self.padding()
    }
}

/// `out = conv(x, weights)`, or `out += conv(x, weights)`.
pub(crate) struct Depthwise<'a> {
    pub(crate) sizes: DepthwiseSizes,
    /// `[image][block][row][column][lane]`
    pub(crate) x: &'a [f32],
    /// `[block][kernel row][kernel column][lane]`
    pub(crate) weights: &'a [f32],
    pub(crate) out: &'a mut [f32],
    /// Whether the kernel is rotated by 180°.
    pub(crate) rotated: bool,
    pub(crate) add: bool,
}

impl Depthwise<'_> {
    pub(crate) fn run_on(self, isa: Isa) {
        isa.run(self.sizes.lanes, self);
    }
}

impl Kernel for Depthwise<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let sizes = self.sizes;
        sizes.check(self.x.len(), self.weights.len(), self.out.len());
        assert_eq!(sizes.lanes, V::LANES);
        let (inner, blocks, width) = (sizes.inner(), sizes.blocks(), sizes.out_width());
        let tiled = inner.start..inner.start + inner.len() / TILE * TILE;
        let [input, output] = sizes.planes();
        let out = self.out.as_mut_ptr();
        let tile = |plane: usize, [row, column]: [usize; 2], steps| DepthwiseTile {
            sizes: &sizes,
            x: self.x[plane * input..].as_ptr(),
            weights: self.weights[plane % blocks * sizes.block_weights()..].as_ptr(),
            // Inside the slice, as `check` makes sure.
            out: out.wrapping_add(plane * output + (row * width + column) * V::LANES),
            steps,
            row,
            column,
            rotated: self.rotated,
            add: self.add,
        };
        let along_row = [sizes.stride * V::LANES, V::LANES];
        for plane in 0..sizes.images * blocks {
            for row in 0..sizes.out_height() {
                for column in tiled.clone().step_by(TILE) {
                    tile(plane, [row, column], along_row).run::<V, TILE>();
                }
            }
        }
        // The taps of the other columns differ, but not between images.
        let across_images = [blocks * input, blocks * output];
        for block in 0..blocks {
            for images in image_tiles(sizes.images) {
                let plane = images.start * blocks + block;
                for row in 0..sizes.out_height() {
                    for column in (0..tiled.start).chain(tiled.end..width) {
                        let tile = tile(plane, [row, column], across_images);
                        match images.len() {
                            TILE => tile.run::<V, TILE>(),
                            _ => tile.run::<V, 1>(),
                        }
                    }
                }
            }
        }
    }
}

/// Images, [`TILE`] at a time, and the rest one by one.
fn image_tiles(images: usize) -> impl Iterator<Item = Range<usize>> {
    let tiled = images / TILE * TILE;
    let tiles = (0..tiled).step_by(TILE).map(|first| first..first + TILE);
    tiles.chain((tiled..images).map(|image| image..image + 1))
}

/// Some output pixels with the same taps inside the image.
struct DepthwiseTile<'a> {
    sizes: &'a DepthwiseSizes,
    /// The plane of the first of them.
    x: *const f32,
    weights: *const f32,
    /// The first of them.
    out: *mut f32,
    /// The distance from one to the next, in the input and in the output.
    steps: [usize; 2],
    /// Row and column of the first of them.
    row: usize,
    column: usize,
    rotated: bool,
    add: bool,
}

impl DepthwiseTile<'_> {
    #[inline(always)]
    fn run<V: Vector, const P: usize>(self) {
        let sizes = self.sizes;
        let mut sums = [V::splat(0.0); P];
        let [step, out_step] = self.steps;
        let last = sizes.kernel * sizes.kernel - 1;
        let columns = sizes.taps(self.column, sizes.width);
        for kernel_row in sizes.taps(self.row, sizes.height) {
            let row = sizes.tap(self.row, kernel_row) * sizes.width;
            for kernel_column in columns.clone() {
                let at = kernel_row * sizes.kernel + kernel_column;
                let at = if self.rotated { last - at } else { at };
                let x = (row + sizes.tap(self.column, kernel_column)) * V::LANES;
                // SAFETY: the slices are as large as `sizes` requires (`DepthwiseSizes::check`), and the
                // taps of all pixels of the tile are inside the image.
                unsafe {
                    let weight = V::read(self.weights.add(at * V::LANES));
                    for (pixel, sum) in sums.iter_mut().enumerate() {
                        *sum = V::read(self.x.add(x + pixel * step)).fma(weight, *sum);
                    }
                }
            }
        }
        for (pixel, sum) in sums.into_iter().enumerate() {
            // SAFETY: as above.
            unsafe { write_sums([sum], self.out.add(pixel * out_step), self.add) }
        }
    }
}

/// Writes adjacent vectors, or adds them to what is there.
///
/// # Safety
/// `N` vectors must be readable and writable at `to`.
#[inline(always)]
pub(super) unsafe fn write_sums<V: Vector, const N: usize>(sums: [V; N], to: *mut f32, add: bool) {
    for (index, sum) in sums.into_iter().enumerate() {
        // SAFETY: guaranteed by the caller.
        unsafe {
            let to = to.add(index * V::LANES);
            let sum = if add { V::read(to).add(sum) } else { sum };
            sum.write(to);
        }
    }
}

/// The gradient of [`Depthwise`] with respect to its input, for any stride: for each value a sum over the
/// rows and then the columns of the output that read it.
pub(crate) struct DepthwiseInput<'a> {
    pub(crate) sizes: DepthwiseSizes,
    pub(crate) weights: &'a [f32],
    /// The gradient with respect to the output.
    pub(crate) dz: &'a [f32],
    pub(crate) dx: &'a mut [f32],
    pub(crate) add: bool,
}

impl DepthwiseInput<'_> {
    pub(crate) fn run_on(self, isa: Isa) {
        let sizes = self.sizes;
        if sizes.stride > 1 {
            return isa.run(sizes.lanes, self);
        }
        Depthwise {
            sizes,
            x: self.dz,
            weights: self.weights,
            out: self.dx,
            rotated: true,
            add: self.add,
        }
        .run_on(isa);
    }
}

impl Kernel for DepthwiseInput<'_> {
    #[inline(always)]
    fn run<V: Vector>(mut self) {
        let sizes = self.sizes;
        sizes.check(self.dx.len(), self.weights.len(), self.dz.len());
        let rows = Readers::of_side(&sizes, sizes.height, sizes.out_height());
        let columns = Readers::of_side(&sizes, sizes.width, sizes.out_width());
        for block in 0..sizes.blocks() {
            for images in image_tiles(sizes.images) {
                for (row, rows) in rows.iter().enumerate() {
                    for (column, columns) in columns.iter().enumerate() {
                        let (first, pixel) = (images.start, row * sizes.width + column);
                        match images.len() {
                            TILE => self.pixel::<V, TILE>(block, first, pixel, rows, columns),
                            _ => self.pixel::<V, 1>(block, first, pixel, rows, columns),
                        }
                    }
                }
            }
        }
    }
}

/// The taps by which rows, or columns, of the output read one of the input, and which of the output each of
/// them is, in ascending order of these.
struct Readers(Vec<[usize; 2]>);

impl Readers {
    /// Those of each of `size` rows or columns; the output has `out` of them.
    fn of_side(sizes: &DepthwiseSizes, size: usize, out: usize) -> Vec<Readers> {
        let reader = |at: usize, tap: usize| {
            let at = (at + sizes.padding()).checked_sub(tap * sizes.dilation)?;
            let reader = at / sizes.stride;
            (at.is_multiple_of(sizes.stride) && reader < out).then_some([tap, reader])
        };
        let taps = |at: usize| {
            let taps = (0..sizes.kernel).rev();
            Readers(taps.filter_map(|tap| reader(at, tap)).collect())
        };
        (0..size).map(taps).collect()
    }
}

impl DepthwiseInput<'_> {
    /// One pixel of the input, of `P` images from `first` on.
    #[inline(always)]
    fn pixel<V: Vector, const P: usize>(
        &mut self,
        block: usize,
        first: usize,
        pixel: usize,
        rows: &Readers,
        columns: &Readers,
    ) {
        let sizes = self.sizes;
        let blocks = sizes.blocks();
        let [input, output] = sizes.planes();
        let weights = &self.weights[block * sizes.block_weights()..];
        let mut sums = [V::splat(0.0); P];
        for [kernel_row, row] in &rows.0 {
            for [kernel_column, column] in &columns.0 {
                let weight = (kernel_row * sizes.kernel + kernel_column) * V::LANES;
                let weight = V::load(&weights[weight..]);
                let at = (row * sizes.out_width() + column) * V::LANES;
                for (image, sum) in sums.iter_mut().enumerate() {
                    let plane = (first + image) * blocks + block;
                    *sum = V::load(&self.dz[plane * output + at..]).fma(weight, *sum);
                }
            }
        }
        for (image, sum) in sums.into_iter().enumerate() {
            let plane = (first + image) * blocks + block;
            let dx = &mut self.dx[plane * input + pixel * V::LANES..];
            let sum = if self.add { V::load(dx).add(sum) } else { sum };
            sum.store(dx);
        }
    }
}
