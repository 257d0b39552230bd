//! Networks of a [`LayerGraph`](naschain_core::LayerGraph) on a GPU, for any runtime of CubeCL: those of all
//! spaces but the macro space. Launches the kernels from the plan that the CPU uses, without burn.

mod backward;
mod buffers;
mod forward;

use cubecl::prelude::Runtime;
use naschain_core::{NetworkRef, Recipe};

use self::buffers::LayerBuffers;
use crate::Error;
use crate::engine::{Engine, StepInput};
use crate::evaluation::BATCH;
use crate::gpu::state::GpuState;
use crate::layers::layer_graph;
use crate::layers::plan::LayersPlan;
use crate::loss::{CrossEntropy, Loss};
use crate::plan::planner::Planner;
use crate::weights::{TensorSource, Weights};

/// A network and its state between two training steps.
pub(crate) struct GpuLayers<R: Runtime> {
    /// With one lane, so that maps are `[image][channel][pixel]`.
    plan: LayersPlan,
    /// Elements per image of the input.
    image: usize,
    state: GpuState<R>,
    buffers: Option<LayerBuffers>,
    cross_entropy: CrossEntropy,
    /// Whether [`Engine::start_training`] was called, so the backward pass needs buffers.
    training: bool,
}

impl<R: Runtime> Engine for GpuLayers<R> {
    type Target = R::Device;

    fn build(
        network: NetworkRef<'_>,
        mut source: TensorSource,
        device: &R::Device,
    ) -> Result<GpuLayers<R>, Error> {
        let mut planner = Planner::new(&mut source, &|_| 1);
        let plan = LayersPlan::new(&layer_graph(network), &mut planner)?;
        let (parameters, norms) = (planner.parameters, planner.norms);
        source.finish()?;
        Ok(GpuLayers {
            image: network.input().len(),
            state: GpuState::new(device, &plan.tensors, &norms, &parameters),
            plan,
            buffers: None,
            cross_entropy: CrossEntropy::default(),
            training: false,
        })
    }

    fn start_training(&mut self, velocities: &[Option<Vec<f32>>]) {
        self.training = true;
        self.state.start_training(self.plan.declared(), velocities);
        self.buffers = None;
    }

    fn paths(&self) -> usize {
        self.plan.paths
    }

    fn read(&self) -> Weights {
        self.state.read(&self.plan.tensors)
    }

    fn read_velocities(&self) -> Vec<Option<Vec<f32>>> {
        self.state.read_velocities(self.plan.declared())
    }

    fn logits(&mut self, pixels: Vec<f32>) -> Vec<f32> {
        let images = pixels.len() / self.image;
        let at_once = match &self.buffers {
            Some(buffers) => buffers.capacity,
            None => images.clamp(1, BATCH),
        };
        let mut logits = Vec::new();
        self.state.use_running_statistics();
        for pixels in pixels.chunks(at_once * self.image) {
            let buffers = self.load(pixels, &[]);
            self.forward(&buffers, false);
            logits.extend(self.read_logits(&buffers));
            self.buffers = Some(buffers);
        }
        logits
    }

    fn step(&mut self, batch: &StepInput, recipe: &Recipe, rate: f64) -> Loss {
        let buffers = self.load(&batch.pixels, &batch.factors);
        self.forward(&buffers, true);
        let logits = self.read_logits(&buffers);
        let smoothing = recipe.label_smoothing;
        let loss = self
            .cross_entropy
            .compute(&logits, &batch.labels, smoothing);
        self.backward(&buffers, &self.cross_entropy.gradient);
        self.buffers = Some(buffers);
        self.state.update(recipe, rate);
        loss
    }
}

impl<R: Runtime> GpuLayers<R> {
    /// Copies the images of one pass to the device, into buffers that have room for them.
    fn load(&mut self, pixels: &[f32], factors: &[Vec<f32>]) -> LayerBuffers {
        let images = pixels.len() / self.image;
        let (gpu, training) = (&self.state.gpu, self.training);
        let fitting = self.buffers.take();
        let fitting = fitting.filter(|buffers| buffers.capacity >= images);
        let mut buffers =
            fitting.unwrap_or_else(|| LayerBuffers::new(gpu, &self.plan, images, training));
        buffers.images = images;
        buffers.maps[0] = gpu.write(pixels);
        buffers.factors = match factors {
            [] => None,
            factors => Some(gpu.write(&factors.concat())),
        };
        buffers
    }

    fn read_logits(&self, buffers: &LayerBuffers) -> Vec<f32> {
        let numbers = buffers.images * self.plan.linear.outputs;
        self.state.gpu.read(&buffers.logits, numbers)
    }
}
