//! Sums over images with one value per channel: a left fold over the images of each block of
//! [`super::BLOCK`], then a left fold over the blocks.

use super::simd::{Isa, Kernel, Vector};

/// `out = fold(values)` or `out += fold(values)`, the left fold over the images.
pub(crate) struct FoldImages<'a> {
    /// `[image][channel]`
    pub(crate) values: &'a [f32],
    /// `[channel]`, a multiple of 8.
    pub(crate) out: &'a mut [f32],
    /// Whether to add to the fold of the previous blocks.
    pub(crate) add: bool,
}

impl FoldImages<'_> {
    pub(crate) fn run_on(self, isa: Isa) {
        isa.run(8, self);
    }
}

impl Kernel for FoldImages<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let channels = self.out.len();
        for (at, out) in self.out.chunks_exact_mut(V::LANES).enumerate() {
            let at = at * V::LANES;
            let mut images = self.values.chunks_exact(channels);
            let Some(first) = images.next() else { return };
            let mut sum = V::load(&first[at..]);
            for image in images {
                sum = sum.add(V::load(&image[at..]));
            }
            if self.add {
                V::load(out).add(sum).store(out)
            } else {
                sum.store(out)
            }
        }
    }
}

/// Converts each image's sum of squares about its own mean to that about the batch's mean, in
/// place: `squares + (pixels · d) · d` with `d = image's mean - mean`.
pub(crate) struct Recentre<'a> {
    pub(crate) pixels: usize,
    /// `[channel]`, a multiple of 8.
    pub(crate) mean: &'a [f32],
    /// `[image][channel]`
    pub(crate) means: &'a [f32],
    pub(crate) squares: &'a mut [f32],
}

impl Recentre<'_> {
    pub(crate) fn run_on(self, isa: Isa) {
        isa.run(8, self);
    }
}

impl Kernel for Recentre<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let channels = self.mean.len();
        let pixels = V::splat(self.pixels as f32);
        let images = self.means.chunks_exact(channels);
        for (means, squares) in images.zip(self.squares.chunks_exact_mut(channels)) {
            for at in (0..channels).step_by(V::LANES) {
                let d = V::load(&means[at..]).sub(V::load(&self.mean[at..]));
                let squares = &mut squares[at..];
                pixels.mul(d).fma(d, V::load(squares)).store(squares);
            }
        }
    }
}

/// Multiplies each image by its drop-path factor: `to = factor · from`, or `to = fma(factor, from,
/// to)`.
pub(crate) struct Scale<'a> {
    /// One per image.
    pub(crate) factors: &'a [f32],
    /// `[image][element]`, a multiple of 8 elements per image.
    pub(crate) from: &'a [f32],
    pub(crate) to: &'a mut [f32],
    pub(crate) add: bool,
}

impl Scale<'_> {
    pub(crate) fn run_on(self, isa: Isa) {
        isa.run(8, self);
    }
}

impl Kernel for Scale<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let image = self.from.len() / self.factors.len();
        let images = self
            .from
            .chunks_exact(image)
            .zip(self.to.chunks_exact_mut(image));
        for ((from, to), &factor) in images.zip(self.factors) {
            let factor = V::splat(factor);
            for (from, to) in from
                .chunks_exact(V::LANES)
                .zip(to.chunks_exact_mut(V::LANES))
            {
                let from = V::load(from);
                if self.add {
                    factor.fma(from, V::load(to)).store(to)
                } else {
                    factor.mul(from).store(to)
                }
            }
        }
    }
}

/// `to += from`, or `to = from`; the length is a multiple of 8.
pub(crate) struct Accumulate<'a> {
    pub(crate) from: &'a [f32],
    pub(crate) to: &'a mut [f32],
    pub(crate) add: bool,
}

impl Accumulate<'_> {
    pub(crate) fn run_on(self, isa: Isa) {
        isa.run(8, self);
    }
}

impl Kernel for Accumulate<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        if !self.add {
            self.to.copy_from_slice(self.from);
            return;
        }
        let pairs = self.from.chunks_exact(V::LANES);
        for (from, to) in pairs.zip(self.to.chunks_exact_mut(V::LANES)) {
            V::load(to).add(V::load(from)).store(to);
        }
    }
}

/// Adds a bias to each image, in place.
pub(crate) struct AddBias<'a> {
    /// The length is a multiple of 8.
    pub(crate) bias: &'a [f32],
    /// `[image][element]`
    pub(crate) to: &'a mut [f32],
}

impl AddBias<'_> {
    pub(crate) fn run_on(self, isa: Isa) {
        isa.run(8, self);
    }
}

impl Kernel for AddBias<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        for image in self.to.chunks_exact_mut(self.bias.len()) {
            for at in (0..self.bias.len()).step_by(V::LANES) {
                let to = &mut image[at..];
                V::load(to).add(V::load(&self.bias[at..])).store(to);
            }
        }
    }
}
