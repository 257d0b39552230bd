//! The gradient of a depthwise convolution with respect to its weights, over one chunk of images.

#![allow(unsafe_code)] // tiles read and write unchecked, within bounds that `DepthwiseSizes::check` verified

use std::ops::Range;

use super::depthwise::{DepthwiseSizes, write_sums};
use super::simd::{Isa, Kernel, Vector};

/// The gradient of [`super::depthwise::Depthwise`] with respect to its weights, over the images of one chunk: `gradient = Σ
/// x · dz` or `gradient += Σ x · dz`. Every sum runs over image, row, column of the output.
pub(crate) struct DepthwiseWeights<'a> {
    pub(crate) sizes: DepthwiseSizes,
    pub(crate) x: &'a [f32],
    pub(crate) dz: &'a [f32],
    pub(crate) gradient: &'a mut [f32],
    pub(crate) add: bool,
}

impl DepthwiseWeights<'_> {
    pub(crate) fn run_on(self, isa: Isa) {
        isa.run(self.sizes.lanes, self);
    }
}

impl Kernel for DepthwiseWeights<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let sizes = self.sizes;
        sizes.check(self.x.len(), self.gradient.len(), self.dz.len());
        assert_eq!(sizes.lanes, V::LANES);
        for block in 0..sizes.blocks() {
            // As many rows at once as have enough sums to hide the latency of an FMA, and fit into registers.
            let together = match sizes.kernel {
                3 => 3,
                5 => 2,
                _ => 1,
            };
            for kernel_row in (0..sizes.kernel).step_by(together) {
                let rows = KernelRows {
                    sizes: &sizes,
                    x: self.x.as_ptr(),
                    dz: self.dz.as_ptr(),
                    gradient: self.gradient[block * sizes.block_weights()..]
                        [kernel_row * sizes.kernel * V::LANES..]
                        .as_mut_ptr(),
                    block,
                    kernel_row,
                    add: self.add,
                };
                match (sizes.kernel, sizes.kernel - kernel_row) {
                    (3, _) => V::enter(RowSums::<3, 3>(rows)),
                    (5, 1) => V::enter(RowSums::<5, 1>(rows)),
                    (5, _) => V::enter(RowSums::<5, 2>(rows)),
                    _ => V::enter(RowSums::<7, 1>(rows)),
                }
            }
        }
    }
}

/// Some rows of the kernels of a block of channels.
struct KernelRows<'a> {
    sizes: &'a DepthwiseSizes,
    x: *const f32,
    dz: *const f32,
    gradient: *mut f32,
    block: usize,
    /// The first of them.
    kernel_row: usize,
    add: bool,
}

/// The sums of the `K` weights of each of `R` rows.
struct RowSums<'a, const K: usize, const R: usize>(KernelRows<'a>);

impl<const K: usize, const R: usize> Kernel for RowSums<'_, K, R> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let KernelRows {
            sizes, kernel_row, ..
        } = self.0;
        assert_eq!(sizes.kernel, K);
        let mut sums = [[V::splat(0.0); K]; R];
        let [input, output] = sizes.planes();
        for image in 0..sizes.images {
            let plane = image * sizes.blocks() + self.0.block;
            for row in 0..sizes.out_height() {
                let taps = sizes.taps(row, sizes.height);
                let dz = row * sizes.out_width() * V::LANES + plane * output;
                // The row that a kernel row reads.
                let x = |kernel_row: usize| {
                    let row = sizes.tap(row, kernel_row);
                    row * sizes.width * V::LANES + plane * input
                };
                // SAFETY: the slices are as large as `sizes` requires (`DepthwiseSizes::check`), and only
                // taps inside the image are read.
                unsafe {
                    let dz = self.0.dz.add(dz);
                    if taps.start <= kernel_row && kernel_row + R <= taps.end {
                        let x = std::array::from_fn(|next| self.0.x.add(x(kernel_row + next)));
                        self.add_row(&mut sums, x, dz);
                        continue;
                    }
                    for (next, sums) in sums.iter_mut().enumerate() {
                        if taps.contains(&(kernel_row + next)) {
                            let x = self.0.x.add(x(kernel_row + next));
                            self.add_row(std::array::from_mut(sums), [x], dz);
                        }
                    }
                }
            }
        }
        for (next, sums) in sums.into_iter().enumerate() {
            // SAFETY: as above.
            unsafe { write_sums(sums, self.0.gradient.add(next * K * V::LANES), self.0.add) }
        }
    }
}

impl<const K: usize, const R: usize> RowSums<'_, K, R> {
    /// Adds the products of one row of the output with what `N` rows of kernels read.
    ///
    /// # Safety
    /// `x` and `dz` must point to the beginnings of rows of an image and its gradient.
    #[inline(always)]
    unsafe fn add_row<V: Vector, const N: usize>(
        &self,
        sums: &mut [[V; K]; N],
        x: [*const f32; N],
        dz: *const f32,
    ) {
        let sizes = self.0.sizes;
        let inner = sizes.inner();
        let step = sizes.dilation * V::LANES;
        // SAFETY: the columns are those of the output, and the taps are inside the image.
        unsafe {
            self.edge(sums, x, dz, 0..inner.start);
            for column in inner.clone() {
                let gradient = V::read(dz.add(column * V::LANES));
                let first = sizes.tap(column, 0) * V::LANES;
                for (x, sums) in x.into_iter().zip(sums.iter_mut()) {
                    for (tap, sum) in sums.iter_mut().enumerate() {
                        *sum = V::read(x.add(first + tap * step)).fma(gradient, *sum);
                    }
                }
            }
            self.edge(sums, x, dz, inner.end..sizes.out_width());
        }
    }

    /// Adds the products of columns near an edge of the image.
    ///
    /// # Safety
    /// As for `add_row`.
    #[inline(always)]
    unsafe fn edge<V: Vector, const N: usize>(
        &self,
        sums: &mut [[V; K]; N],
        x: [*const f32; N],
        dz: *const f32,
        columns: Range<usize>,
    ) {
        let sizes = self.0.sizes;
        for column in columns {
            // SAFETY: the column is one of the output, and `taps` are inside the image.
            let gradient = unsafe { V::read(dz.add(column * V::LANES)) };
            let taps = sizes.taps(column, sizes.width);
            for (x, sums) in x.into_iter().zip(sums.iter_mut()) {
                for (tap, sum) in sums.iter_mut().enumerate() {
                    if taps.contains(&tap) {
                        // SAFETY: as above.
                        let x = unsafe { V::read(x.add(sizes.tap(column, tap) * V::LANES)) };
                        *sum = x.fma(gradient, *sum);
                    }
                }
            }
        }
    }
}
