//! The network on a GPU, for any runtime of CubeCL: launches the kernels from the plan that the CPU
//! uses, without burn.

mod backward;
mod buffers;
mod forward;
mod tables;

use cubecl::prelude::Runtime;
use naschain_core::{NetworkRef, Recipe};

use self::buffers::Buffers;
use self::tables::Tables;
use crate::Error;
use crate::engine::{Engine, StepInput, macro_network};
use crate::evaluation::BATCH;
use crate::gpu::state::GpuState;
use crate::loss::{CrossEntropy, Loss};
use crate::plan::NetworkPlan;
use crate::plan::planner::Planner;
use crate::weights::{TensorSource, Weights};

/// A network and its state between two training steps.
pub(crate) struct GpuNetwork<R: Runtime> {
    /// With one lane, so that maps are `[image][channel][pixel]`.
    plan: NetworkPlan,
    /// Elements per image.
    image: usize,
    state: GpuState<R>,
    tables: Tables,
    buffers: Option<Buffers>,
    cross_entropy: CrossEntropy,
    /// Whether [`Engine::start_training`] was called, so the backward pass needs buffers.
    training: bool,
}

impl<R: Runtime> Engine for GpuNetwork<R> {
    type Target = R::Device;

    fn build(
        network: NetworkRef<'_>,
        mut source: TensorSource,
        device: &R::Device,
    ) -> Result<GpuNetwork<R>, Error> {
        let mut planner = Planner::new(&mut source, &|_| 1);
        let architecture = macro_network(network);
        let plan = planner.plan(architecture)?;
        let (parameters, norms) = (planner.parameters, planner.norms);
        source.finish()?;
        let state = GpuState::new(device, &plan.tensors, &norms, &parameters);
        Ok(GpuNetwork {
            image: architecture.input.len(),
            tables: Tables::new(&state.gpu, &plan),
            state,
            buffers: None,
            cross_entropy: CrossEntropy::default(),
            training: false,
            plan,
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
            Some(buffers) => buffers.images,
            None => images.clamp(1, BATCH),
        };
        let mut logits = Vec::new();
        self.state.use_running_statistics();
        for pixels in pixels.chunks(at_once * self.image) {
            self.load(pixels, &[]);
            self.forward(false);
            logits.extend(self.read_logits());
        }
        logits
    }

    fn step(&mut self, batch: &StepInput, recipe: &Recipe, rate: f64) -> Loss {
        self.load(&batch.pixels, &batch.factors);
        self.forward(true);
        let logits = self.read_logits();
        let smoothing = recipe.label_smoothing;
        let loss = self
            .cross_entropy
            .compute(&logits, &batch.labels, smoothing);
        self.backward(&self.cross_entropy.gradient);
        self.state.update(recipe, rate);
        loss
    }
}

impl<R: Runtime> GpuNetwork<R> {
    /// Copies the images of one pass to the device, and enlarges the buffers if needed.
    fn load(&mut self, pixels: &[f32], factors: &[Vec<f32>]) {
        let images = pixels.len() / self.image;
        let (gpu, training) = (&self.state.gpu, self.training);
        let fitting = self.buffers.take();
        let fitting = fitting.filter(|buffers| buffers.capacity >= images);
        let mut buffers =
            fitting.unwrap_or_else(|| Buffers::new(gpu, &self.plan, images, training));
        buffers.images = images;
        buffers.input = gpu.write(pixels);
        buffers.factors = match factors {
            [] => None,
            factors => Some(gpu.write(&factors.concat())),
        };
        self.buffers = Some(buffers);
    }

    fn read_logits(&self) -> Vec<f32> {
        match &self.buffers {
            Some(buffers) => {
                let numbers = buffers.images * self.plan.linear.outputs;
                self.state.gpu.read(&buffers.logits, numbers)
            }
            None => Vec::new(),
        }
    }
}
