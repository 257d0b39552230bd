//! Gradient clipping by global norm (Pascanu et al. 2013). burn's own clips each tensor separately
//! and sums with atomics on CUDA.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use burn::tensor::backend::AutodiffBackend;

use super::network::BurnNetwork;

/// Scales all gradients by one factor so that their global norm is at most `max_norm`.
pub(crate) fn clip<B: AutodiffBackend>(
    network: &BurnNetwork<B>,
    gradients: GradientsParams,
    max_norm: f64,
) -> GradientsParams {
    let mut squares = SquaresVisitor::<B> {
        gradients: &gradients,
        sums: Vec::new(),
    };
    network.visit(&mut squares);
    let norm = Tensor::cat(squares.sums, 1).sum_dim(1).sqrt();
    // max_norm / max(norm, max_norm) is 1 if nothing has to be scaled.
    let factor = norm.clamp_min(max_norm).recip().mul_scalar(max_norm);
    let mut scale = ScaleVisitor::<B> {
        gradients,
        scaled: GradientsParams::new(),
        factor,
    };
    network.visit(&mut scale);
    scale.scaled
}

struct SquaresVisitor<'a, B: AutodiffBackend> {
    gradients: &'a GradientsParams,
    /// The sum of squares of each tensor, `[1, 1]`.
    sums: Vec<Tensor<B::InnerBackend, 2>>,
}

impl<B: AutodiffBackend> ModuleVisitor<B> for SquaresVisitor<'_, B> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        if let Some(gradient) = self.gradients.get::<B::InnerBackend, D>(param.id) {
            let count = gradient.shape().num_elements();
            let row = gradient.reshape([1, count]);
            self.sums.push((row.clone() * row).sum_dim(1));
        }
    }
}

struct ScaleVisitor<B: AutodiffBackend> {
    gradients: GradientsParams,
    scaled: GradientsParams,
    /// `[1, 1]`
    factor: Tensor<B::InnerBackend, 2>,
}

impl<B: AutodiffBackend> ModuleVisitor<B> for ScaleVisitor<B> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        if let Some(gradient) = self.gradients.remove::<B::InnerBackend, D>(param.id) {
            let factor = self.factor.clone().reshape([1; D]);
            self.scaled.register(param.id, gradient * factor);
        }
    }
}
