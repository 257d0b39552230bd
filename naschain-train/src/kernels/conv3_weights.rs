//! The gradient of a 3×3 convolution with respect to its weights, over one chunk of images.
//!
//! Lanes are output channels. A tile holds in registers the sums of several input channels for one
//! kernel row (or, if the input is planar, of one channel for all kernel rows) and iterates along
//! the rows of the map; each input value is loaded once and used for the three taps of its row. The
//! map is processed in strips of rows that fit the L1 cache. Every sum runs over image, row,
//! column.

#![allow(unsafe_code)] // tiles read and write unchecked, within bounds that `Sizes3::check` verified

use super::conv3::Sizes3;
use super::simd::{Isa, Kernel, Vector};

/// Maximum number of elements of input and gradient per strip: 24 KiB.
const STRIP: usize = 6 << 10;

/// `gradient = Σ x · dz` or `gradient += Σ x · dz`, the sum over the images of one chunk.
pub(crate) struct Conv3Weights<'a> {
    pub(crate) sizes: Sizes3,
    /// `[image][block][row][column][lane]`
    pub(crate) x: &'a [f32],
    /// The gradient with respect to the output, in the layout of `x`.
    pub(crate) dz: &'a [f32],
    /// `[block][kernel row][in channel][kernel column][lane]`
    pub(crate) gradient: &'a mut [f32],
    /// Buffer for the sums of one block of output channels between two strips.
    pub(crate) sums: &'a mut [f32],
    pub(crate) add: bool,
}

impl Conv3Weights<'_> {
    pub(crate) fn run_on(self, isa: Isa) {
        isa.run(self.sizes.out_lanes, self);
    }
}

impl Kernel for Conv3Weights<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let sizes = self.sizes;
        sizes.check(self.x.len(), self.gradient.len(), self.dz.len());
        assert_eq!(sizes.out_lanes, V::LANES);
        assert!(self.sums.len() >= sizes.block_weights());
        let row = sizes.in_blocks() * sizes.width * sizes.in_lanes + sizes.out_width() * V::LANES;
        let strip_rows = (STRIP / row).max(1);
        let rows = sizes.images * sizes.out_height();
        for block in 0..sizes.out_blocks() {
            let plane = sizes.out_height() * sizes.out_width() * V::LANES;
            let gradient = &mut self.gradient[block * sizes.block_weights()..];
            for first in (0..rows).step_by(strip_rows) {
                let end = (first + strip_rows).min(rows);
                let strip = Strip {
                    sizes: &sizes,
                    x: self.x.as_ptr(),
                    dz: self.dz[block * plane..].as_ptr(),
                    sums: self.sums.as_mut_ptr(),
                    gradient: gradient.as_mut_ptr(),
                    rows: [first, end],
                    begins: first == 0,
                    ends: end == rows,
                    add: self.add,
                };
                match sizes.in_lanes {
                    1 => strip.planes::<V>(),
                    _ => strip.blocks::<V>(),
                }
            }
        }
    }
}

/// One strip for one block of output channels.
#[derive(Clone, Copy)]
struct Strip<'a> {
    sizes: &'a Sizes3,
    x: *const f32,
    dz: *const f32,
    sums: *mut f32,
    gradient: *mut f32,
    /// First row and end of the strip, numbered over all images.
    rows: [usize; 2],
    begins: bool,
    ends: bool,
    add: bool,
}

impl Strip<'_> {
    #[inline(always)]
    fn planes<V: Vector>(self) {
        for channel in 0..self.sizes.in_channels {
            V::enter(Conv3WeightsTile::<3, true> {
                strip: self,
                kernel_row: 0,
                channel,
            });
        }
    }

    #[inline(always)]
    fn blocks<V: Vector>(self) {
        for kernel_row in 0..3 {
            let mut channel = 0;
            while channel < self.sizes.in_channels {
                let in_block = V::LANES - channel % V::LANES;
                let left = (self.sizes.in_channels - channel).min(in_block);
                channel += match left {
                    8.. if V::REGISTERS > 16 => self.tile::<V, 8>(kernel_row, channel),
                    4.. if V::REGISTERS > 16 => self.tile::<V, 4>(kernel_row, channel),
                    3 | 5.. => self.tile::<V, 3>(kernel_row, channel),
                    2.. => self.tile::<V, 2>(kernel_row, channel),
                    _ => self.tile::<V, 1>(kernel_row, channel),
                };
            }
        }
    }

    #[inline(always)]
    fn tile<V: Vector, const N: usize>(self, kernel_row: usize, channel: usize) -> usize {
        V::enter(Conv3WeightsTile::<N, false> {
            strip: self,
            kernel_row,
            channel,
        });
        N
    }
}

/// A tile of `N` × 3 sums: `N` channels for one kernel row, or with `PLANES` one channel for `N`
/// kernel rows.
struct Conv3WeightsTile<'a, const N: usize, const PLANES: bool> {
    strip: Strip<'a>,
    kernel_row: usize,
    channel: usize,
}

impl<const N: usize, const PLANES: bool> Kernel for Conv3WeightsTile<'_, N, PLANES> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let strip = self.strip;
        let sizes = strip.sizes;
        // Strides between the `N`, in the input and in the weights.
        let (in_step, weight_step) = if PLANES {
            (sizes.width, 3 * sizes.in_channels * V::LANES)
        } else {
            (1, 3 * V::LANES)
        };
        let first = 3 * (self.kernel_row * sizes.in_channels + self.channel) * V::LANES;
        let mut sums = [[V::splat(0.0); 3]; N];
        if !strip.begins {
            // SAFETY: `sums` is as large as the weights of a block.
            sums = unsafe { read(strip.sums.add(first), weight_step) };
        }
        let lanes = sizes.in_lanes;
        let in_row = sizes.width * lanes;
        let block = self.channel / lanes * sizes.height * in_row + self.channel % lanes;
        let out_row = sizes.out_width() * V::LANES;
        let (mut image, mut row) = (
            strip.rows[0] / sizes.out_height(),
            strip.rows[0] % sizes.out_height(),
        );
        for _ in strip.rows[0]..strip.rows[1] {
            let in_y = (row + self.kernel_row).wrapping_sub(sizes.padding);
            if in_y < sizes.height {
                let x = image * sizes.in_image() + block + in_y * in_row;
                let dz = image * sizes.out_image() + row * out_row;
                // SAFETY: the slices are as large as `sizes` requires (`Sizes3::check`).
                unsafe {
                    let [x, dz] = [strip.x.add(x), strip.dz.add(dz)];
                    add_row::<V, N, PLANES>(&mut sums, x, dz, in_step, sizes);
                }
            }
            row += 1;
            if row == sizes.out_height() {
                (image, row) = (image + 1, 0);
            }
        }
        // SAFETY: the gradient of the block is as large as `sums`.
        unsafe {
            match (strip.ends, strip.add) {
                (false, _) => write(sums, strip.sums.add(first), weight_step),
                (true, false) => write(sums, strip.gradient.add(first), weight_step),
                (true, true) => add(sums, strip.gradient.add(first), weight_step),
            }
        }
    }
}

/// Adds one row of the map to the sums. For tap `t`, pixel `p` is multiplied with input column `p +
/// t`, or `p + t - 1` with padding.
///
/// # Safety
/// `x` and `dz` must point to a whole row of the input and of the output.
#[inline(always)]
unsafe fn add_row<V: Vector, const N: usize, const PLANES: bool>(
    sums: &mut [[V; 3]; N],
    x: *const f32,
    dz: *const f32,
    in_step: usize,
    sizes: &Sizes3,
) {
    let (width, lanes) = (sizes.out_width(), sizes.in_lanes);
    // SAFETY: columns and pixels below are inside their rows.
    unsafe {
        let first = V::read(dz);
        if width == 1 {
            if PLANES {
                add_tap::<V, N, 0>(sums, x, in_step, first);
                add_tap::<V, N, 2>(sums, x.add(2 * lanes), in_step, first);
            }
            let middle = x.add(if PLANES { lanes } else { 0 });
            return add_tap::<V, N, 1>(sums, middle, in_step, first);
        }
        let mut before = [first, V::read(dz.add(V::LANES))];
        let mut x = x;
        if PLANES {
            add_tap::<V, N, 0>(sums, x, in_step, first);
            x = x.add(lanes);
        }
        add_tap::<V, N, 0>(sums, x, in_step, before[1]);
        add_tap::<V, N, 1>(sums, x, in_step, before[0]);
        for at in 2..width {
            x = x.add(lanes);
            let here = V::read(dz.add(at * V::LANES));
            let pixels = [here, before[1], before[0]];
            add_channel::<V, N, 0>(sums, x, in_step, pixels);
            add_channel::<V, N, 1>(sums, x, in_step, pixels);
            add_channel::<V, N, 2>(sums, x, in_step, pixels);
            add_channel::<V, N, 3>(sums, x, in_step, pixels);
            add_channel::<V, N, 4>(sums, x, in_step, pixels);
            add_channel::<V, N, 5>(sums, x, in_step, pixels);
            add_channel::<V, N, 6>(sums, x, in_step, pixels);
            add_channel::<V, N, 7>(sums, x, in_step, pixels);
            before = [before[1], here];
        }
        x = x.add(lanes);
        add_tap::<V, N, 1>(sums, x, in_step, before[1]);
        add_tap::<V, N, 2>(sums, x, in_step, before[0]);
        if PLANES {
            add_tap::<V, N, 2>(sums, x.add(lanes), in_step, before[1]);
        }
    }
}

/// Adds one input value of channel `I` for the three pixels that use it.
///
/// # Safety
/// As for [`add_row`].
#[inline(always)]
unsafe fn add_channel<V: Vector, const N: usize, const I: usize>(
    sums: &mut [[V; 3]; N],
    x: *const f32,
    in_step: usize,
    pixels: [V; 3],
) {
    if I >= N {
        return;
    }
    // SAFETY: guaranteed by the caller.
    let value = V::splat(unsafe { *x.add(I * in_step) });
    sums[I][0] = value.fma(pixels[0], sums[I][0]);
    sums[I][1] = value.fma(pixels[1], sums[I][1]);
    sums[I][2] = value.fma(pixels[2], sums[I][2]);
}

/// Adds one input value of every channel for the one pixel that uses it at tap `T`.
///
/// # Safety
/// As for [`add_row`].
#[inline(always)]
unsafe fn add_tap<V: Vector, const N: usize, const T: usize>(
    sums: &mut [[V; 3]; N],
    x: *const f32,
    in_step: usize,
    pixel: V,
) {
    // SAFETY: guaranteed by the caller.
    unsafe {
        add_one::<V, N, T, 0>(sums, x, in_step, pixel);
        add_one::<V, N, T, 1>(sums, x, in_step, pixel);
        add_one::<V, N, T, 2>(sums, x, in_step, pixel);
        add_one::<V, N, T, 3>(sums, x, in_step, pixel);
        add_one::<V, N, T, 4>(sums, x, in_step, pixel);
        add_one::<V, N, T, 5>(sums, x, in_step, pixel);
        add_one::<V, N, T, 6>(sums, x, in_step, pixel);
        add_one::<V, N, T, 7>(sums, x, in_step, pixel);
    }
}

/// The same for channel `I`.
///
/// # Safety
/// As for [`add_row`].
#[inline(always)]
unsafe fn add_one<V: Vector, const N: usize, const T: usize, const I: usize>(
    sums: &mut [[V; 3]; N],
    x: *const f32,
    in_step: usize,
    pixel: V,
) {
    if I < N {
        // SAFETY: guaranteed by the caller.
        let value = V::splat(unsafe { *x.add(I * in_step) });
        sums[I][T] = value.fma(pixel, sums[I][T]);
    }
}

/// # Safety
/// `N` times three vectors must be readable at `from`, at a stride of `step` elements.
#[inline(always)]
unsafe fn read<V: Vector, const N: usize>(from: *const f32, step: usize) -> [[V; 3]; N] {
    std::array::from_fn(|n| {
        // SAFETY: guaranteed by the caller.
        [0, 1, 2].map(|tap| unsafe { V::read(from.add(n * step + tap * V::LANES)) })
    })
}

/// # Safety
/// As for [`read`], writable.
#[inline(always)]
unsafe fn write<V: Vector, const N: usize>(sums: [[V; 3]; N], to: *mut f32, step: usize) {
    for (n, sums) in sums.into_iter().enumerate() {
        for (tap, sum) in sums.into_iter().enumerate() {
            // SAFETY: guaranteed by the caller.
            unsafe { sum.write(to.add(n * step + tap * V::LANES)) };
        }
    }
}

/// # Safety
/// As for [`read`], readable and writable.
#[inline(always)]
unsafe fn add<V: Vector, const N: usize>(sums: [[V; 3]; N], to: *mut f32, step: usize) {
    // SAFETY: guaranteed by the caller.
    unsafe {
        let mut old: [[V; 3]; N] = read(to, step);
        for (old, sums) in old.iter_mut().flatten().zip(sums.into_iter().flatten()) {
            *old = old.add(sums);
        }
        write(old, to, step);
    }
}
