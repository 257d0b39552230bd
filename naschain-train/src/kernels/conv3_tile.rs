//! One tile of a 3×3 convolution: adjacent pixels of a row, in one or several images.

#![allow(unsafe_code)] // tiles read and write unchecked, within bounds that `Sizes3::check` verified

use super::simd::{Kernel, Vector};
use super::tile_output::write_images;

/// Pointers and dimensions of a tile.
#[derive(Clone, Copy)]
pub(super) struct Conv3Tile {
    /// The leftmost tap of the tile's first pixel, in the first kernel row inside the image.
    pub(super) x: *const f32,
    pub(super) row_step: usize,
    pub(super) block_step: usize,
    pub(super) image_step: usize,
    pub(super) kernel_rows: usize,
    pub(super) channels: usize,
    pub(super) weights: *const f32,
    pub(super) out: *mut f32,
    pub(super) out_image_step: usize,
    pub(super) add: bool,
}

impl Conv3Tile {
    #[inline(always)]
    pub(super) fn four<V: Vector>(self, width: usize) {
        match width {
            2 => self.enter::<V, 4, 2, true, true, false>(),
            _ => self.enter::<V, 4, 3, true, true, false>(),
        }
    }

    #[inline(always)]
    pub(super) fn two<V: Vector>(self, width: usize) {
        match width {
            4 => self.enter::<V, 2, 4, true, true, false>(),
            5 => self.enter::<V, 2, 5, true, true, false>(),
            _ => self.enter::<V, 2, 6, true, true, false>(),
        }
    }

    #[inline(always)]
    pub(super) fn sized<
        V: Vector,
        const R: usize,
        const LEFT: bool,
        const RIGHT: bool,
        const PLANES: bool,
    >(
        self,
        width: usize,
    ) {
        match width {
            1 => self.enter::<V, R, 1, LEFT, RIGHT, PLANES>(),
            2 => self.enter::<V, R, 2, LEFT, RIGHT, PLANES>(),
            3 => self.enter::<V, R, 3, LEFT, RIGHT, PLANES>(),
            4 => self.enter::<V, R, 4, LEFT, RIGHT, PLANES>(),
            5 => self.enter::<V, R, 5, LEFT, RIGHT, PLANES>(),
            6 => self.enter::<V, R, 6, LEFT, RIGHT, PLANES>(),
            7 => self.enter::<V, R, 7, LEFT, RIGHT, PLANES>(),
            8 => self.enter::<V, R, 8, LEFT, RIGHT, PLANES>(),
            9 => self.enter::<V, R, 9, LEFT, RIGHT, PLANES>(),
            10 => self.enter::<V, R, 10, LEFT, RIGHT, PLANES>(),
            11 => self.enter::<V, R, 11, LEFT, RIGHT, PLANES>(),
            12 => self.enter::<V, R, 12, LEFT, RIGHT, PLANES>(),
            13 => self.enter::<V, R, 13, LEFT, RIGHT, PLANES>(),
            14 => self.enter::<V, R, 14, LEFT, RIGHT, PLANES>(),
            _ => self.enter::<V, R, 15, LEFT, RIGHT, PLANES>(),
        }
    }

    #[inline(always)]
    pub(super) fn enter<
        V: Vector,
        const R: usize,
        const P: usize,
        const LEFT: bool,
        const RIGHT: bool,
        const PLANES: bool,
    >(
        self,
    ) {
        V::enter(Conv3Sums::<R, P, LEFT, RIGHT, PLANES>(self));
    }
}

/// A tile of `R` images × `P` pixels. `LEFT`, `RIGHT`: the tile touches that edge of the image.
/// `PLANES`: the input is planar.
struct Conv3Sums<
    const R: usize,
    const P: usize,
    const LEFT: bool,
    const RIGHT: bool,
    const PLANES: bool,
>(Conv3Tile);

impl<const R: usize, const P: usize, const LEFT: bool, const RIGHT: bool, const PLANES: bool> Kernel
    for Conv3Sums<R, P, LEFT, RIGHT, PLANES>
{
    #[inline(always)]
    fn run<V: Vector>(self) {
        let tile = self.0;
        let lanes = if PLANES { 1 } else { V::LANES };
        let mut sums = [[V::splat(0.0); P]; R];
        let mut weights = tile.weights;
        for row in 0..tile.kernel_rows {
            let mut x = tile.x.wrapping_add(row * tile.row_step);
            let mut left = tile.channels;
            while left > 0 {
                for channel in 0..left.min(lanes) {
                    // SAFETY: the slices are as large as `sizes` requires (`Sizes3::check`), and
                    // the tile is within them, except for the taps that `LEFT` and `RIGHT` skip.
                    unsafe {
                        let taps = [0, 1, 2].map(|tap| V::read(weights.add(tap * V::LANES)));
                        weights = weights.add(3 * V::LANES);
                        let x = x.wrapping_add(channel);
                        self.add_images(&mut sums, taps, x, lanes);
                    }
                }
                x = x.wrapping_add(tile.block_step);
                left = left.saturating_sub(lanes);
            }
        }
        // SAFETY: as above.
        unsafe { write_images(&sums, tile.out, tile.out_image_step, tile.add) }
    }
}

// Loops over the sums of a tile are unrolled by hand: if the compiler did not unroll a loop, it
// would keep the sums in memory. Calls beyond `R` or `P` compile to nothing.

impl<const R: usize, const P: usize, const LEFT: bool, const RIGHT: bool, const PLANES: bool>
    Conv3Sums<R, P, LEFT, RIGHT, PLANES>
{
    /// Adds one channel of one kernel row to all sums.
    ///
    /// # Safety
    /// `x` must be inside the input, like [`Conv3Tile::x`].
    #[inline(always)]
    unsafe fn add_images<V: Vector>(
        &self,
        sums: &mut [[V; P]; R],
        taps: [V; 3],
        x: *const f32,
        lanes: usize,
    ) {
        // SAFETY: guaranteed by the caller.
        unsafe {
            self.add_image::<V, 0>(sums, taps, x, lanes);
            self.add_image::<V, 1>(sums, taps, x, lanes);
            self.add_image::<V, 2>(sums, taps, x, lanes);
            self.add_image::<V, 3>(sums, taps, x, lanes);
            self.add_image::<V, 4>(sums, taps, x, lanes);
            self.add_image::<V, 5>(sums, taps, x, lanes);
            self.add_image::<V, 6>(sums, taps, x, lanes);
            self.add_image::<V, 7>(sums, taps, x, lanes);
        }
    }

    /// The same for image `I`.
    ///
    /// # Safety
    /// As for [`Conv3Sums::add_images`].
    #[inline(always)]
    unsafe fn add_image<V: Vector, const I: usize>(
        &self,
        sums: &mut [[V; P]; R],
        taps: [V; 3],
        x: *const f32,
        lanes: usize,
    ) {
        if I >= R {
            return;
        }
        let x = x.wrapping_add(I * self.0.image_step);
        let sums = &mut sums[I];
        // SAFETY: guaranteed by the caller.
        unsafe {
            Self::add_column::<V, 0>(sums, taps, x, lanes);
            Self::add_column::<V, 1>(sums, taps, x, lanes);
            Self::add_column::<V, 2>(sums, taps, x, lanes);
            Self::add_column::<V, 3>(sums, taps, x, lanes);
            Self::add_column::<V, 4>(sums, taps, x, lanes);
            Self::add_column::<V, 5>(sums, taps, x, lanes);
            Self::add_column::<V, 6>(sums, taps, x, lanes);
            Self::add_column::<V, 7>(sums, taps, x, lanes);
            Self::add_column::<V, 8>(sums, taps, x, lanes);
            Self::add_column::<V, 9>(sums, taps, x, lanes);
            Self::add_column::<V, 10>(sums, taps, x, lanes);
            Self::add_column::<V, 11>(sums, taps, x, lanes);
            Self::add_column::<V, 12>(sums, taps, x, lanes);
            Self::add_column::<V, 13>(sums, taps, x, lanes);
            Self::add_column::<V, 14>(sums, taps, x, lanes);
            Self::add_column::<V, 15>(sums, taps, x, lanes);
            Self::add_column::<V, 16>(sums, taps, x, lanes);
        }
    }

    /// Adds input column `C`, counted from the leftmost tap of the first pixel, to the up to three
    /// sums that use it.
    ///
    /// # Safety
    /// As for [`Conv3Sums::add_images`]; columns outside the image are not read.
    #[inline(always)]
    unsafe fn add_column<V: Vector, const C: usize>(
        sums: &mut [V; P],
        taps: [V; 3],
        x: *const f32,
        lanes: usize,
    ) {
        if C > P + 1 || (LEFT && C == 0) || (RIGHT && C == P + 1) {
            return;
        }
        // SAFETY: guaranteed by the caller.
        let value = V::splat(unsafe { *x.wrapping_add(C * lanes) });
        if C < P {
            sums[C] = value.fma(taps[0], sums[C]);
        }
        if C >= 1 && C <= P {
            sums[C - 1] = value.fma(taps[1], sums[C - 1]);
        }
        if C >= 2 {
            sums[C - 2] = value.fma(taps[2], sums[C - 2]);
        }
    }
}
