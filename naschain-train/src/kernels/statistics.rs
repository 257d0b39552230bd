//! Batch norm's per-channel statistics from sums over a batch.

use super::simd::{Isa, Kernel, Vector};

pub(crate) const EPSILON: f32 = 1e-5;
const MOMENTUM: f32 = 0.1;

/// Statistics of a batch norm: one value per channel, padded to a multiple of 8.
#[derive(Clone, Debug)]
pub(crate) struct NormStatistics {
    pub(crate) mean: Vec<f32>,
    /// 1 / √(variance + ε)
    pub(crate) inverse: Vec<f32>,
    /// weight / √(variance + ε)
    pub(crate) scale: Vec<f32>,
    pub(crate) running_mean: Vec<f32>,
    pub(crate) running_var: Vec<f32>,
    /// The mean over the batch of `g`, the gradient before ReLU.
    pub(crate) a: Vec<f32>,
    /// The mean over the batch of `g · (z - mean)`, divided by the variance.
    pub(crate) b: Vec<f32>,
}

impl NormStatistics {
    pub(crate) fn new(running_mean: Vec<f32>, running_var: Vec<f32>) -> NormStatistics {
        let zeros = vec![0.0; running_mean.len()];
        NormStatistics {
            mean: zeros.clone(),
            inverse: zeros.clone(),
            scale: zeros.clone(),
            a: zeros.clone(),
            b: zeros,
            running_mean,
            running_var,
        }
    }
}

/// The mean: `statistics.mean / images`, in place.
pub(crate) struct Mean<'a> {
    pub(crate) images: usize,
    pub(crate) mean: &'a mut [f32],
}

impl Mean<'_> {
    pub(crate) fn run_on(self, isa: Isa) {
        isa.run(8, self);
    }
}

impl Kernel for Mean<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let images = V::splat(self.images as f32);
        for mean in self.mean.chunks_exact_mut(V::LANES) {
            V::load(mean).div(images).store(mean);
        }
    }
}

/// Inverse standard deviation and scale from the batch's sum of squares, and one step of the
/// running statistics: `running + 0.1 · (new - running)`, the variance unbiased as in PyTorch.
pub(crate) struct BatchStatistics<'a> {
    /// Images × pixels.
    pub(crate) count: usize,
    pub(crate) squares: &'a [f32],
    pub(crate) weight: &'a [f32],
    pub(crate) statistics: &'a mut NormStatistics,
}

impl BatchStatistics<'_> {
    pub(crate) fn run_on(self, isa: Isa) {
        isa.run(8, self);
    }
}

impl Kernel for BatchStatistics<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let statistics = self.statistics;
        let count = V::splat(self.count as f32);
        let unbiased = V::splat(self.count.saturating_sub(1).max(1) as f32);
        let momentum = V::splat(MOMENTUM);
        for at in (0..self.squares.len()).step_by(V::LANES) {
            let squares = V::load(&self.squares[at..]);
            let var = squares.div(count);
            let inverse = V::splat(1.0).div(var.add(V::splat(EPSILON)).sqrt());
            inverse.store(&mut statistics.inverse[at..]);
            let scale = V::load(&self.weight[at..]).mul(inverse);
            scale.store(&mut statistics.scale[at..]);
            let follow = |running: &mut [f32], new: V| {
                let old = V::load(running);
                momentum.fma(new.sub(old), old).store(running);
            };
            follow(
                &mut statistics.running_mean[at..],
                V::load(&statistics.mean[at..]),
            );
            follow(&mut statistics.running_var[at..], squares.div(unbiased));
        }
    }
}

/// Mean, inverse standard deviation and scale from the running statistics.
pub(crate) struct RunningStatistics<'a> {
    pub(crate) weight: &'a [f32],
    pub(crate) statistics: &'a mut NormStatistics,
}

impl RunningStatistics<'_> {
    pub(crate) fn run_on(self, isa: Isa) {
        isa.run(8, self);
    }
}

impl Kernel for RunningStatistics<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let statistics = self.statistics;
        statistics.mean.copy_from_slice(&statistics.running_mean);
        for at in (0..self.weight.len()).step_by(V::LANES) {
            let var = V::load(&statistics.running_var[at..]);
            let inverse = V::splat(1.0).div(var.add(V::splat(EPSILON)).sqrt());
            inverse.store(&mut statistics.inverse[at..]);
            let scale = V::load(&self.weight[at..]).mul(inverse);
            scale.store(&mut statistics.scale[at..]);
        }
    }
}

/// From the batch's sums: the gradients of weight and bias, and the coefficients `a` and `b` of the
/// gradient with respect to the input.
pub(crate) struct BackwardStatistics<'a> {
    /// Images × pixels.
    pub(crate) count: usize,
    /// The sum of `g`, which is the gradient of the bias.
    pub(crate) gradients: &'a [f32],
    /// The sum of `g · (z - mean)`.
    pub(crate) products: &'a [f32],
    pub(crate) weight_gradient: &'a mut [f32],
    pub(crate) bias_gradient: &'a mut [f32],
    pub(crate) statistics: &'a mut NormStatistics,
}

impl BackwardStatistics<'_> {
    pub(crate) fn run_on(self, isa: Isa) {
        isa.run(8, self);
    }
}

impl Kernel for BackwardStatistics<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let statistics = self.statistics;
        let count = V::splat(self.count as f32);
        for at in (0..self.gradients.len()).step_by(V::LANES) {
            let gradient = V::load(&self.gradients[at..]);
            let inverse = V::load(&statistics.inverse[at..]);
            let weight = V::load(&self.products[at..]).mul(inverse);
            weight.store(&mut self.weight_gradient[at..]);
            gradient.store(&mut self.bias_gradient[at..]);
            gradient.div(count).store(&mut statistics.a[at..]);
            let b = weight.mul(inverse).div(count);
            b.store(&mut statistics.b[at..]);
        }
    }
}
