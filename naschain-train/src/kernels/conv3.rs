//! 3×3 convolution, forwards; the gradient by its input is the same convolution with the weights
//! of [`super::layout::flipped`].
//!
//! Lanes are output channels. A tile holds the sums of `P` neighbouring pixels of one row, in `R`
//! images at once, in registers; each input number is loaded once into all lanes and serves the
//! three taps of a row. The order of every sum is row of the kernel, input channel, column of the
//! kernel.

#![allow(unsafe_code)] // tiles read and write where `Conv3::check` has looked before

use super::simd::{Isa, Kernel, Vector};

/// What a 3×3 convolution reads and writes, in numbers.
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
    /// Channels that lie side by side in the input: 1 (planes), or the lanes of the output.
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

    /// Numbers of one image of the input.
    pub(crate) fn in_image(&self) -> usize {
        self.in_blocks() * self.height * self.width * self.in_lanes
    }

    /// Numbers of one image of the output.
    pub(crate) fn out_image(&self) -> usize {
        self.out_blocks() * self.out_height() * self.out_width() * self.out_lanes
    }

    /// Numbers of the weights of one block of output channels.
    pub(crate) fn block_weights(&self) -> usize {
        9 * self.in_channels * self.out_lanes
    }

    pub(crate) fn check(&self, x: usize, weights: usize, out: usize) {
        assert!(self.padding <= 1 && self.height + 2 * self.padding > 2);
        assert!(self.width + 2 * self.padding > 2 && self.in_channels > 0);
        // Planes are the pixels, which are read without padding.
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
                    let line = Line {
                        sizes: &sizes,
                        row,
                        images,
                        add: self.add,
                    };
                    line.run::<V>(x, weights, out);
                }
                image += images;
            }
        }
    }
}

/// Narrow rows of several images go into one tile, so that there are enough sums to hide the
/// latency of an FMA.
fn images_at_once(columns: usize) -> usize {
    match columns {
        1 => 8,
        2..=3 => 4,
        4..=5 => 2,
        _ => 1,
    }
}

/// One row of the output in one or more images.
struct Line<'a> {
    sizes: &'a Sizes3,
    row: usize,
    images: usize,
    add: bool,
}

impl Line<'_> {
    #[inline(always)]
    fn run<V: Vector>(&self, x: &[f32], weights: &[f32], out: &mut [f32]) {
        let sizes = self.sizes;
        let columns = sizes.out_width();
        // Rows of the kernel that lie in the image.
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
            // The left neighbour of the first pixel lies outside the image and is not read.
            let left =
                top as isize + (column as isize - sizes.padding as isize) * sizes.in_lanes as isize;
            let at = Tile {
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

/// Where a tile reads and writes.
#[derive(Clone, Copy)]
struct Tile {
    /// The leftmost tap of the tile's first pixel, in the first row of the kernel that counts.
    x: *const f32,
    row_step: usize,
    block_step: usize,
    image_step: usize,
    kernel_rows: usize,
    channels: usize,
    weights: *const f32,
    out: *mut f32,
    out_image_step: usize,
    add: bool,
}

impl Tile {
    #[inline(always)]
    fn four<V: Vector>(self, width: usize) {
        match width {
            2 => self.enter::<V, 4, 2, true, true, false>(),
            _ => self.enter::<V, 4, 3, true, true, false>(),
        }
    }

    #[inline(always)]
    fn two<V: Vector>(self, width: usize) {
        match width {
            4 => self.enter::<V, 2, 4, true, true, false>(),
            5 => self.enter::<V, 2, 5, true, true, false>(),
            _ => self.enter::<V, 2, 6, true, true, false>(),
        }
    }

    #[inline(always)]
    fn sized<V: Vector, const R: usize, const LEFT: bool, const RIGHT: bool, const PLANES: bool>(
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
    fn enter<
        V: Vector,
        const R: usize,
        const P: usize,
        const LEFT: bool,
        const RIGHT: bool,
        const PLANES: bool,
    >(
        self,
    ) {
        V::enter(Sums::<R, P, LEFT, RIGHT, PLANES>(self));
    }
}

/// The sums of `R` × `P` pixels. `LEFT`, `RIGHT`: the tile touches that edge of the image.
/// `PLANES`: the input's channels lie in planes.
struct Sums<const R: usize, const P: usize, const LEFT: bool, const RIGHT: bool, const PLANES: bool>(
    Tile,
);

impl<const R: usize, const P: usize, const LEFT: bool, const RIGHT: bool, const PLANES: bool> Kernel
    for Sums<R, P, LEFT, RIGHT, PLANES>
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
                    // SAFETY: the slices hold all of `sizes` (`Sizes3::check`), and the tile lies
                    // within them but for the taps that `LEFT` and `RIGHT` leave out.
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
        unsafe { self.write_images(&sums) }
    }
}

// Loops over the sums of a tile are written out, because a loop that the compiler does not unroll
// keeps its sums in memory. What lies beyond `R` or `P` compiles to nothing.

impl<const R: usize, const P: usize, const LEFT: bool, const RIGHT: bool, const PLANES: bool>
    Sums<R, P, LEFT, RIGHT, PLANES>
{
    /// Adds one channel of one row of the kernel to all sums.
    ///
    /// # Safety
    /// `x` must be inside the input as [`Tile::x`] is.
    #[inline(always)]
    unsafe fn add_images<V: Vector>(
        &self,
        sums: &mut [[V; P]; R],
        taps: [V; 3],
        x: *const f32,
        lanes: usize,
    ) {
        // SAFETY: the caller's promise.
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
    /// As for [`Sums::add_images`].
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
        // SAFETY: the caller's promise.
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

    /// Adds column `C` of the input, counted from the leftmost tap of the first pixel, to the up
    /// to three sums that it belongs to.
    ///
    /// # Safety
    /// As for [`Sums::add_images`]; columns outside the image are not read.
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
        // SAFETY: the caller's promise.
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

    /// Writes all sums, or adds them to what is there.
    ///
    /// # Safety
    /// The tile's output must be writable.
    #[inline(always)]
    unsafe fn write_images<V: Vector>(&self, sums: &[[V; P]; R]) {
        // SAFETY: the caller's promise.
        unsafe {
            self.write_image::<V, 0>(sums);
            self.write_image::<V, 1>(sums);
            self.write_image::<V, 2>(sums);
            self.write_image::<V, 3>(sums);
            self.write_image::<V, 4>(sums);
            self.write_image::<V, 5>(sums);
            self.write_image::<V, 6>(sums);
            self.write_image::<V, 7>(sums);
        }
    }

    /// The same for image `I`.
    ///
    /// # Safety
    /// As for [`Sums::write_images`].
    #[inline(always)]
    unsafe fn write_image<V: Vector, const I: usize>(&self, sums: &[[V; P]; R]) {
        if I >= R {
            return;
        }
        let out = self.0.out.wrapping_add(I * self.0.out_image_step);
        let sums = &sums[I];
        // SAFETY: the caller's promise.
        unsafe {
            self.write_pixel::<V, 0>(sums, out);
            self.write_pixel::<V, 1>(sums, out);
            self.write_pixel::<V, 2>(sums, out);
            self.write_pixel::<V, 3>(sums, out);
            self.write_pixel::<V, 4>(sums, out);
            self.write_pixel::<V, 5>(sums, out);
            self.write_pixel::<V, 6>(sums, out);
            self.write_pixel::<V, 7>(sums, out);
            self.write_pixel::<V, 8>(sums, out);
            self.write_pixel::<V, 9>(sums, out);
            self.write_pixel::<V, 10>(sums, out);
            self.write_pixel::<V, 11>(sums, out);
            self.write_pixel::<V, 12>(sums, out);
            self.write_pixel::<V, 13>(sums, out);
            self.write_pixel::<V, 14>(sums, out);
        }
    }

    /// The same for pixel `C`.
    ///
    /// # Safety
    /// As for [`Sums::write_images`].
    #[inline(always)]
    unsafe fn write_pixel<V: Vector, const C: usize>(&self, sums: &[V; P], out: *mut f32) {
        if C >= P {
            return;
        }
        let out = out.wrapping_add(C * V::LANES);
        // SAFETY: the caller's promise.
        unsafe {
            match self.0.add {
                true => V::read(out).add(sums[C]).write(out),
                false => sums[C].write(out),
            }
        }
    }
}
