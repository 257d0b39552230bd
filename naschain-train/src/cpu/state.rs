//! Parameters and statistics of a network on the CPU, and what a training step does with them once the
//! blocks of images have their sums: the same for all kinds of networks.

use naschain_core::Recipe;
use rayon::prelude::*;

use crate::kernels::fold::{Accumulate, FoldImages, Recentre};
use crate::kernels::simd::Isa;
use crate::kernels::statistics::{BackwardStatistics, BatchStatistics, Mean, RunningStatistics};
use crate::kernels::update::{Sgd, SumOfSquares};
use crate::plan::stored::{all_velocities, read_velocities, read_weights};
use crate::plan::{BatchNorm, MapDims, Role, Tensor, Weight};
use crate::weights::Weights;

/// Parameters and statistics of a network, with those of its training.
#[derive(Debug)]
pub(crate) struct CpuState {
    pub(crate) isa: Isa,
    pub(crate) norms: Vec<BatchNorm>,
    pub(crate) parameters: Vec<f32>,
    velocities: Vec<f32>,
    pub(crate) gradients: Vec<f32>,
    /// Sums over the batch that one batch norm needs, sized for the widest.
    totals: [Vec<f32>; 2],
}

/// A block of images as the sums of one batch norm see it.
pub(crate) struct BlockSums<'a> {
    /// Index of its first image in the batch.
    pub(crate) first: usize,
    pub(crate) images: usize,
    /// Two sums per image and channel.
    pub(crate) sums: &'a mut [Vec<f32>; 2],
}

impl CpuState {
    pub(crate) fn new(isa: Isa, norms: Vec<BatchNorm>, parameters: Vec<f32>) -> CpuState {
        CpuState {
            isa,
            norms,
            parameters,
            velocities: Vec::new(),
            gradients: Vec::new(),
            totals: [Vec::new(), Vec::new()],
        }
    }

    /// Allocates what a training needs; `velocities` are those of the parameters in declaration order.
    pub(crate) fn start_training<'t>(
        &mut self,
        declared: impl Iterator<Item = &'t Tensor>,
        velocities: &[Option<Vec<f32>>],
    ) {
        let widest = self.norms.iter().map(|norm| norm.dims.padded()).max();
        self.totals = [0, 1].map(|_| vec![0.0; widest.unwrap_or(0)]);
        self.velocities = all_velocities(declared, velocities, self.parameters.len());
        self.gradients = vec![0.0; self.parameters.len()];
    }

    pub(crate) fn read(&self, tensors: &[Tensor]) -> Weights {
        let statistics = |norm: usize| &self.norms[norm].statistics;
        // Without the padding of the last block.
        let running =
            |norm: usize, values: &[f32]| values[..self.norms[norm].dims.channels].to_vec();
        let mean = |norm| running(norm, &statistics(norm).running_mean);
        let var = |norm| running(norm, &statistics(norm).running_var);
        read_weights(tensors, &self.parameters, mean, var)
    }

    pub(crate) fn read_velocities<'t>(
        &self,
        declared: impl Iterator<Item = &'t Tensor>,
    ) -> Vec<Option<Vec<f32>>> {
        read_velocities(declared, &self.velocities)
    }

    /// Makes every batch norm use its running statistics.
    pub(crate) fn use_running_statistics(&mut self) {
        for norm in &mut self.norms {
            let weight = &self.parameters[norm.weight.range.clone()];
            let statistics = &mut norm.statistics;
            RunningStatistics { weight, statistics }.run_on(self.isa);
        }
    }

    /// Combines the images' statistics into those of the batch for one batch norm.
    pub(crate) fn update_statistics<B>(
        &mut self,
        norm: usize,
        blocks: &mut [B],
        sums: impl Fn(&mut B) -> BlockSums<'_>,
    ) {
        let norm = &mut self.norms[norm];
        let (isa, pixels) = (self.isa, norm.dims.pixels());
        let channels = norm.dims.padded();
        let statistics = &mut norm.statistics;
        let mut images = 0;
        let fold = |block: &BlockSums, which: usize, out: &mut [f32]| {
            let values = &block.sums[which][..block.images * channels];
            let add = block.first > 0;
            FoldImages { values, out, add }.run_on(isa);
        };
        for block in blocks.iter_mut().map(&sums) {
            fold(&block, 0, &mut statistics.mean);
            images += block.images;
        }
        let mean = &mut statistics.mean;
        Mean { images, mean }.run_on(isa);
        let total = &mut self.totals[0][..channels];
        for block in blocks.iter_mut().map(&sums) {
            let [means, squares] = &mut *block.sums;
            Recentre {
                pixels,
                mean: &statistics.mean,
                means: &means[..block.images * channels],
                squares,
            }
            .run_on(isa);
            fold(&block, 1, total);
        }
        BatchStatistics {
            count: images * pixels,
            squares: total,
            weight: &self.parameters[norm.weight.range.clone()],
            statistics,
        }
        .run_on(isa);
    }

    /// Sums over the whole batch for one batch norm's backward pass.
    pub(crate) fn sum_backward<B>(
        &mut self,
        norm: usize,
        blocks: &mut [B],
        sums: impl Fn(&mut B) -> BlockSums<'_>,
    ) {
        let norm = &mut self.norms[norm];
        let (isa, channels) = (self.isa, norm.dims.padded());
        let mut images = 0;
        let mut totals = self.totals.each_mut().map(|total| &mut total[..channels]);
        for block in blocks.iter_mut().map(sums) {
            for (values, out) in block.sums.iter().zip(&mut totals) {
                let values = &values[..block.images * channels];
                let add = block.first > 0;
                FoldImages { values, out, add }.run_on(isa);
            }
            images += block.images;
        }
        // A batch norm's bias follows its weight in the buffer.
        let gradients = &mut self.gradients[norm.weight.range.start..norm.bias.range.end];
        let (weight_gradient, bias_gradient) = gradients.split_at_mut(channels);
        BackwardStatistics {
            count: images * norm.dims.pixels(),
            gradients: totals[0],
            products: totals[1],
            weight_gradient,
            bias_gradient,
            statistics: &mut norm.statistics,
        }
        .run_on(isa);
    }

    /// Sets the gradients of some weights to those of a block, or adds them.
    pub(crate) fn add_gradients<'w>(
        &mut self,
        weights: impl Iterator<Item = &'w Weight>,
        block: &[f32],
        add: bool,
    ) {
        for weight in weights {
            Accumulate {
                from: &block[weight.range.clone()],
                to: &mut self.gradients[weight.range.clone()],
                add,
            }
            .run_on(self.isa);
        }
    }

    /// Clips the gradients and updates the parameters.
    pub(crate) fn update(&mut self, tensors: &[Tensor], recipe: &Recipe, rate: f64) {
        let mut squares = 0.0;
        for tensor in tensors {
            if let Role::Trained(weight) = &tensor.role {
                let mut sum = 0.0;
                SumOfSquares {
                    lanes: weight.lanes,
                    channels: weight.outputs,
                    gradient: &self.gradients[weight.range.clone()],
                    sum: &mut sum,
                }
                .run_on(self.isa);
                squares += sum;
            }
        }
        let (norm, most) = (squares.sqrt(), recipe.clip_norm as f32);
        Sgd {
            factor: if norm > most { most / norm } else { 1.0 },
            rate: rate as f32,
            momentum: recipe.momentum as f32,
            weight_decay: recipe.weight_decay as f32,
            nesterov: recipe.nesterov,
            parameters: &mut self.parameters,
            velocities: &mut self.velocities,
            gradients: &self.gradients,
        }
        .run_on(self.isa);
    }
}

/// The values of the first `images` rows of logits, without padding.
pub(crate) fn unpadded(
    rows: &[f32],
    classes: MapDims,
    images: usize,
) -> impl Iterator<Item = f32> + '_ {
    let rows = rows.chunks_exact(classes.padded()).take(images);
    rows.flat_map(move |row| row[..classes.channels].iter().copied())
}

/// Copies the first `images` rows of `from`, which have no padding, to those of `to`.
pub(crate) fn fill_padded(from: &[f32], classes: MapDims, images: usize, to: &mut [f32]) {
    let rows = to.chunks_exact_mut(classes.padded());
    let rows = rows.zip(from.chunks_exact(classes.channels));
    for (to, from) in rows.take(images) {
        to[..classes.channels].copy_from_slice(from);
    }
}

/// Does the same work for each block. One thread does it without the pool, which may allocate.
pub(crate) fn in_parallel<B: Send>(blocks: &mut [B], work: impl Fn(&mut B) + Sync) {
    match rayon::current_num_threads() {
        1 => blocks.iter_mut().for_each(&work),
        _ => blocks.par_iter_mut().for_each(&work),
    }
}
