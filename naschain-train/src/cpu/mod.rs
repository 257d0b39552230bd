//! The network on the CPU. It owns the buffers of a whole training step, so a step allocates
//! nothing once they exist (with one thread; a test checks this).
//!
//! The same kernels as operations of burn's autodiff (`crate::burn`) give the same bits at 0.90 to
//! 1.03 times the speed (docs/results.md). Miners do not use them because burn 0.21 locks all live
//! graphs during a backward pass, so several trainings in one process wait for each other.
//!
//! A batch is divided into blocks of [`BLOCK`] images. Each step of the forward and backward pass
//! processes all blocks in parallel, and batch norm's statistics over the batch are combined
//! between two steps, in the order of the blocks; so no result depends on the number of threads.

mod backward;
mod block;
mod forward;
#[cfg(test)]
pub(crate) mod tests;

use naschain_core::{Architecture, Recipe, Shape};
use rayon::prelude::*;

use self::block::{Block, Pass};
use crate::Error;
use crate::engine::{Engine, StepInput};
use crate::kernels::BLOCK;
use crate::kernels::fold::{Accumulate, FoldImages, Recentre};
use crate::kernels::simd::Isa;
use crate::kernels::statistics::{BackwardStatistics, BatchStatistics, Mean, RunningStatistics};
use crate::kernels::update::{Sgd, SumOfSquares};
use crate::loss::{CrossEntropy, Loss};
use crate::plan::planner::Planner;
use crate::plan::{BatchNorm, NetworkPlan, Role};
use crate::weights::{NamedTensor, TensorSource, Weights};

/// A network and its state between two training steps.
#[derive(Debug)]
pub(crate) struct CpuNetwork {
    isa: Isa,
    plan: NetworkPlan,
    input: Shape,
    norms: Vec<BatchNorm>,
    parameters: Vec<f32>,
    velocities: Vec<f32>,
    gradients: Vec<f32>,
    /// Transposed weights for the backward pass.
    backward: Vec<f32>,
    blocks: Vec<Block>,
    /// Logits of the current batch, images × classes.
    logits: Vec<f32>,
    cross_entropy: CrossEntropy,
    /// Sums over the batch that one batch norm needs, sized for the widest.
    totals: [Vec<f32>; 2],
    /// Whether [`Engine::start_training`] was called, so blocks need backward buffers.
    training: bool,
}

impl Engine for CpuNetwork {
    type Target = Isa;

    fn build(
        architecture: &Architecture,
        mut source: TensorSource,
        isa: &Isa,
    ) -> Result<CpuNetwork, Error> {
        let isa = *isa;
        let lanes = |channels| isa.lanes(channels);
        let mut planner = Planner::new(&mut source, &lanes);
        let plan = planner.plan(architecture)?;
        let (parameters, norms) = (planner.parameters, planner.norms);
        source.finish()?;
        Ok(CpuNetwork {
            isa,
            plan,
            input: architecture.input,
            norms,
            parameters,
            velocities: Vec::new(),
            gradients: Vec::new(),
            backward: Vec::new(),
            blocks: Vec::new(),
            logits: Vec::new(),
            cross_entropy: CrossEntropy::default(),
            totals: [Vec::new(), Vec::new()],
            training: false,
        })
    }

    fn start_training(&mut self, velocities: &[Option<Vec<f32>>]) {
        self.training = true;
        let widest = self.norms.iter().map(|norm| norm.dims.padded()).max();
        self.totals = [0, 1].map(|_| vec![0.0; widest.unwrap_or(0)]);
        self.velocities = vec![0.0; self.plan.parameters];
        self.gradients = vec![0.0; self.plan.parameters];
        self.backward = vec![0.0; self.plan.backward];
        for (tensor, values) in self.plan.declared().zip(velocities) {
            if let (Role::Trained(weight), Some(values)) = (&tensor.role, values) {
                weight.put(values, &mut self.velocities);
            }
        }
    }

    fn paths(&self) -> usize {
        self.plan.paths
    }

    fn read(&self) -> Weights {
        let tensors = self.plan.tensors.iter().map(|tensor| {
            let running = |values: &[f32]| values[..tensor.shape[0]].to_vec();
            tensor.named(match &tensor.role {
                Role::Trained(weight) => weight.get(&self.parameters),
                Role::Idle(values) => values.clone(),
                Role::RunningMean(norm) => running(&self.norms[*norm].statistics.running_mean),
                Role::RunningVar(norm) => running(&self.norms[*norm].statistics.running_var),
            })
        });
        Weights {
            tensors: tensors.collect::<Vec<NamedTensor>>(),
        }
    }

    fn read_velocities(&self) -> Vec<Option<Vec<f32>>> {
        let read = self.plan.declared().map(|tensor| match &tensor.role {
            Role::Trained(weight) => Some(weight.get(&self.velocities)),
            _ => None,
        });
        read.collect()
    }

    fn logits(&mut self, pixels: Vec<f32>) -> Vec<f32> {
        let at_once = match self.blocks.iter().map(|block| block.capacity).sum() {
            0 => rayon::current_num_threads() * BLOCK,
            capacity => capacity,
        };
        let mut logits = Vec::new();
        for norm in &mut self.norms {
            let weight = &self.parameters[norm.weight.range.clone()];
            let statistics = &mut norm.statistics;
            RunningStatistics { weight, statistics }.run_on(self.isa);
        }
        for pixels in pixels.chunks(at_once * self.input.len()) {
            self.load(pixels);
            self.forward(&[], false);
            self.read_logits();
            logits.extend_from_slice(&self.logits);
        }
        logits
    }

    fn step(&mut self, batch: &StepInput, recipe: &Recipe, rate: f64) -> Loss {
        self.load(&batch.pixels);
        self.forward(&batch.factors, true);
        self.read_logits();
        let smoothing = recipe.label_smoothing;
        let loss = self
            .cross_entropy
            .compute(&self.logits, &batch.labels, smoothing);
        let classes = self.plan.classes();
        let used = self.blocks.iter_mut().filter(|block| block.images > 0);
        for block in used {
            let gradient = &self.cross_entropy.gradient[block.first * classes.channels..];
            let rows = block.dlogits.chunks_exact_mut(classes.padded());
            let rows = rows.zip(gradient.chunks_exact(classes.channels));
            for (to, from) in rows.take(block.images) {
                to[..classes.channels].copy_from_slice(from);
            }
        }
        self.plan
            .fill_transposed(&self.parameters, &mut self.backward);
        self.backward_pass(&batch.factors);
        self.fold_gradients();
        self.update(recipe, rate);
        loss
    }
}

impl CpuNetwork {
    /// Distributes the images over the blocks.
    fn load(&mut self, pixels: &[f32]) {
        let image = self.input.len();
        let images = pixels.len() / image;
        // The last block has capacity for the remaining images only.
        let capacity = |index: usize| (images - index * BLOCK).min(BLOCK);
        let needed = images.div_ceil(BLOCK);
        let fits = |index: usize| {
            self.blocks
                .get(index)
                .is_some_and(|b| b.capacity >= capacity(index))
        };
        if !(0..needed).all(fits) {
            let classes = self.plan.classes();
            let training = self.training;
            let new = |index| Block::new(&self.plan, image, classes, capacity(index), training);
            self.blocks = (0..needed).map(new).collect();
        }
        let mut left = pixels.chunks(BLOCK * image);
        for (index, block) in self.blocks.iter_mut().enumerate() {
            let pixels = left.next().unwrap_or(&[]);
            block.first = index * BLOCK;
            block.images = pixels.len() / image;
            block.input[..pixels.len()].copy_from_slice(pixels);
        }
    }

    /// Copies the blocks' logits to `self.logits`, without padding.
    fn read_logits(&mut self) {
        let classes = self.plan.classes();
        let used = self.blocks.iter().flat_map(|block| {
            let rows = block.logits.chunks_exact(classes.padded());
            rows.take(block.images)
        });
        let values = used.flat_map(|row| row[..classes.channels].iter().copied());
        self.logits.clear();
        self.logits.extend(values);
    }

    /// Runs one step of a pass for every block that has images.
    fn each_block(&mut self, factors: &[Vec<f32>], work: impl Fn(&Pass, &mut Block) + Sync) {
        let pass = Pass {
            isa: self.isa,
            plan: &self.plan,
            norms: &self.norms,
            parameters: &self.parameters,
            backward: &self.backward,
            factors,
        };
        let used = self.blocks.iter().filter(|block| block.images > 0).count();
        let blocks = &mut self.blocks[..used];
        match rayon::current_num_threads() {
            1 => blocks.iter_mut().for_each(|block| work(&pass, block)),
            _ => blocks.par_iter_mut().for_each(|block| work(&pass, block)),
        }
    }

    fn forward(&mut self, factors: &[Vec<f32>], training: bool) {
        for phase in 0..self.plan.phases.len() {
            for node in 0..=self.plan.phases[phase].nodes.len() {
                self.each_block(factors, |pass, block| block.forward(pass, phase, node));
                if training {
                    self.update_statistics(phase, node);
                }
            }
        }
        self.each_block(factors, |pass, block| block.head(pass));
    }

    /// Combines the images' statistics into those of the batch for one batch norm.
    fn update_statistics(&mut self, phase: usize, node: usize) {
        let norm = &mut self.norms[self.plan.phases[phase].norm_of(node)];
        let (isa, pixels) = (self.isa, norm.dims.pixels());
        let channels = norm.dims.padded();
        let images: usize = self.blocks.iter().map(|block| block.images).sum();
        let statistics = &mut norm.statistics;
        let fold = |block: &Block, which: usize, out: &mut [f32]| {
            let values = &block.phases[phase].sums[node][which][..block.images * channels];
            let add = block.first > 0;
            FoldImages { values, out, add }.run_on(isa);
        };
        for block in &self.blocks {
            fold(block, 0, &mut statistics.mean);
        }
        let mean = &mut statistics.mean;
        Mean { images, mean }.run_on(isa);
        let total = &mut self.totals[0][..channels];
        for block in &mut self.blocks {
            let [means, squares] = &mut block.phases[phase].sums[node];
            Recentre {
                pixels,
                mean: &statistics.mean,
                means: &means[..block.images * channels],
                squares,
            }
            .run_on(isa);
            fold(block, 1, total);
        }
        BatchStatistics {
            count: images * pixels,
            squares: total,
            weight: &self.parameters[norm.weight.range.clone()],
            statistics,
        }
        .run_on(isa);
    }

    fn backward_pass(&mut self, factors: &[Vec<f32>]) {
        self.each_block(factors, |pass, block| block.head_backward(pass));
        for phase in (0..self.plan.phases.len()).rev() {
            for node in (0..=self.plan.phases[phase].nodes.len()).rev() {
                self.sum_backward(phase, node);
                self.each_block(factors, |pass, block| block.backward(pass, phase, node));
            }
        }
    }

    /// Sums over the whole batch for one batch norm's backward pass.
    fn sum_backward(&mut self, phase: usize, node: usize) {
        let norm = &mut self.norms[self.plan.phases[phase].norm_of(node)];
        let (isa, channels) = (self.isa, norm.dims.padded());
        let images: usize = self.blocks.iter().map(|block| block.images).sum();
        let mut totals = self.totals.each_mut().map(|total| &mut total[..channels]);
        for block in &self.blocks {
            for (values, out) in block.phases[phase].sums[node].iter().zip(&mut totals) {
                let values = &values[..block.images * channels];
                let add = block.first > 0;
                FoldImages { values, out, add }.run_on(isa);
            }
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

    /// Adds up the blocks' gradients of all parameters except those of batch norms.
    fn fold_gradients(&mut self) {
        let used = self.blocks.iter().filter(|block| block.images > 0);
        for (index, block) in used.enumerate() {
            for weight in self.plan.weights() {
                Accumulate {
                    from: &block.gradients[weight.range.clone()],
                    to: &mut self.gradients[weight.range.clone()],
                    add: index > 0,
                }
                .run_on(self.isa);
            }
        }
    }

    fn update(&mut self, recipe: &Recipe, rate: f64) {
        let mut squares = 0.0;
        for tensor in &self.plan.tensors {
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
