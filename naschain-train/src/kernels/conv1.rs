//! 1×1 convolution of one or several maps as if they were concatenated along channels; with one
//! pixel per image it is also a linear layer. The gradient with respect to one of the maps is the
//! same operation with the weights of [`super::layout::Transposed`].
//!
//! Lanes are output channels; a tile holds the sums of `P` pixels of `R` images. Every sum runs
//! over map, channel.

#![allow(unsafe_code)] // tiles read and write unchecked, within bounds that `Sizes1::check` verified

use super::simd::{Isa, Kernel, Vector};
use super::tile_output::write_images;

/// Dimensions of a 1×1 convolution.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes1 {
    pub(crate) images: usize,
    pub(crate) pixels: usize,
    /// Number of maps that are read.
    pub(crate) maps: usize,
    /// Channels of each map.
    pub(crate) in_channels: usize,
    /// 8 or 16.
    pub(crate) in_lanes: usize,
    pub(crate) out_channels: usize,
    pub(crate) out_lanes: usize,
}

impl Sizes1 {
    /// Elements per image of one map.
    pub(crate) fn in_image(&self) -> usize {
        self.in_channels.next_multiple_of(self.in_lanes) * self.pixels
    }

    /// Elements per image of the output.
    pub(crate) fn out_image(&self) -> usize {
        self.out_channels.next_multiple_of(self.out_lanes) * self.pixels
    }

    pub(crate) fn out_blocks(&self) -> usize {
        self.out_channels.div_ceil(self.out_lanes)
    }

    /// Weights of one block of output channels.
    pub(crate) fn block_weights(&self) -> usize {
        self.maps * self.in_channels * self.out_lanes
    }

    pub(crate) fn check(&self, map: usize, weights: usize, out: usize) {
        assert!(self.pixels > 0 && self.in_channels > 0);
        assert!(self.in_lanes == 8 || self.in_lanes == 16);
        assert!(map >= self.images * self.in_image());
        assert!(weights >= self.out_blocks() * self.block_weights());
        assert!(out >= self.images * self.out_image());
    }
}

/// `out = conv(maps, weights)`, or `out += conv(maps, weights)`.
pub(crate) struct Conv1<'a> {
    pub(crate) sizes: Sizes1,
    /// Each `[image][block][pixel][lane]`.
    pub(crate) maps: &'a [&'a [f32]],
    /// `[block][map][in channel][lane]`
    pub(crate) weights: &'a [f32],
    /// `[image][block][pixel][lane]`
    pub(crate) out: &'a mut [f32],
    pub(crate) add: bool,
}

impl Conv1<'_> {
    pub(crate) fn run_on(self, isa: Isa) {
        isa.run(self.sizes.out_lanes, self);
    }
}

impl Kernel for Conv1<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let sizes = self.sizes;
        assert_eq!(self.maps.len(), sizes.maps);
        // Outside of any loop over the maps: without a map, the output is still written.
        let shortest = self.maps.iter().map(|map| map.len()).min();
        let shortest = shortest.unwrap_or(usize::MAX);
        sizes.check(shortest, self.weights.len(), self.out.len());
        assert_eq!(sizes.out_lanes, V::LANES);
        let at_once = match sizes.pixels {
            1 => 8,
            2 | 3 => 4,
            _ => 1,
        };
        let tiles = sizes.pixels.div_ceil(12);
        for block in 0..sizes.out_blocks() {
            let weights = self.weights[block * sizes.block_weights()..].as_ptr();
            let mut image = 0;
            while image < sizes.images {
                let enough = image + at_once <= sizes.images;
                let images = if enough { at_once } else { 1 };
                let mut pixel = 0;
                for tile in 0..tiles {
                    let width = (sizes.pixels - pixel) / (tiles - tile);
                    let out = (block * sizes.pixels + pixel) * V::LANES;
                    let at = Conv1Tile {
                        sizes: &sizes,
                        maps: self.maps,
                        from: image * sizes.in_image() + pixel * sizes.in_lanes,
                        weights,
                        out: self.out[image * sizes.out_image() + out..].as_mut_ptr(),
                        add: self.add,
                    };
                    match sizes.in_lanes {
                        16 => at.sized::<V, 16>(images, width),
                        _ => at.sized::<V, 8>(images, width),
                    }
                    pixel += width;
                }
                image += images;
            }
        }
    }
}

/// Pointers and dimensions of a tile.
#[derive(Clone, Copy)]
struct Conv1Tile<'a> {
    sizes: &'a Sizes1,
    maps: &'a [&'a [f32]],
    /// Offset of the tile's first pixel in every map.
    from: usize,
    weights: *const f32,
    out: *mut f32,
    add: bool,
}

impl Conv1Tile<'_> {
    #[inline(always)]
    fn sized<V: Vector, const L: usize>(self, images: usize, width: usize) {
        match (images, width) {
            (8, _) => V::enter(Conv1Sums::<8, 1, L>(self)),
            (4, 2) => V::enter(Conv1Sums::<4, 2, L>(self)),
            (4, _) => V::enter(Conv1Sums::<4, 3, L>(self)),
            (_, 1) => V::enter(Conv1Sums::<1, 1, L>(self)),
            (_, 2) => V::enter(Conv1Sums::<1, 2, L>(self)),
            (_, 3) => V::enter(Conv1Sums::<1, 3, L>(self)),
            (_, 4) => V::enter(Conv1Sums::<1, 4, L>(self)),
            (_, 5) => V::enter(Conv1Sums::<1, 5, L>(self)),
            (_, 6) => V::enter(Conv1Sums::<1, 6, L>(self)),
            (_, 7) => V::enter(Conv1Sums::<1, 7, L>(self)),
            (_, 8) => V::enter(Conv1Sums::<1, 8, L>(self)),
            (_, 9) => V::enter(Conv1Sums::<1, 9, L>(self)),
            (_, 10) => V::enter(Conv1Sums::<1, 10, L>(self)),
            (_, 11) => V::enter(Conv1Sums::<1, 11, L>(self)),
            _ => V::enter(Conv1Sums::<1, 12, L>(self)),
        }
    }
}

/// A tile of `R` images × `P` pixels, with `L` lanes in the input.
struct Conv1Sums<'a, const R: usize, const P: usize, const L: usize>(Conv1Tile<'a>);

impl<const R: usize, const P: usize, const L: usize> Kernel for Conv1Sums<'_, R, P, L> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Conv1Tile { sizes, maps, .. } = self.0;
        let mut sums = [[V::splat(0.0); P]; R];
        let mut weights = self.0.weights;
        for map in maps {
            let mut x = map.as_ptr().wrapping_add(self.0.from);
            let mut left = sizes.in_channels;
            while left > 0 {
                for channel in 0..left.min(L) {
                    // SAFETY: the slices are as large as `sizes` requires (`Sizes1::check`), and
                    // the tile is within them.
                    unsafe {
                        let weight = V::read(weights);
                        weights = weights.add(V::LANES);
                        self.add_images(&mut sums, weight, x.wrapping_add(channel));
                    }
                }
                x = x.wrapping_add(sizes.pixels * L);
                left = left.saturating_sub(L);
            }
        }
        // SAFETY: as above.
        unsafe { write_images(&sums, self.0.out, sizes.out_image(), self.0.add) }
    }
}

// Unrolled by hand for the reason given in `conv3_tile`.
impl<const R: usize, const P: usize, const L: usize> Conv1Sums<'_, R, P, L> {
    /// Adds one channel to all sums.
    ///
    /// # Safety
    /// `x` must point to the channel of the tile's first pixel in a valid map.
    #[inline(always)]
    unsafe fn add_images<V: Vector>(&self, sums: &mut [[V; P]; R], weight: V, x: *const f32) {
        // SAFETY: guaranteed by the caller.
        unsafe {
            self.add_image::<V, 0>(sums, weight, x);
            self.add_image::<V, 1>(sums, weight, x);
            self.add_image::<V, 2>(sums, weight, x);
            self.add_image::<V, 3>(sums, weight, x);
            self.add_image::<V, 4>(sums, weight, x);
            self.add_image::<V, 5>(sums, weight, x);
            self.add_image::<V, 6>(sums, weight, x);
            self.add_image::<V, 7>(sums, weight, x);
        }
    }

    /// The same for image `I`.
    ///
    /// # Safety
    /// As for [`Conv1Sums::add_images`].
    #[inline(always)]
    unsafe fn add_image<V: Vector, const I: usize>(
        &self,
        sums: &mut [[V; P]; R],
        weight: V,
        x: *const f32,
    ) {
        if I >= R {
            return;
        }
        let x = x.wrapping_add(I * self.0.sizes.in_image());
        let sums = &mut sums[I];
        // SAFETY: guaranteed by the caller.
        unsafe {
            Self::add_pixel::<V, 0>(sums, weight, x);
            Self::add_pixel::<V, 1>(sums, weight, x);
            Self::add_pixel::<V, 2>(sums, weight, x);
            Self::add_pixel::<V, 3>(sums, weight, x);
            Self::add_pixel::<V, 4>(sums, weight, x);
            Self::add_pixel::<V, 5>(sums, weight, x);
            Self::add_pixel::<V, 6>(sums, weight, x);
            Self::add_pixel::<V, 7>(sums, weight, x);
            Self::add_pixel::<V, 8>(sums, weight, x);
            Self::add_pixel::<V, 9>(sums, weight, x);
            Self::add_pixel::<V, 10>(sums, weight, x);
            Self::add_pixel::<V, 11>(sums, weight, x);
        }
    }

    /// The same for pixel `C`.
    ///
    /// # Safety
    /// As for [`Conv1Sums::add_images`].
    #[inline(always)]
    unsafe fn add_pixel<V: Vector, const C: usize>(sums: &mut [V; P], weight: V, x: *const f32) {
        if C < P {
            // SAFETY: guaranteed by the caller.
            let value = V::splat(unsafe { *x.wrapping_add(C * L) });
            sums[C] = value.fma(weight, sums[C]);
        }
    }
}
