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
pub(crate) mod block;
mod forward;
pub(crate) mod state;
#[cfg(test)]
pub(crate) mod tests;

use naschain_core::{NetworkRef, Recipe, Shape};

use self::block::{Block, Pass};
use self::state::{BlockSums, CpuState, fill_padded, in_parallel, unpadded};
use crate::Error;
use crate::engine::{Engine, StepInput, macro_network};
use crate::kernels::BLOCK;
use crate::kernels::simd::Isa;
use crate::loss::{CrossEntropy, Loss};
use crate::plan::NetworkPlan;
use crate::plan::planner::Planner;
use crate::weights::{TensorSource, Weights};

/// A network and its state between two training steps.
#[derive(Debug)]
pub(crate) struct CpuNetwork {
    plan: NetworkPlan,
    input: Shape,
    state: CpuState,
    /// Transposed weights for the backward pass.
    backward: Vec<f32>,
    blocks: Vec<Block>,
    /// Logits of the current batch, images × classes.
    logits: Vec<f32>,
    cross_entropy: CrossEntropy,
    /// Whether [`Engine::start_training`] was called, so blocks need backward buffers.
    training: bool,
}

impl Engine for CpuNetwork {
    type Target = Isa;

    fn build(
        network: NetworkRef<'_>,
        mut source: TensorSource,
        isa: &Isa,
    ) -> Result<CpuNetwork, Error> {
        let (isa, architecture) = (*isa, macro_network(network));
        let lanes = |channels| isa.lanes(channels);
        let mut planner = Planner::new(&mut source, &lanes);
        let plan = planner.plan(architecture)?;
        let (parameters, norms) = (planner.parameters, planner.norms);
        source.finish()?;
        Ok(CpuNetwork {
            plan,
            input: architecture.input,
            state: CpuState::new(isa, norms, parameters),
            backward: Vec::new(),
            blocks: Vec::new(),
            logits: Vec::new(),
            cross_entropy: CrossEntropy::default(),
            training: false,
        })
    }

    fn start_training(&mut self, velocities: &[Option<Vec<f32>>]) {
        self.training = true;
        self.state.start_training(self.plan.declared(), velocities);
        self.backward = vec![0.0; self.plan.backward];
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
        let at_once = match self.blocks.iter().map(|block| block.capacity).sum() {
            0 => rayon::current_num_threads() * BLOCK,
            capacity => capacity,
        };
        let mut logits = Vec::new();
        self.state.use_running_statistics();
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
            fill_padded(gradient, classes, block.images, &mut block.dlogits);
        }
        self.plan
            .fill_transposed(&self.state.parameters, &mut self.backward);
        self.backward_pass(&batch.factors);
        self.fold_gradients();
        self.state.update(&self.plan.tensors, recipe, rate);
        loss
    }
}

impl Block {
    /// The sums of a batch norm.
    fn sums_of(&mut self, phase: usize, node: usize) -> BlockSums<'_> {
        BlockSums {
            first: self.first,
            images: self.images,
            sums: &mut self.phases[phase].sums[node],
        }
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
        self.logits.clear();
        for block in &self.blocks {
            let rows = unpadded(&block.logits, classes, block.images);
            self.logits.extend(rows);
        }
    }

    /// Runs one step of a pass for every block that has images.
    fn each_block(&mut self, factors: &[Vec<f32>], work: impl Fn(&Pass, &mut Block) + Sync) {
        let pass = Pass {
            isa: self.state.isa,
            plan: &self.plan,
            norms: &self.state.norms,
            parameters: &self.state.parameters,
            backward: &self.backward,
            factors,
        };
        let used = self.blocks.iter().filter(|block| block.images > 0).count();
        in_parallel(&mut self.blocks[..used], |block| work(&pass, block));
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
        let norm = self.plan.phases[phase].norm_of(node);
        self.state
            .update_statistics(norm, &mut self.blocks, |block| block.sums_of(phase, node));
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
        let norm = self.plan.phases[phase].norm_of(node);
        self.state
            .sum_backward(norm, &mut self.blocks, |block| block.sums_of(phase, node));
    }

    /// Adds up the blocks' gradients of all parameters except those of batch norms.
    fn fold_gradients(&mut self) {
        let used = self.blocks.iter().filter(|block| block.images > 0);
        for (index, block) in used.enumerate() {
            let (weights, add) = (self.plan.weights(), index > 0);
            self.state.add_gradients(weights, &block.gradients, add);
        }
    }
}
