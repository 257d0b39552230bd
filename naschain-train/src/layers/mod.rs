//! Networks of a [`LayerGraph`](naschain_core::LayerGraph) on the CPU: those of all spaces but the macro space.
//!
//! As in `crate::cpu`, a batch is divided into blocks of images, which pass through the layers in
//! parallel; a pass goes from one batch norm to the next, where the blocks' sums are combined in their
//! order. A network owns the buffers of a whole training step; a step allocates small lists of layers
//! and maps, but no maps.

mod backward;
mod block;
mod convolution_backward;
mod forward;
pub(crate) mod plan;
#[cfg(test)]
mod tests;

use std::ops::Range;

use naschain_core::{LayerGraph, NetworkRef, Recipe, Shape};

use self::block::{LayerBlock, LayerPass};
use self::plan::LayersPlan;
use crate::Error;
use crate::cpu::state::{BlockSums, CpuState, fill_padded, in_parallel, unpadded};
use crate::engine::{Engine, StepInput};
use crate::kernels::BLOCK;
use crate::kernels::simd::Isa;
use crate::loss::{CrossEntropy, Loss};
use crate::plan::planner::Planner;
use crate::weights::{TensorSource, Weights};

/// The layers of a network that is not of the macro space.
///
/// # Panics
/// For a network of the macro space: [`crate::backend::run`] chooses the engine by the space.
pub(crate) fn layer_graph(network: NetworkRef<'_>) -> LayerGraph {
    match network.graph() {
        Some(graph) => graph,
        None => panic!("the engine for layer graphs got {network:?}"),
    }
}

/// A network and its state between two training steps.
#[derive(Debug)]
pub(crate) struct LayersNetwork {
    plan: LayersPlan,
    input: Shape,
    state: CpuState,
    /// Transposed weights for the backward pass.
    backward: Vec<f32>,
    blocks: Vec<LayerBlock>,
    /// Logits of the current batch, images × classes.
    logits: Vec<f32>,
    cross_entropy: CrossEntropy,
    /// Whether [`Engine::start_training`] was called, so blocks need backward buffers.
    training: bool,
}

impl Engine for LayersNetwork {
    type Target = Isa;

    fn build(
        network: NetworkRef<'_>,
        mut source: TensorSource,
        isa: &Isa,
    ) -> Result<LayersNetwork, Error> {
        let isa = *isa;
        let lanes = |channels| isa.lanes(channels);
        let mut planner = Planner::new(&mut source, &lanes);
        let plan = LayersPlan::new(&layer_graph(network), &mut planner)?;
        let (mut parameters, norms) = (planner.parameters, planner.norms);
        parameters.shrink_to_fit();
        source.finish()?;
        Ok(LayersNetwork {
            plan,
            input: network.input(),
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
            logits.extend_from_slice(&self.logits);
        }
        logits
    }

    fn step(&mut self, batch: &StepInput, recipe: &Recipe, rate: f64) -> Loss {
        self.load(&batch.pixels);
        self.forward(&batch.factors, true);
        let smoothing = recipe.label_smoothing;
        let loss = self
            .cross_entropy
            .compute(&self.logits, &batch.labels, smoothing);
        let classes = self.plan.classes();
        for block in self.blocks.iter_mut().filter(|block| block.images > 0) {
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

impl LayersNetwork {
    /// Distributes the images over the blocks.
    fn load(&mut self, pixels: &[f32]) {
        let image = self.input.len();
        let images = pixels.len() / image;
        // The last block has capacity for the remaining images only.
        let capacity = |index: usize| (images - index * BLOCK).min(BLOCK);
        let needed = images.div_ceil(BLOCK);
        let fits = |index: usize| {
            let block = self.blocks.get(index);
            block.is_some_and(|block| block.capacity >= capacity(index))
        };
        if !(0..needed).all(fits) {
            let new = |index| LayerBlock::new(&self.plan, capacity(index), self.training);
            self.blocks = (0..needed).map(new).collect();
        }
        let mut left = pixels.chunks(BLOCK * image);
        for (index, block) in self.blocks.iter_mut().enumerate() {
            block.first = index * BLOCK;
            block.load(left.next().unwrap_or(&[]), self.input);
        }
    }

    /// Runs one pass for every block that has images.
    fn each_block(
        &mut self,
        factors: &[Vec<f32>],
        work: impl Fn(&LayerPass, &mut LayerBlock) + Sync,
    ) {
        let pass = LayerPass {
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

    /// The layers from one batch norm, or the first layer, up to the next batch norm, or the end.
    fn parts(&self) -> Vec<Range<usize>> {
        let mut parts = Vec::new();
        let mut first = 0;
        for (index, layer) in self.plan.layers.iter().enumerate() {
            if layer.norm.is_some() {
                parts.push(first..index);
                first = index;
            }
        }
        parts.push(first..self.plan.layers.len());
        parts
    }

    /// Computes the logits of the images that were loaded.
    fn forward(&mut self, factors: &[Vec<f32>], training: bool) {
        for part in self.parts() {
            let ends = part.end == self.plan.layers.len();
            self.each_block(factors, |pass, block| {
                block.forward(pass, part.clone());
                match (ends, training) {
                    (true, _) => block.head(pass),
                    (false, true) => block.measure(pass, part.end),
                    (false, false) => {}
                }
            });
            if let (true, Some(norm)) = (training && !ends, self.norm_at(part.end)) {
                self.state
                    .update_statistics(norm, &mut self.blocks, |block| block.sums_of(norm));
            }
        }
        let classes = self.plan.classes();
        self.logits.clear();
        for block in &self.blocks {
            let rows = unpadded(&block.logits, classes, block.images);
            self.logits.extend(rows);
        }
    }

    fn norm_at(&self, layer: usize) -> Option<usize> {
        self.plan.layers.get(layer)?.norm
    }

    fn backward_pass(&mut self, factors: &[Vec<f32>]) {
        for part in self.parts().into_iter().rev() {
            let ends = part.end == self.plan.layers.len();
            let norm = self.norm_at(part.start);
            self.each_block(factors, |pass, block| {
                if ends {
                    block.head_backward(pass);
                }
                // The part begins with its batch norm, for which sums are needed first.
                let after = part.start + usize::from(norm.is_some());
                block.backward(pass, after..part.end);
                if norm.is_some() {
                    block.sum_backward(pass, part.start);
                }
            });
            if let Some(norm) = norm {
                self.state
                    .sum_backward(norm, &mut self.blocks, |block| block.sums_of(norm));
                self.each_block(factors, |pass, block| {
                    block.norm_backward(pass, part.start);
                });
            }
        }
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

impl LayerBlock {
    /// The sums of a batch norm.
    fn sums_of(&mut self, norm: usize) -> BlockSums<'_> {
        BlockSums {
            first: self.first,
            images: self.images,
            sums: &mut self.sums[norm],
        }
    }
}
