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
use crate::gpu::kernels::norm::PARTS;
use crate::gpu::launch::{Sgd, Update};
use crate::gpu::{Buffer, Gpu};
use crate::loss::{CrossEntropy, Loss};
use crate::plan::planner::Planner;
use crate::plan::{BatchNorm, NetworkPlan, Role, Weight};
use crate::weights::{TensorSource, Weights};

/// A network and its state between two training steps.
pub(crate) struct GpuNetwork<R: Runtime> {
    gpu: Gpu<R>,
    /// With one lane, so that maps are `[image][channel][pixel]`.
    plan: NetworkPlan,
    norms: Vec<NormLayout>,
    /// Elements per image.
    image: usize,
    /// Channels of all batch norms.
    channels: usize,
    parameters: Buffer,
    velocities: Buffer,
    gradients: Buffer,
    statistics: Buffer,
    tables: Tables,
    buffers: Option<Buffers>,
    cross_entropy: CrossEntropy,
    /// Whether [`Engine::start_training`] was called, so the backward pass needs buffers.
    training: bool,
}

/// The position of a batch norm's parameters and statistics.
pub(super) struct NormLayout {
    channels: usize,
    /// Index of its first channel among those of all batch norms.
    first: usize,
    weight_at: usize,
    bias_at: usize,
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
        let gpu = Gpu::new(device);
        Ok(GpuNetwork {
            image: architecture.input.len(),
            channels: norms.iter().map(|norm| norm.dims.channels).sum(),
            norms: norm_layouts(&norms),
            parameters: gpu.write(&parameters),
            velocities: gpu.allocate(0),
            gradients: gpu.allocate(0),
            statistics: gpu.write(&statistics(&norms)),
            tables: Tables::new(&gpu, &plan),
            buffers: None,
            cross_entropy: CrossEntropy::default(),
            training: false,
            plan,
            gpu,
        })
    }

    fn start_training(&mut self, velocities: &[Option<Vec<f32>>]) {
        self.training = true;
        let mut all = vec![0.0; self.plan.parameters];
        for (tensor, values) in self.plan.declared().zip(velocities) {
            if let (Role::Trained(weight), Some(values)) = (&tensor.role, values) {
                weight.put(values, &mut all);
            }
        }
        self.velocities = self.gpu.write(&all);
        self.gradients = self.gpu.allocate(all.len());
        self.buffers = None;
    }

    fn paths(&self) -> usize {
        self.plan.paths
    }

    fn read(&self) -> Weights {
        let parameters = self.gpu.read(&self.parameters, self.plan.parameters);
        let statistics = self.gpu.read(&self.statistics, PARTS * self.channels);
        let running = |part: usize, norm: usize| {
            let place = &self.norms[norm];
            statistics[part * self.channels + place.first..][..place.channels].to_vec()
        };
        let tensors = self.plan.tensors.iter().map(|tensor| {
            tensor.named(match &tensor.role {
                Role::Trained(weight) => weight.get(&parameters),
                Role::Idle(values) | Role::IdleStatistic(values) => values.clone(),
                Role::RunningMean(norm) => running(3, *norm),
                Role::RunningVar(norm) => running(4, *norm),
            })
        });
        Weights {
            tensors: tensors.collect(),
        }
    }

    fn read_velocities(&self) -> Vec<Option<Vec<f32>>> {
        let velocities = self.gpu.read(&self.velocities, self.plan.parameters);
        let read = self.plan.declared().map(|tensor| match &tensor.role {
            Role::Trained(weight) => Some(weight.get(&velocities)),
            _ => None,
        });
        read.collect()
    }

    fn logits(&mut self, pixels: Vec<f32>) -> Vec<f32> {
        let images = pixels.len() / self.image;
        let at_once = match &self.buffers {
            Some(buffers) => buffers.images,
            None => images.clamp(1, BATCH),
        };
        let mut logits = Vec::new();
        for pixels in pixels.chunks(at_once * self.image) {
            self.load(pixels, &[]);
            self.load_running_statistics();
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
        self.update(recipe, rate);
        loss
    }
}

impl<R: Runtime> GpuNetwork<R> {
    /// Copies the images of one pass to the device, and enlarges the buffers if needed.
    fn load(&mut self, pixels: &[f32], factors: &[Vec<f32>]) {
        let images = pixels.len() / self.image;
        let training = self.training;
        let fitting = self.buffers.take();
        let fitting = fitting.filter(|buffers| buffers.capacity >= images);
        let mut buffers =
            fitting.unwrap_or_else(|| Buffers::new(&self.gpu, &self.plan, images, training));
        buffers.images = images;
        buffers.input = self.gpu.write(pixels);
        buffers.factors = match factors {
            [] => None,
            factors => Some(self.gpu.write(&factors.concat())),
        };
        self.buffers = Some(buffers);
    }

    fn read_logits(&self) -> Vec<f32> {
        match &self.buffers {
            Some(buffers) => {
                let numbers = buffers.images * self.plan.linear.outputs;
                self.gpu.read(&buffers.logits, numbers)
            }
            None => Vec::new(),
        }
    }

    fn update(&mut self, recipe: &Recipe, rate: f64) {
        let Some(training) = self.buffers.as_ref().and_then(|b| b.training.as_ref()) else {
            return;
        };
        let tables = &self.tables;
        let update = Update {
            sgd: Sgd {
                parameters: self.parameters.all(),
                velocities: self.velocities.all(),
                gradients: self.gradients.all(),
                numbers: self.plan.parameters,
                squares: training.tensor_sums.all(),
                tensor_count: tables.tensor_count,
                clip_norm: recipe.clip_norm as f32,
                rate: rate as f32,
                momentum: recipe.momentum as f32,
                weight_decay: recipe.weight_decay as f32,
                nesterov: recipe.nesterov,
            },
            rows: tables.rows.all(),
            row_count: tables.row_count,
            tensors: tables.tensors.all(),
        };
        update.run(&self.gpu, training.row_sums.all());
    }
}

fn norm_layouts(norms: &[BatchNorm]) -> Vec<NormLayout> {
    let mut first = 0;
    let place = |norm: &BatchNorm| {
        let channels = norm.dims.channels;
        first += channels;
        let start = |weight: &Weight| weight.range.start;
        NormLayout {
            channels,
            first: first - channels,
            weight_at: start(&norm.weight),
            bias_at: start(&norm.bias),
        }
    };
    norms.iter().map(place).collect()
}

/// The initial statistics: the running ones, and 0 for the others.
fn statistics(norms: &[BatchNorm]) -> Vec<f32> {
    let all = |part: fn(&BatchNorm) -> &[f32]| norms.iter().flat_map(part).copied();
    let mean: Vec<f32> = all(|norm| &norm.statistics.running_mean).collect();
    let var = all(|norm| &norm.statistics.running_var);
    let none = mean.len();
    let zeros = |parts: usize| std::iter::repeat_n(0.0, parts * none);
    zeros(3)
        .chain(mean.iter().copied())
        .chain(var)
        .chain(zeros(2))
        .collect()
}
