//! Maps of which each channel of an image is multiplied by a number: planes
//! `[image][block][pixel][lane]`, numbers `[image][block][lane]`.

use super::norm::stripes;
use super::simd::{Isa, Kernel, Vector};

/// `out = x · factor`; with the gradient with respect to the output as `x` that with respect to the input.
pub(crate) struct ScaleChannels<'a> {
    pub(crate) lanes: usize,
    pub(crate) pixels: usize,
    pub(crate) x: &'a [f32],
    pub(crate) factors: &'a [f32],
    pub(crate) out: &'a mut [f32],
}

impl ScaleChannels<'_> {
    pub(crate) fn run_on(self, isa: Isa) {
        isa.run(self.lanes, self);
    }
}

impl Kernel for ScaleChannels<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let plane = self.pixels * V::LANES;
        let planes = self.x.chunks_exact(plane);
        let planes = planes.zip(self.out.chunks_exact_mut(plane));
        for ((x, out), factor) in planes.zip(self.factors.chunks_exact(V::LANES)) {
            let factor = V::load(factor);
            for (x, out) in x.chunks_exact(V::LANES).zip(out.chunks_exact_mut(V::LANES)) {
                V::load(x).mul(factor).store(out);
            }
        }
    }
}

/// The gradient of [`ScaleChannels`] with respect to the numbers, summed in four stripes as
/// [`super::norm`] does.
pub(crate) struct ScaleSums<'a> {
    pub(crate) lanes: usize,
    pub(crate) pixels: usize,
    pub(crate) x: &'a [f32],
    pub(crate) dout: &'a [f32],
    pub(crate) sums: &'a mut [f32],
}

impl ScaleSums<'_> {
    pub(crate) fn run_on(self, isa: Isa) {
        isa.run(self.lanes, self);
    }
}

impl Kernel for ScaleSums<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let plane = self.pixels * V::LANES;
        let planes = self.x.chunks_exact(plane);
        let planes = planes.zip(self.dout.chunks_exact(plane));
        for ((x, dout), to) in planes.zip(self.sums.chunks_exact_mut(V::LANES)) {
            let sum = stripes!(
                V,
                plane,
                sum,
                at,
                V::load(&dout[at..]).fma(V::load(&x[at..]), sum)
            );
            sum.store(to);
        }
    }
}
