//! Gradient clipping and stochastic gradient descent, over all parameters at once.

use super::simd::{Isa, Kernel, Vector};

/// The sum of squares of one parameter's gradient, `[block][row][lane]`: for each output channel
/// a chain of FMAs over the rows, then the channels folded left.
pub(crate) struct SumOfSquares<'a> {
    pub(crate) lanes: usize,
    pub(crate) channels: usize,
    pub(crate) gradient: &'a [f32],
    pub(crate) sum: &'a mut f32,
}

impl SumOfSquares<'_> {
    pub(crate) fn run_on(self, isa: Isa) {
        isa.run(self.lanes, self);
    }
}

impl Kernel for SumOfSquares<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let blocks = self.channels.div_ceil(V::LANES);
        let mut total = 0.0;
        for block in self.gradient.chunks_exact(self.gradient.len() / blocks) {
            let mut sum = V::splat(0.0);
            for row in block.chunks_exact(V::LANES) {
                let row = V::load(row);
                sum = row.fma(row, sum);
            }
            let mut lanes = [0.0f32; 16];
            sum.store(&mut lanes);
            // Unused lanes are 0 and do not change the sum.
            for lane in &lanes[..V::LANES] {
                total += lane;
            }
        }
        *self.sum = total;
    }
}

/// [`SumOfSquares`] of a gradient that is not packed, `[out][in][kernel row][kernel column]`, with a
/// kernel of `side × side`.
#[cfg(feature = "burn")]
pub(crate) struct SumOfRows<'a> {
    pub(crate) inputs: usize,
    pub(crate) side: usize,
    pub(crate) gradient: &'a [f32],
    pub(crate) sum: &'a mut f32,
}

#[cfg(feature = "burn")]
impl SumOfRows<'_> {
    pub(crate) fn run_on(self, isa: Isa) {
        isa.run(8, self);
    }
}

#[cfg(feature = "burn")]
impl Kernel for SumOfRows<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let (side, numbers) = (self.side, self.inputs * self.side * self.side);
        let mut total = 0.0;
        for outputs in self.gradient.chunks(V::LANES * numbers) {
            let mut sum = V::splat(0.0);
            // The order of packed gradients: kernel row, input, kernel column.
            for kernel_row in 0..side {
                for input in 0..self.inputs {
                    for column in 0..side {
                        let at = (input * side + kernel_row) * side + column;
                        let mut lanes = [0.0f32; 16];
                        for (lane, row) in lanes.iter_mut().zip(outputs.chunks_exact(numbers)) {
                            *lane = row[at];
                        }
                        let values = V::load(&lanes[..V::LANES]);
                        sum = values.fma(values, sum);
                    }
                }
            }
            let mut lanes = [0.0f32; 16];
            sum.store(&mut lanes);
            for lane in &lanes[..V::LANES] {
                total += lane;
            }
        }
        *self.sum = total;
    }
}

/// One step of SGD as in PyTorch, without dampening.
pub(crate) struct Sgd<'a> {
    /// Factor that clips the gradients' norm.
    pub(crate) factor: f32,
    pub(crate) rate: f32,
    pub(crate) momentum: f32,
    pub(crate) weight_decay: f32,
    pub(crate) nesterov: bool,
    pub(crate) parameters: &'a mut [f32],
    pub(crate) velocities: &'a mut [f32],
    pub(crate) gradients: &'a [f32],
}

impl Sgd<'_> {
    pub(crate) fn run_on(self, isa: Isa) {
        isa.run(8, self);
    }
}

impl Kernel for Sgd<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let [factor, momentum] = [V::splat(self.factor), V::splat(self.momentum)];
        let [decay, rate] = [V::splat(self.weight_decay), V::splat(self.rate).neg()];
        let parameters = self.parameters.chunks_exact_mut(V::LANES);
        let velocities = self.velocities.chunks_exact_mut(V::LANES);
        let gradients = self.gradients.chunks_exact(V::LANES);
        for ((parameter, velocity), gradient) in parameters.zip(velocities).zip(gradients) {
            let old = V::load(parameter);
            let decayed = decay.fma(old, V::load(gradient).mul(factor));
            let new = momentum.fma(V::load(velocity), decayed);
            new.store(velocity);
            let direction = if self.nesterov {
                momentum.fma(new, decayed)
            } else {
                new
            };
            rate.fma(direction, old).store(parameter);
        }
    }
}
