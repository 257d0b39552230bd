//! Training steps computed by burn, which tests compare with our own.

use burn::module::AutodiffModule;
use burn::optim::GradientsParams;
use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{Tensor, TensorData};
use naschain_core::{NetworkRef, Recipe, Shape};

use super::clipping::clip;
use super::layers::values;
use super::network::BurnNetwork;
use super::optimizer::Sgd;
use super::phase::Paths;
use crate::Error;
use crate::engine::{Engine, StepInput, macro_network};
use crate::evaluation::BATCH;
use crate::loss::{CrossEntropy, Loss};
use crate::weights::{TensorSource, Weights};

/// The burn module with its optimiser.
pub(crate) struct StockTraining<B: AutodiffBackend> {
    /// `None` only during a step, which consumes it.
    module: Option<BurnNetwork<B>>,
    sgd: Sgd<B::InnerBackend>,
    input: Shape,
    device: B::Device,
}

impl<B: AutodiffBackend> Engine for StockTraining<B> {
    type Target = B::Device;

    fn build(
        network: NetworkRef<'_>,
        source: TensorSource,
        device: &B::Device,
    ) -> Result<Self, Error> {
        Ok(StockTraining {
            module: Some(BurnNetwork::build(macro_network(network), source, device)?),
            sgd: Sgd::new(&[], device),
            input: network.input(),
            device: device.clone(),
        })
    }

    fn start_training(&mut self, velocities: &[Option<Vec<f32>>]) {
        self.sgd = Sgd::new(velocities, &self.device);
    }

    fn paths(&self) -> usize {
        self.module().paths()
    }

    fn read(&self) -> Weights {
        self.module().weights()
    }

    fn read_velocities(&self) -> Vec<Option<Vec<f32>>> {
        self.sgd.read()
    }

    fn step(&mut self, step: &StepInput, recipe: &Recipe, rate: f64) -> Loss {
        let module = self.module.take().expect("it is put back below");
        let x = self.tensor(step.pixels.clone());
        let mut paths = Paths::load(&step.factors, &self.device);
        let logits = module.pass(x, true, &mut paths);
        let host = values(logits.clone().inner());
        let mut cross_entropy = CrossEntropy::default();
        let loss = cross_entropy.compute(&host, &step.labels, recipe.label_smoothing);
        // The host computes the gradient with respect to the logits; this sum has exactly that
        // gradient.
        let gradient = TensorData::new(cross_entropy.gradient, logits.dims());
        let gradient = Tensor::<B, 2>::from_data(gradient, &self.device);
        let root = (logits * gradient).sum_dim(1).sum_dim(0);
        let gradients = GradientsParams::from_grads(root.backward(), &module);
        let gradients = clip(&module, gradients, recipe.clip_norm);
        self.module = Some(self.sgd.step(recipe, rate, module, gradients));
        loss
    }

    fn logits(&mut self, pixels: Vec<f32>) -> Vec<f32> {
        let module = self.module().valid();
        let mut all = Vec::new();
        for pixels in pixels.chunks(BATCH * self.input.len()) {
            let x = self.tensor(pixels.to_vec()).inner();
            all.extend(values(module.logits(x)));
        }
        all
    }
}

impl<B: AutodiffBackend> StockTraining<B> {
    fn module(&self) -> &BurnNetwork<B> {
        self.module.as_ref().expect("it is out during a step only")
    }

    /// Copies pixels to a tensor of `[images, channels, height, width]`.
    fn tensor(&self, pixels: Vec<f32>) -> Tensor<B, 4> {
        let Shape {
            channels,
            height,
            width,
        } = self.input;
        let images = pixels.len() / self.input.len();
        let data = TensorData::new(pixels, [images, channels, height, width]);
        Tensor::from_data(data, &self.device)
    }
}
