//! Depthwise convolution: each channel by itself, with a square kernel and the padding that keeps the
//! resolution. Lanes are channels, so every value of a vector is the sum of one channel.
//!
//! Every sum runs over kernel row, kernel column; taps outside the image are skipped. The gradient with
//! respect to the input is, with stride 1, the same operation with the rotated kernel.

#![allow(unsafe_code)] // tiles read and write unchecked, within bounds that `DepthwiseSizes::check` verified

use std::ops::Range;

use super::simd::{Isa, Kernel, Vector};

/// Adjacent pixels whose sums are held in registers.
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
        let [input, output] = sizes.planes();
        let inner = sizes.inner();
        for plane in 0..sizes.images * sizes.blocks() {
            let block = plane % sizes.blocks();
            let weights = &self.weights[block * sizes.block_weights()..];
            let x = &self.x[plane * input..][..input];
            let out = &mut self.out[plane * output..][..output];
            for row in 0..sizes.out_height() {
                let rows = sizes.taps(row, sizes.height);
                let mut column = 0;
                while column < sizes.out_width() {
                    let is_tile = inner.start <= column && column + TILE <= inner.end;
                    let tile = DepthwiseTile {
                        sizes: &sizes,
                        x: x.as_ptr(),
                        weights: weights.as_ptr(),
                        out: out[(row * sizes.out_width() + column) * V::LANES..].as_mut_ptr(),
                        row,
                        column,
                        rows: rows.clone(),
                        columns: sizes.taps(column, sizes.width),
                        rotated: self.rotated,
                        add: self.add,
                    };
                    if is_tile {
                        tile.run::<V, TILE>();
                        column += TILE;
                    } else {
                        tile.run::<V, 1>();
                        column += 1;
                    }
                }
            }
        }
    }
}

/// Some adjacent output pixels with the same taps inside the image.
struct DepthwiseTile<'a> {
    sizes: &'a DepthwiseSizes,
    x: *const f32,
    weights: *const f32,
    out: *mut f32,
    row: usize,
    column: usize,
    rows: Range<usize>,
    columns: Range<usize>,
    rotated: bool,
    add: bool,
}

impl DepthwiseTile<'_> {
    #[inline(always)]
    fn run<V: Vector, const P: usize>(self) {
        let sizes = self.sizes;
        let mut sums = [V::splat(0.0); P];
        let step = sizes.stride * V::LANES;
        let last = sizes.kernel * sizes.kernel - 1;
        for kernel_row in self.rows.clone() {
            let row = sizes.tap(self.row, kernel_row) * sizes.width;
            for kernel_column in self.columns.clone() {
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
        // SAFETY: as above.
        unsafe { write_sums(sums, self.out, self.add) }
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
    fn run<V: Vector>(self) {
        let sizes = self.sizes;
        sizes.check(self.dx.len(), self.weights.len(), self.dz.len());
        let [input, output] = sizes.planes();
        // The output row or column that reads one of the input by this tap, if there is one.
        let reader = |at: usize, tap: usize, most: usize| {
            let at = (at + sizes.padding()).checked_sub(tap * sizes.dilation)?;
            let reader = at / sizes.stride;
            (at.is_multiple_of(sizes.stride) && reader < most).then_some(reader)
        };
        let planes = self.dx.chunks_exact_mut(input);
        for (plane, (dx, dz)) in planes.zip(self.dz.chunks_exact(output)).enumerate() {
            let block = plane % sizes.blocks();
            let weights = &self.weights[block * sizes.block_weights()..];
            for (pixel, dx) in dx.chunks_exact_mut(V::LANES).enumerate() {
                let (row, column) = (pixel / sizes.width, pixel % sizes.width);
                let mut sum = V::splat(0.0);
                for kernel_row in (0..sizes.kernel).rev() {
                    let Some(row) = reader(row, kernel_row, sizes.out_height()) else {
                        continue;
                    };
                    for kernel_column in (0..sizes.kernel).rev() {
                        let columns = sizes.out_width();
                        let Some(column) = reader(column, kernel_column, columns) else {
                            continue;
                        };
                        let weight = (kernel_row * sizes.kernel + kernel_column) * V::LANES;
                        let dz = V::load(&dz[(row * columns + column) * V::LANES..]);
                        sum = dz.fma(V::load(&weights[weight..]), sum);
                    }
                }
                let sum = if self.add { V::load(dx).add(sum) } else { sum };
                sum.store(dx);
            }
        }
    }
}
