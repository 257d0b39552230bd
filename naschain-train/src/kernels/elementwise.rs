//! Operations on each value of maps by itself. Lengths are multiples of 8.

use super::simd::{Isa, Kernel, Vector};

/// `out = x > 0 ? x : +0`.
pub(crate) struct Relu<'a> {
    pub(crate) x: &'a [f32],
    pub(crate) out: &'a mut [f32],
}

impl Relu<'_> {
    pub(crate) fn run_on(self, isa: Isa) {
        isa.run(8, self);
    }
}

impl Kernel for Relu<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let zero = V::splat(0.0);
        let pairs = self.x.chunks_exact(V::LANES);
        for (x, out) in pairs.zip(self.out.chunks_exact_mut(V::LANES)) {
            let x = V::load(x);
            x.where_greater(x, zero, zero).store(out);
        }
    }
}

/// The gradient of [`Relu`] with respect to its input: `dx = x > 0 ? dout : +0`, or this added to `dx`.
pub(crate) struct ReluBackward<'a> {
    pub(crate) x: &'a [f32],
    pub(crate) dout: &'a [f32],
    pub(crate) dx: &'a mut [f32],
    pub(crate) add: bool,
}

impl ReluBackward<'_> {
    pub(crate) fn run_on(self, isa: Isa) {
        isa.run(8, self);
    }
}

impl Kernel for ReluBackward<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let zero = V::splat(0.0);
        let pairs = self.x.chunks_exact(V::LANES);
        let pairs = pairs.zip(self.dout.chunks_exact(V::LANES));
        for ((x, dout), dx) in pairs.zip(self.dx.chunks_exact_mut(V::LANES)) {
            let part = V::load(dout).where_greater(V::load(x), zero, zero);
            let part = if self.add {
                V::load(dx).add(part)
            } else {
                part
            };
            part.store(dx);
        }
    }
}

/// `out = a + b`.
pub(crate) struct Sum<'a> {
    pub(crate) terms: [&'a [f32]; 2],
    pub(crate) out: &'a mut [f32],
}

impl Sum<'_> {
    pub(crate) fn run_on(self, isa: Isa) {
        isa.run(8, self);
    }
}

impl Kernel for Sum<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let [a, b] = self.terms.map(|term| term.chunks_exact(V::LANES));
        for ((a, b), out) in a.zip(b).zip(self.out.chunks_exact_mut(V::LANES)) {
            V::load(a).add(V::load(b)).store(out);
        }
    }
}
