//! Operations on each value of maps by itself. Lengths are multiples of 8.

use super::simd::{Isa, Kernel, Vector};

/// A function of one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Function {
    /// `x > 0 ? x : +0`
    Relu,
    /// `min(max(x + 3, 0), 6) / 6`
    HardSigmoid,
    /// `x · min(max(x + 3, 0), 6) / 6`
    HardSwish,
}

/// `out = function(x)`.
pub(crate) struct Apply<'a> {
    pub(crate) function: Function,
    pub(crate) x: &'a [f32],
    pub(crate) out: &'a mut [f32],
}

impl Apply<'_> {
    pub(crate) fn run_on(self, isa: Isa) {
        isa.run(8, self);
    }

    #[inline(always)]
    fn each<V: Vector>(self, value: impl Fn(V) -> V) {
        let pairs = self.x.chunks_exact(V::LANES);
        for (x, out) in pairs.zip(self.out.chunks_exact_mut(V::LANES)) {
            value(V::load(x)).store(out);
        }
    }
}

impl Kernel for Apply<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        match self.function {
            Function::Relu => self.each(|x: V| positive(x, x)),
            Function::HardSigmoid => self.each(|x: V| clamped(x).div(V::splat(6.0))),
            Function::HardSwish => self.each(|x: V| x.mul(clamped(x)).div(V::splat(6.0))),
        }
    }
}

/// The gradient of [`Apply`] with respect to its input, or this added to `dx`.
pub(crate) struct ApplyBackward<'a> {
    pub(crate) function: Function,
    pub(crate) x: &'a [f32],
    pub(crate) dout: &'a [f32],
    pub(crate) dx: &'a mut [f32],
    pub(crate) add: bool,
}

impl ApplyBackward<'_> {
    pub(crate) fn run_on(self, isa: Isa) {
        isa.run(8, self);
    }

    #[inline(always)]
    fn each<V: Vector>(self, part: impl Fn(V, V) -> V) {
        let pairs = self.x.chunks_exact(V::LANES);
        let pairs = pairs.zip(self.dout.chunks_exact(V::LANES));
        for ((x, dout), dx) in pairs.zip(self.dx.chunks_exact_mut(V::LANES)) {
            let part = part(V::load(x), V::load(dout));
            let part = if self.add {
                V::load(dx).add(part)
            } else {
                part
            };
            part.store(dx);
        }
    }
}

impl Kernel for ApplyBackward<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let [zero, half, three] = [0.0, 0.5, 3.0].map(V::splat);
        let (minus_three, six) = (V::splat(-3.0), V::splat(6.0));
        match self.function {
            Function::Relu => self.each(positive::<V>),
            Function::HardSigmoid => self.each(|x: V, d| {
                let below = d.div(six).where_greater(three, x, zero);
                below.where_greater(x, minus_three, zero)
            }),
            Function::HardSwish => self.each(|x: V, d| {
                let between = d.mul(x.div(three).add(half));
                let below = between.where_greater(three, x, d);
                below.where_greater(x, minus_three, zero)
            }),
        }
    }
}

/// `x > 0 ? value : +0`
#[inline(always)]
fn positive<V: Vector>(x: V, value: V) -> V {
    let zero = V::splat(0.0);
    value.where_greater(x, zero, zero)
}

/// `x + 3` from 0 to 6.
#[inline(always)]
fn clamped<V: Vector>(x: V) -> V {
    let six = V::splat(6.0);
    let t = x.add(V::splat(3.0));
    let t = positive(t, t);
    t.where_greater(six, t, six)
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
