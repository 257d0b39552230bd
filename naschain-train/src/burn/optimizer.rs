//! Stochastic gradient descent with weight decay and momentum, with access to the velocities for
//! checkpoints, which burn's own does not give.

use burn::module::{Module, ModuleMapper, Param};
use burn::optim::GradientsParams;
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Tensor, TensorData};
use naschain_core::Recipe;

use super::layers::values;
use super::network::BurnNetwork;

/// SGD as in PyTorch, without dampening: the velocity is momentum × velocity + gradient, and the
/// gradient includes the weight decay.
pub(crate) struct Sgd<B: Backend> {
    /// The velocity of each parameter in declaration order, flattened; `None` before its first
    /// gradient.
    velocities: Vec<Option<Tensor<B, 1>>>,
}

impl<B: Backend> Sgd<B> {
    /// Starts from velocities that [`Sgd::read`] returned, or from none.
    pub(crate) fn new(velocities: &[Option<Vec<f32>>], device: &B::Device) -> Sgd<B> {
        let load = |values: &Option<Vec<f32>>| {
            let values = values.clone()?;
            let shape = [values.len()];
            Some(Tensor::from_data(TensorData::new(values, shape), device))
        };
        Sgd {
            velocities: velocities.iter().map(load).collect(),
        }
    }

    /// Copies the velocities to the host.
    pub(crate) fn read(&self) -> Vec<Option<Vec<f32>>> {
        let read = |velocity: &Option<Tensor<B, 1>>| velocity.clone().map(values);
        self.velocities.iter().map(read).collect()
    }

    /// Returns the network after one step. A parameter without a gradient does not change.
    pub(crate) fn step<A>(
        &mut self,
        recipe: &Recipe,
        rate: f64,
        network: BurnNetwork<A>,
        gradients: GradientsParams,
    ) -> BurnNetwork<A>
    where
        A: AutodiffBackend<InnerBackend = B>,
    {
        network.map(&mut SgdMapper {
            sgd: self,
            recipe,
            gradients,
            rate,
            next: 0,
        })
    }

    /// The value to subtract from parameter number `index` in this step.
    fn delta<const D: usize>(
        &mut self,
        index: usize,
        parameter: Tensor<B, D>,
        gradient: Tensor<B, D>,
        recipe: &Recipe,
        rate: f64,
    ) -> Tensor<B, D> {
        let shape = gradient.dims();
        let decayed = parameter
            .mul_scalar(recipe.weight_decay as f32)
            .add(gradient);
        if self.velocities.len() <= index {
            self.velocities.resize(index + 1, None);
        }
        let velocity = match self.velocities[index].take() {
            Some(velocity) => {
                let velocity = velocity.reshape(shape).mul_scalar(recipe.momentum);
                decayed.clone().add(velocity)
            }
            None => decayed.clone(),
        };
        let count = shape.iter().product::<usize>();
        self.velocities[index] = Some(velocity.clone().reshape([count]));
        let direction = if recipe.nesterov {
            velocity.mul_scalar(recipe.momentum).add(decayed)
        } else {
            velocity
        };
        direction.mul_scalar(rate)
    }
}

struct SgdMapper<'a, A: AutodiffBackend> {
    sgd: &'a mut Sgd<A::InnerBackend>,
    recipe: &'a Recipe,
    gradients: GradientsParams,
    rate: f64,
    /// Index of the next parameter in declaration order.
    next: usize,
}

impl<A: AutodiffBackend> ModuleMapper<A> for SgdMapper<'_, A> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<A, D>>) -> Param<Tensor<A, D>> {
        let (id, parameter, mapper) = param.consume();
        let index = self.next;
        self.next += 1;
        let parameter = match self.gradients.remove::<A::InnerBackend, D>(id) {
            Some(gradient) => {
                let inner = parameter.inner();
                let sgd = &mut self.sgd;
                let delta = sgd.delta(index, inner.clone(), gradient, self.recipe, self.rate);
                Tensor::from_inner(inner - delta).require_grad()
            }
            None => parameter,
        };
        Param::from_mapped_value(id, parameter, mapper)
    }
}

#[cfg(test)]
mod tests {
    use burn::backend::Flex;

    use super::*;

    // torch.optim.SGD(lr=0.1, momentum=0.9, weight_decay=0.01, nesterov=...), PyTorch 2.15, from
    // [1, -2] with these three gradients.
    #[test]
    fn three_steps_match_pytorch() {
        for (nesterov, right) in [
            (false, [0.861_609_76, -2.082_009_8]),
            (true, [0.847_869_75, -2.079_911_7]),
        ] {
            let mut recipe = Recipe::default();
            recipe.weight_decay = 0.01;
            recipe.nesterov = nesterov;
            let device = Default::default();
            let mut sgd = Sgd::<Flex>::new(&[], &device);
            let mut parameter = Tensor::<Flex, 2>::from_data([[1.0, -2.0]], &device);
            for gradient in [[0.5, 1.0], [0.25, -1.0], [-0.5, 0.125]] {
                let gradient = Tensor::from_data([gradient], &device);
                let delta = sgd.delta(0, parameter.clone(), gradient, &recipe, 0.1);
                parameter = parameter - delta;
                // As when resuming from a checkpoint.
                sgd = Sgd::new(&sgd.read(), &device);
            }
            for (found, right) in values(parameter).iter().zip(right) {
                assert!((found - right).abs() < 1e-6, "{found} is not {right}");
            }
        }
    }
}
