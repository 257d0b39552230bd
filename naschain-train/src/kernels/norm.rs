//! Batch norm with or without ReLU. Each operation processes whole planes: `[image][block][pixel][lane]`.
//!
//! Sums over the pixels of a plane are made in four stripes (pixel number modulo 4), added as (0 +
//! 1) + (2 + 3). Per-channel values are `[block][lane]`.

use super::simd::{Isa, Kernel, Vector};

/// Batch norm as an affine function of each channel: `(z - mean) · scale + bias`.
#[derive(Clone, Copy)]
pub(crate) struct Affine<'a> {
    pub(crate) mean: &'a [f32],
    pub(crate) scale: &'a [f32],
    pub(crate) bias: &'a [f32],
    /// Whether ReLU follows.
    pub(crate) relu: bool,
}

impl Affine<'_> {
    /// Mean, scale and bias of the block at `at`.
    #[inline(always)]
    fn at<V: Vector>(self, at: usize) -> [V; 3] {
        [
            V::load(&self.mean[at..]),
            V::load(&self.scale[at..]),
            V::load(&self.bias[at..]),
        ]
    }

    /// What passes of `value` where batch norm gives `result`: with ReLU 0 unless that is positive.
    #[inline(always)]
    fn passed<V: Vector>(self, value: V, result: V) -> V {
        let zero = V::splat(0.0);
        if self.relu {
            value.where_greater(result, zero, zero)
        } else {
            value
        }
    }
}

/// Adds the four stripes of a sum.
#[inline(always)]
pub(crate) fn total<V: Vector>(stripes: [V; 4]) -> V {
    let [a, b, c, d] = stripes;
    a.add(b).add(c.add(d))
}

/// Sums over a plane of `numbers` elements: the last expression takes a stripe's sum and the offset of the
/// next pixel.
///
/// A macro, since a closure that is not inlined lacks the target features of its kernel, and then calls a
/// function for each vector instruction.
macro_rules! stripes {
    ($vector:ty, $numbers:expr, $sum:ident, $at:ident, $next:expr) => {{
        let (numbers, step) = ($numbers, <$vector>::LANES);
        let mut sums = [<$vector>::splat(0.0); 4];
        let whole = numbers / (4 * step) * (4 * step);
        for first in (0..whole).step_by(4 * step) {
            for (stripe, sum) in sums.iter_mut().enumerate() {
                let ($sum, $at) = (*sum, first + stripe * step);
                *sum = $next;
            }
        }
        for (sum, $at) in sums.iter_mut().zip((whole..numbers).step_by(step)) {
            let $sum = *sum;
            *sum = $next;
        }
        crate::kernels::norm::total(sums)
    }};
}
pub(crate) use stripes;

/// For each image and channel the mean over the pixels, and the sum of squares about that mean.
pub(crate) struct NormMoments<'a> {
    pub(crate) lanes: usize,
    pub(crate) pixels: usize,
    pub(crate) z: &'a [f32],
    /// `[image][block][lane]`
    pub(crate) means: &'a mut [f32],
    pub(crate) squares: &'a mut [f32],
}

impl NormMoments<'_> {
    pub(crate) fn run_on(self, isa: Isa) {
        isa.run(self.lanes, self);
    }
}

impl Kernel for NormMoments<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let plane = self.pixels * V::LANES;
        let count = V::splat(self.pixels as f32);
        let planes = self.z.chunks_exact(plane);
        let means = self.means.chunks_exact_mut(V::LANES);
        let squares = self.squares.chunks_exact_mut(V::LANES);
        for ((z, mean_to), squares_to) in planes.zip(means).zip(squares) {
            let sum = stripes!(V, plane, sum, at, sum.add(V::load(&z[at..])));
            let mean = sum.div(count);
            let squares = stripes!(V, plane, sum, at, {
                let rest = V::load(&z[at..]).sub(mean);
                rest.fma(rest, sum)
            });
            mean.store(mean_to);
            squares.store(squares_to);
        }
    }
}

/// `y = (z - mean) · scale + bias`, then ReLU if it follows.
pub(crate) struct Normalise<'a> {
    pub(crate) lanes: usize,
    pub(crate) pixels: usize,
    pub(crate) affine: Affine<'a>,
    pub(crate) z: &'a [f32],
    pub(crate) y: &'a mut [f32],
}

impl Normalise<'_> {
    pub(crate) fn run_on(self, isa: Isa) {
        isa.run(self.lanes, self);
    }
}

impl Kernel for Normalise<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let plane = self.pixels * V::LANES;
        let channels = self.affine.mean.len();
        let planes = self
            .z
            .chunks_exact(plane)
            .zip(self.y.chunks_exact_mut(plane));
        for (index, (z, y)) in planes.enumerate() {
            let [mean, scale, bias] = self.affine.at::<V>(index * V::LANES % channels);
            for (z, y) in z.chunks_exact(V::LANES).zip(y.chunks_exact_mut(V::LANES)) {
                let value = V::load(z).sub(mean).fma(scale, bias);
                self.affine.passed(value, value).store(y);
            }
        }
    }
}

/// For each image and channel the sums over the pixels of `g` and of `g · (z - mean)`, where `g` is
/// `dy` if no ReLU follows or its input is positive, otherwise 0.
pub(crate) struct BackwardSums<'a> {
    pub(crate) lanes: usize,
    pub(crate) pixels: usize,
    pub(crate) affine: Affine<'a>,
    pub(crate) z: &'a [f32],
    pub(crate) dy: &'a [f32],
    /// `[image][block][lane]`
    pub(crate) gradients: &'a mut [f32],
    pub(crate) products: &'a mut [f32],
}

impl BackwardSums<'_> {
    pub(crate) fn run_on(self, isa: Isa) {
        isa.run(self.lanes, self);
    }
}

impl Kernel for BackwardSums<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let plane = self.pixels * V::LANES;
        let channels = self.affine.mean.len();
        let zero = V::splat(0.0);
        let planes = self.z.chunks_exact(plane).zip(self.dy.chunks_exact(plane));
        let gradients = self.gradients.chunks_exact_mut(V::LANES);
        let sums = gradients.zip(self.products.chunks_exact_mut(V::LANES));
        for (index, ((z, dy), (gradients, products))) in planes.zip(sums).enumerate() {
            let [mean, scale, bias] = self.affine.at::<V>(index * V::LANES % channels);
            let mut g_sums = [zero; 4];
            let mut product_sums = [zero; 4];
            let pixels = z.chunks_exact(V::LANES).zip(dy.chunks_exact(V::LANES));
            for (pixel, (z, dy)) in pixels.enumerate() {
                let centred = V::load(z).sub(mean);
                let value = centred.fma(scale, bias);
                let g = self.affine.passed(V::load(dy), value);
                g_sums[pixel % 4] = g_sums[pixel % 4].add(g);
                product_sums[pixel % 4] = g.fma(centred, product_sums[pixel % 4]);
            }
            total(g_sums).store(gradients);
            total(product_sums).store(products);
        }
    }
}

/// Replaces `dy` by the gradient with respect to `z`: `((g - a) - (z - mean) · b) · scale`, where
/// the product is subtracted by FMA.
pub(crate) struct BackwardInput<'a> {
    pub(crate) lanes: usize,
    pub(crate) pixels: usize,
    pub(crate) affine: Affine<'a>,
    /// The mean of `g` over the batch.
    pub(crate) a: &'a [f32],
    /// The mean of `g · (z - mean)` over the batch, divided by the variance.
    pub(crate) b: &'a [f32],
    pub(crate) z: &'a [f32],
    pub(crate) dy: &'a mut [f32],
}

impl BackwardInput<'_> {
    pub(crate) fn run_on(self, isa: Isa) {
        isa.run(self.lanes, self);
    }
}

impl Kernel for BackwardInput<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let plane = self.pixels * V::LANES;
        let channels = self.affine.mean.len();
        let planes = self
            .z
            .chunks_exact(plane)
            .zip(self.dy.chunks_exact_mut(plane));
        for (index, (z, dy)) in planes.enumerate() {
            let at = index * V::LANES % channels;
            let [mean, scale, bias] = self.affine.at::<V>(at);
            let [a, b] = [V::load(&self.a[at..]), V::load(&self.b[at..]).neg()];
            for (z, dy) in z.chunks_exact(V::LANES).zip(dy.chunks_exact_mut(V::LANES)) {
                let centred = V::load(z).sub(mean);
                let value = centred.fma(scale, bias);
                let g = self.affine.passed(V::load(dy), value);
                centred.fma(b, g.sub(a)).mul(scale).store(dy);
            }
        }
    }
}
