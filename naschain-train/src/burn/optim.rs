//! Stochastic gradient descent as burn's optimiser, and the schedule of its learning rate.

use burn::lr_scheduler::LrScheduler;
use burn::module::{AutodiffModule, ModuleMapper, ModuleVisitor, Param};
use burn::optim::{GradientsParams, LearningRate, MultiGradientsParams, Optimizer};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::ops::FloatTensor;
use burn::tensor::{Tensor, TensorData};
use naschain_core::Recipe;

use super::layers::values;
use super::map::{primitive, tensor};
use super::ops::{ExactOps, SgdStep};
use crate::schedule::LearningRates;

/// SGD with momentum and weight decay as in PyTorch, after all gradients are clipped to a global
/// norm. Its record contains the velocities, in the order in which a module visits its parameters.
#[derive(Clone, Debug)]
pub struct ExactSgd<B: Backend> {
    momentum: f32,
    weight_decay: f32,
    nesterov: bool,
    clip_norm: f32,
    /// Of each tensor of the module, flattened; `None` before its first gradient.
    velocities: Vec<Option<Tensor<B, 1>>>,
}

impl<B: Backend> ExactSgd<B> {
    /// With the recipe's momentum, weight decay and clipping.
    pub fn new(recipe: &Recipe) -> ExactSgd<B> {
        ExactSgd {
            momentum: recipe.momentum as f32,
            weight_decay: recipe.weight_decay as f32,
            nesterov: recipe.nesterov,
            clip_norm: recipe.clip_norm as f32,
            velocities: Vec::new(),
        }
    }

    /// Continues with the velocities of a checkpoint; `places` are the indices of their tensors among
    /// all float tensors of the module.
    pub(super) fn resume(
        &mut self,
        places: &[usize],
        velocities: &[Option<Vec<f32>>],
        device: &B::Device,
    ) {
        let last = places.last().map_or(0, |place| place + 1);
        self.velocities = vec![None; last];
        for (&place, velocity) in places.iter().zip(velocities) {
            self.velocities[place] = velocity.clone().map(|values| {
                let shape = [values.len()];
                Tensor::from_data(TensorData::new(values, shape), device)
            });
        }
    }

    /// The velocities at some places, on the host.
    pub(super) fn read(&self, places: &[usize]) -> Vec<Option<Vec<f32>>> {
        let read = |&place: &usize| Some(values(self.velocities.get(place)?.clone()?));
        places.iter().map(read).collect()
    }
}

impl<A, M> Optimizer<M, A> for ExactSgd<A::InnerBackend>
where
    A: AutodiffBackend,
    A::InnerBackend: ExactOps,
    M: AutodiffModule<A>,
{
    type Record = Vec<Option<Tensor<A, 1>>>;

    fn step(&mut self, rate: LearningRate, module: M, gradients: GradientsParams) -> M {
        let mut all = InOrder {
            gradients: &gradients,
            found: Vec::new(),
        };
        module.visit(&mut all);
        if all.found.is_empty() {
            return module;
        }
        let squares = A::InnerBackend::exact_sums_of_squares(all.found);
        let step = SgdStep {
            clip_norm: self.clip_norm,
            rate: rate as f32,
            momentum: self.momentum,
            weight_decay: self.weight_decay,
            nesterov: self.nesterov,
        };
        module.map(&mut UpdateMapper {
            step,
            squares,
            gradients,
            velocities: &mut self.velocities,
            next: 0,
        })
    }

    fn step_multi(&mut self, rate: LearningRate, module: M, grads: MultiGradientsParams) -> M {
        let mut total = Total {
            parts: grads,
            gradients: GradientsParams::new(),
        };
        module.visit(&mut total);
        self.step(rate, module, total.gradients)
    }

    fn to_record(&self) -> Self::Record {
        let velocities = self.velocities.iter();
        velocities
            .map(|velocity| velocity.clone().map(Tensor::from_inner))
            .collect()
    }

    fn load_record(mut self, record: Self::Record) -> Self {
        let velocities = record.into_iter();
        self.velocities = velocities
            .map(|velocity| velocity.map(Tensor::inner))
            .collect();
        self
    }
}

/// Adds the gradients of several devices, in the order in which they are listed.
struct Total {
    parts: MultiGradientsParams,
    gradients: GradientsParams,
}

impl<A: AutodiffBackend> ModuleVisitor<A> for Total {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<A, D>>) {
        if let Some((sum, _)) = self.parts.remove::<A::InnerBackend, D>(param.id) {
            self.gradients.register(param.id, sum);
        }
    }
}

/// Collects all gradients, in declaration order.
struct InOrder<'a, B: Backend> {
    gradients: &'a GradientsParams,
    found: Vec<FloatTensor<B>>,
}

impl<A: AutodiffBackend> ModuleVisitor<A> for InOrder<'_, A::InnerBackend> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<A, D>>) {
        if let Some(gradient) = self.gradients.get::<A::InnerBackend, D>(param.id) {
            self.found.push(primitive(gradient));
        }
    }
}

struct UpdateMapper<'a, B: Backend> {
    step: SgdStep,
    squares: FloatTensor<B>,
    gradients: GradientsParams,
    velocities: &'a mut Vec<Option<Tensor<B, 1>>>,
    /// Number of the next tensor in declaration order.
    next: usize,
}

impl<A: AutodiffBackend> ModuleMapper<A> for UpdateMapper<'_, A::InnerBackend>
where
    A::InnerBackend: ExactOps,
{
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<A, D>>) -> Param<Tensor<A, D>> {
        let (id, parameter, mapper) = param.consume();
        let at = self.next;
        self.next += 1;
        let Some(gradient) = self.gradients.remove::<A::InnerBackend, D>(id) else {
            return Param::from_mapped_value(id, parameter, mapper);
        };
        if self.velocities.len() <= at {
            self.velocities.resize(at + 1, None);
        }
        let shape = gradient.dims();
        let velocity = self.velocities[at].take();
        let velocity = velocity.map(|velocity| primitive(velocity.reshape(shape)));
        let parameter = primitive(parameter.inner());
        let (gradient, squares) = (primitive(gradient), self.squares.clone());
        let [parameter, velocity] =
            A::InnerBackend::exact_sgd(parameter, velocity, gradient, squares, self.step);
        let velocity: Tensor<A::InnerBackend, D> = tensor(velocity);
        self.velocities[at] = Some(velocity.reshape([shape.iter().product::<usize>()]));
        let parameter: Tensor<A::InnerBackend, D> = tensor(parameter);
        let parameter = Tensor::from_inner(parameter).require_grad();
        Param::from_mapped_value(id, parameter, mapper)
    }
}

/// The recipe's learning rate for each step: linear warm-up, then half a cosine down to 0.
#[derive(Clone, Debug)]
pub struct ExactSchedule {
    schedule: LearningRates,
    done: usize,
}

impl ExactSchedule {
    /// For a training of `steps_an_epoch` steps in each of the recipe's epochs.
    pub fn new(recipe: &Recipe, steps_an_epoch: usize) -> ExactSchedule {
        ExactSchedule {
            schedule: LearningRates::new(recipe, steps_an_epoch),
            done: 0,
        }
    }
}

impl LrScheduler for ExactSchedule {
    /// The number of finished steps.
    type Record<B: Backend> = usize;

    fn step(&mut self) -> LearningRate {
        self.done += 1;
        self.schedule.rate(self.done - 1)
    }

    fn to_record<B: Backend>(&self) -> usize {
        self.done
    }

    fn load_record<B: Backend>(mut self, record: usize) -> Self {
        self.done = record;
        self
    }
}
