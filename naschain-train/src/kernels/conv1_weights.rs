//! The gradient of a 1×1 convolution with respect to its weights, over one chunk of images.
//!
//! Lanes are output channels; a tile holds the sums of several input channels and iterates over all
//! pixels. Every sum runs over image, pixel.

#![allow(unsafe_code)] // tiles read and write unchecked, within bounds that `Sizes1::check` verified

use super::conv1::Sizes1;
use super::simd::{Isa, Kernel, Vector};

/// `gradient = Σ x · dz` or `gradient += Σ x · dz`, the sum over the images of one chunk, for the
/// weights that read one of the maps.
pub(crate) struct Conv1Weights<'a> {
    pub(crate) sizes: Sizes1,
    /// Index of the map.
    pub(crate) map: usize,
    /// `[image][block][pixel][lane]`
    pub(crate) x: &'a [f32],
    /// The gradient with respect to the output, in the layout of `x`.
    pub(crate) dz: &'a [f32],
    /// `[block][map][in channel][lane]`
    pub(crate) gradient: &'a mut [f32],
    pub(crate) add: bool,
}

impl Conv1Weights<'_> {
    pub(crate) fn run_on(self, isa: Isa) {
        isa.run(self.sizes.out_lanes, self);
    }
}

impl Kernel for Conv1Weights<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let sizes = self.sizes;
        sizes.check(self.x.len(), self.gradient.len(), self.dz.len());
        assert!(self.map < sizes.maps);
        assert_eq!(sizes.out_lanes, V::LANES);
        for block in 0..sizes.out_blocks() {
            let dz = self.dz[block * sizes.pixels * V::LANES..].as_ptr();
            let first = block * sizes.block_weights() + self.map * sizes.in_channels * V::LANES;
            let mut channel = 0;
            while channel < sizes.in_channels {
                let (in_block, lane) = (channel / sizes.in_lanes, channel % sizes.in_lanes);
                let x = in_block * sizes.pixels * sizes.in_lanes + lane;
                let at = Conv1WeightsTile {
                    sizes: &sizes,
                    x: self.x[x..].as_ptr(),
                    dz,
                    gradient: self.gradient[first + channel * V::LANES..].as_mut_ptr(),
                    add: self.add,
                };
                let left = (sizes.in_channels - channel).min(sizes.in_lanes - lane);
                channel += match left {
                    16.. if V::REGISTERS > 16 => at.tile::<V, 16>(),
                    8.. => at.tile::<V, 8>(),
                    4.. => at.tile::<V, 4>(),
                    2.. => at.tile::<V, 2>(),
                    _ => at.tile::<V, 1>(),
                };
            }
        }
    }
}

/// Pointers and dimensions of a tile.
#[derive(Clone, Copy)]
struct Conv1WeightsTile<'a> {
    sizes: &'a Sizes1,
    x: *const f32,
    dz: *const f32,
    gradient: *mut f32,
    add: bool,
}

impl Conv1WeightsTile<'_> {
    #[inline(always)]
    fn tile<V: Vector, const N: usize>(self) -> usize {
        V::enter(Conv1WeightsSums::<N>(self));
        N
    }
}

/// A tile: the sums for `N` input channels.
struct Conv1WeightsSums<'a, const N: usize>(Conv1WeightsTile<'a>);

impl<const N: usize> Kernel for Conv1WeightsSums<'_, N> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Conv1WeightsTile { sizes, .. } = self.0;
        let mut sums = [V::splat(0.0); N];
        for image in 0..sizes.images {
            let mut x = self.0.x.wrapping_add(image * sizes.in_image());
            let mut dz = self.0.dz.wrapping_add(image * sizes.out_image());
            for _ in 0..sizes.pixels {
                // SAFETY: the slices are as large as `sizes` requires (`Sizes1::check`), and the
                // `N` channels are in one block.
                unsafe {
                    let here = V::read(dz);
                    add::<V, N, 0>(&mut sums, here, x);
                    add::<V, N, 1>(&mut sums, here, x);
                    add::<V, N, 2>(&mut sums, here, x);
                    add::<V, N, 3>(&mut sums, here, x);
                    add::<V, N, 4>(&mut sums, here, x);
                    add::<V, N, 5>(&mut sums, here, x);
                    add::<V, N, 6>(&mut sums, here, x);
                    add::<V, N, 7>(&mut sums, here, x);
                    add::<V, N, 8>(&mut sums, here, x);
                    add::<V, N, 9>(&mut sums, here, x);
                    add::<V, N, 10>(&mut sums, here, x);
                    add::<V, N, 11>(&mut sums, here, x);
                    add::<V, N, 12>(&mut sums, here, x);
                    add::<V, N, 13>(&mut sums, here, x);
                    add::<V, N, 14>(&mut sums, here, x);
                    add::<V, N, 15>(&mut sums, here, x);
                }
                x = x.wrapping_add(sizes.in_lanes);
                dz = dz.wrapping_add(V::LANES);
            }
        }
        for (n, sum) in sums.into_iter().enumerate() {
            let to = self.0.gradient.wrapping_add(n * V::LANES);
            // SAFETY: as above.
            unsafe {
                if self.0.add {
                    V::read(to).add(sum).write(to)
                } else {
                    sum.write(to)
                }
            }
        }
    }
}

/// Adds one pixel of channel `I`.
///
/// # Safety
/// `N` values must be readable at `x`.
#[inline(always)]
unsafe fn add<V: Vector, const N: usize, const I: usize>(
    sums: &mut [V; N],
    here: V,
    x: *const f32,
) {
    if I < N {
        // SAFETY: guaranteed by the caller.
        let value = V::splat(unsafe { *x.wrapping_add(I) });
        sums[I] = value.fma(here, sums[I]);
    }
}
