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
            for kernel_row in 0..sizes.kernel {
                let row = KernelRow {
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
                match sizes.kernel {
                    3 => V::enter(RowSums::<3>(row)),
                    5 => V::enter(RowSums::<5>(row)),
                    _ => V::enter(RowSums::<7>(row)),
                }
            }
        }
    }
}

/// One row of the kernels of a block of channels.
struct KernelRow<'a> {
    sizes: &'a DepthwiseSizes,
    x: *const f32,
    dz: *const f32,
    gradient: *mut f32,
    block: usize,
    kernel_row: usize,
    add: bool,
}

/// The sums of the `K` weights of a row.
struct RowSums<'a, const K: usize>(KernelRow<'a>);

impl<const K: usize> Kernel for RowSums<'_, K> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let KernelRow { sizes, .. } = self.0;
        assert_eq!(sizes.kernel, K);
        let mut sums = [V::splat(0.0); K];
        let [input, output] = sizes.planes();
        let inner = sizes.inner();
        for image in 0..sizes.images {
            let plane = image * sizes.blocks() + self.0.block;
            for row in 0..sizes.out_height() {
                if !sizes.taps(row, sizes.height).contains(&self.0.kernel_row) {
                    continue;
                }
                let x = sizes.tap(row, self.0.kernel_row) * sizes.width * V::LANES + plane * input;
                let dz = row * sizes.out_width() * V::LANES + plane * output;
                // SAFETY: the slices are as large as `sizes` requires (`DepthwiseSizes::check`), and only
                // taps inside the image are read.
                unsafe {
                    let (x, dz) = (self.0.x.add(x), self.0.dz.add(dz));
                    self.edge(&mut sums, x, dz, 0..inner.start);
                    let step = sizes.dilation * V::LANES;
                    for column in inner.clone() {
                        let gradient = V::read(dz.add(column * V::LANES));
                        let x = x.add(sizes.tap(column, 0) * V::LANES);
                        for (tap, sum) in sums.iter_mut().enumerate() {
                            *sum = V::read(x.add(tap * step)).fma(gradient, *sum);
                        }
                    }
                    self.edge(&mut sums, x, dz, inner.end..sizes.out_width());
                }
            }
        }
        // SAFETY: as above.
        unsafe { write_sums(sums, self.0.gradient, self.0.add) }
    }
}

impl<const K: usize> RowSums<'_, K> {
    /// Adds the products of columns near an edge of the image.
    ///
    /// # Safety
    /// `x` and `dz` must point to the beginnings of rows of an image and its gradient.
    #[inline(always)]
    unsafe fn edge<V: Vector>(
        &self,
        sums: &mut [V; K],
        x: *const f32,
        dz: *const f32,
        columns: Range<usize>,
    ) {
        let sizes = self.0.sizes;
        for column in columns {
            // SAFETY: the column is one of the output, and `taps` are inside the image.
            let gradient = unsafe { V::read(dz.add(column * V::LANES)) };
            for tap in sizes.taps(column, sizes.width) {
                let at = sizes.tap(column, tap) * V::LANES;
                // SAFETY: as above.
                let x = unsafe { V::read(x.add(at)) };
                sums[tap] = x.fma(gradient, sums[tap]);
            }
        }
    }
}
