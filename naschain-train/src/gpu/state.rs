//! Parameters and statistics of a network on a GPU, and their update: the same for all kinds of networks.

use cubecl::prelude::Runtime;
use naschain_core::Recipe;

use super::kernels::norm::PARTS;
use super::launch::{Norm, Sgd, StatisticsViews, Update};
use super::{Buffer, Gpu, View};
use crate::plan::stored::{all_velocities, read_velocities, read_weights};
use crate::plan::{BatchNorm, Role, Tensor, Weight};
use crate::weights::Weights;

/// Parameters and statistics of a network, with those of its training.
pub(crate) struct GpuState<R: Runtime> {
    pub(crate) gpu: Gpu<R>,
    norms: Vec<NormPlace>,
    /// Channels of all batch norms.
    channels: usize,
    pub(crate) parameters: Buffer,
    velocities: Buffer,
    pub(crate) gradients: Buffer,
    /// Of all batch norms, as in [`super::kernels::norm`].
    statistics: Buffer,
    rows: ParameterRows,
}

/// The position of a batch norm's parameters and statistics.
struct NormPlace {
    channels: usize,
    /// Index of its first channel among those of all batch norms.
    first: usize,
    weight_at: usize,
    bias_at: usize,
}

/// The rows of parameters whose squares are summed for the norm of the gradient.
struct ParameterRows {
    /// For each output channel of each parameter: offset and length.
    rows: Buffer,
    row_count: usize,
    /// For each parameter: first row and number of rows.
    tensors: Buffer,
    tensor_count: usize,
    /// Sums of squares of rows and of parameters.
    sums: [Buffer; 2],
}

impl<R: Runtime> GpuState<R> {
    /// The state of a network that was planned with one lane, so that maps are `[image][channel][pixel]`.
    pub(crate) fn new(
        device: &R::Device,
        tensors: &[Tensor],
        norms: &[BatchNorm],
        parameters: &[f32],
    ) -> GpuState<R> {
        let gpu = Gpu::new(device);
        GpuState {
            channels: norms.iter().map(|norm| norm.dims.channels).sum(),
            norms: norm_places(norms),
            parameters: gpu.write(parameters),
            velocities: gpu.allocate(0),
            gradients: gpu.allocate(0),
            statistics: gpu.write(&statistics(norms)),
            rows: ParameterRows::new(&gpu, tensors),
            gpu,
        }
    }

    /// Allocates what a training needs; `velocities` are those of the parameters in declaration order.
    pub(crate) fn start_training<'t>(
        &mut self,
        declared: impl Iterator<Item = &'t Tensor>,
        velocities: &[Option<Vec<f32>>],
    ) {
        let all = all_velocities(declared, velocities, self.parameters.numbers);
        self.velocities = self.gpu.write(&all);
        self.gradients = self.gpu.allocate(all.len());
    }

    pub(crate) fn read(&self, tensors: &[Tensor]) -> Weights {
        let parameters = self.gpu.read(&self.parameters, self.parameters.numbers);
        let statistics = self.gpu.read(&self.statistics, PARTS * self.channels);
        let running = |part: usize, norm: usize| {
            let place = &self.norms[norm];
            statistics[part * self.channels + place.first..][..place.channels].to_vec()
        };
        let (mean, var) = (|norm| running(3, norm), |norm| running(4, norm));
        read_weights(tensors, &parameters, mean, var)
    }

    pub(crate) fn read_velocities<'t>(
        &self,
        declared: impl Iterator<Item = &'t Tensor>,
    ) -> Vec<Option<Vec<f32>>> {
        let velocities = self.gpu.read(&self.velocities, self.parameters.numbers);
        read_velocities(declared, &velocities)
    }

    /// A weight's values.
    pub(crate) fn weight(&self, weight: &Weight) -> View<'_> {
        self.parameters.from(weight.range.start)
    }

    /// The gradient with respect to a weight.
    pub(crate) fn gradient(&self, weight: &Weight) -> View<'_> {
        self.gradients.from(weight.range.start)
    }

    /// Batch norm number `norm` of a map `z`, with or without ReLU.
    pub(crate) fn norm<'a>(
        &'a self,
        norm: usize,
        images: usize,
        pixels: usize,
        z: View<'a>,
        relu: bool,
    ) -> Norm<'a> {
        let place = &self.norms[norm];
        Norm {
            images,
            channels: place.channels,
            pixels,
            relu,
            z,
            weight: self.parameters.from(place.weight_at),
            bias: self.parameters.from(place.bias_at),
            statistics: StatisticsViews::in_one(self.statistics.from(place.first), self.channels),
        }
    }

    /// Makes every batch norm use its running statistics instead of a batch's.
    pub(crate) fn use_running_statistics(&self) {
        for norm in 0..self.norms.len() {
            // They depend on no map.
            let norm = self.norm(norm, 0, 0, self.statistics.all(), false);
            norm.load_running_statistics(&self.gpu, [norm.statistics.mean; 2]);
        }
    }

    /// The backward pass of such a batch norm, with gradients in [`GpuState::gradients`].
    pub(crate) fn norm_backward(&self, norm: Norm, dy: View, stripes: &[Buffer; 2], dz: View) {
        norm.backward(
            &self.gpu,
            dy,
            stripes.each_ref().map(Buffer::all),
            [norm.statistics.mean; 2],
            [norm.weight, norm.bias].map(|view| self.gradients.from(view.at)),
            dz,
        );
    }

    /// Clips the gradients and updates the parameters.
    pub(crate) fn update(&self, recipe: &Recipe, rate: f64) {
        let rows = &self.rows;
        let [row_sums, tensor_sums] = &rows.sums;
        let update = Update {
            sgd: Sgd {
                parameters: self.parameters.all(),
                velocities: self.velocities.all(),
                gradients: self.gradients.all(),
                numbers: self.parameters.numbers,
                squares: tensor_sums.all(),
                tensor_count: rows.tensor_count,
                clip_norm: recipe.clip_norm as f32,
                rate: rate as f32,
                momentum: recipe.momentum as f32,
                weight_decay: recipe.weight_decay as f32,
                nesterov: recipe.nesterov,
            },
            rows: rows.rows.all(),
            row_count: rows.row_count,
            tensors: rows.tensors.all(),
        };
        update.run(&self.gpu, row_sums.all());
    }
}

impl ParameterRows {
    fn new<R: Runtime>(gpu: &Gpu<R>, all: &[Tensor]) -> ParameterRows {
        let (mut rows, mut tensors) = (Vec::new(), Vec::new());
        for tensor in all {
            let Role::Trained(weight) = &tensor.role else {
                continue;
            };
            let numbers = weight.range.len() / weight.outputs;
            let places = weight.range.clone().step_by(numbers);
            tensors.extend([(rows.len() / 2) as u32, weight.outputs as u32]);
            rows.extend(places.flat_map(|place| [place as u32, numbers as u32]));
        }
        let (row_count, tensor_count) = (rows.len() / 2, tensors.len() / 2);
        ParameterRows {
            rows: gpu.write_integers(&rows),
            row_count,
            tensors: gpu.write_integers(&tensors),
            tensor_count,
            sums: [row_count, tensor_count].map(|count| gpu.allocate(count)),
        }
    }
}

fn norm_places(norms: &[BatchNorm]) -> Vec<NormPlace> {
    let mut first = 0;
    let place = |norm: &BatchNorm| {
        let channels = norm.dims.channels;
        first += channels;
        let start = |weight: &Weight| weight.range.start;
        NormPlace {
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
