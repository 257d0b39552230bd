//! The network of an architecture by exact operations: the miner's bits.

use std::sync::Arc;
use std::vec::IntoIter;

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use naschain_core::Architecture;

use super::layers::NormRelu;
use super::map::Map;
use super::network::BurnNetwork;
use super::ops::{ExactOps, Factors, NormParameters};
use super::phase::{PhaseLayers, Reads};
use crate::weights::TensorSource;
use crate::{Error, Isa};

impl<B: Backend> BurnNetwork<B> {
    /// The untrained network of an architecture, with the initial weights that
    /// [`train`](crate::train) draws from `seed`.
    ///
    /// # Errors
    /// [`Error::Core`] for an architecture that cannot be built.
    pub fn new(architecture: &Architecture, seed: u64, device: &B::Device) -> Result<Self, Error> {
        architecture.costs()?;
        BurnNetwork::build(architecture, TensorSource::drawn(seed), device)
    }

    /// Number of paths that drop-path can drop.
    pub fn paths(&self) -> usize {
        self.phases.iter().map(PhaseLayers::paths).sum()
    }
}

impl<B: ExactOps> BurnNetwork<B> {
    /// Logits of one training step, `[images, classes]`, with the batch's statistics; updates the
    /// running ones. `pixels` are augmented and normalised,
    /// `[images, channels, height, width]`; `factors` are drop-path's, one for each path and image,
    /// or empty. Bit for bit those of [`train`](crate::train).
    pub fn exact_training(
        &self,
        pixels: Tensor<B, 4>,
        factors: &[Vec<f32>],
        isa: Isa,
    ) -> Tensor<B, 2> {
        self.exact_pass(pixels, true, factors, isa)
    }

    /// Logits of normalised images, `[images, classes]`, with the running statistics. Bit for bit
    /// those of a miner.
    pub fn exact_logits(&self, pixels: Tensor<B, 4>, isa: Isa) -> Tensor<B, 2> {
        self.exact_pass(pixels, false, &[], isa)
    }

    fn exact_pass(
        &self,
        pixels: Tensor<B, 4>,
        training: bool,
        factors: &[Vec<f32>],
        isa: Isa,
    ) -> Tensor<B, 2> {
        let factors: Vec<_> = factors.iter().map(|path| Arc::from(&path[..])).collect();
        let mut pass = ForwardPass {
            training,
            factors: factors.into_iter(),
        };
        let mut map: Option<Map<B>> = None;
        for phase in &self.phases {
            let entered = match map {
                None => phase.enter(pixels.clone(), isa),
                Some(mut map) => phase.enter_next(&mut map),
            };
            map = Some(phase.exact(entered, &mut pass));
        }
        let mut map = map.unwrap_or_else(|| Map::from_nchw(pixels, isa));
        let (weight, bias) = (self.linear.weight.val(), self.linear.bias.val());
        map.average().linear(weight, bias)
    }
}

/// One forward pass.
struct ForwardPass {
    training: bool,
    /// Drop-path's factors, path by path in the order in which the network uses them.
    factors: IntoIter<Arc<[f32]>>,
}

impl<B: ExactOps> PhaseLayers<B> {
    fn enter(&self, pixels: Tensor<B, 4>, isa: Isa) -> Map<B> {
        if self.entry_applied {
            Map::of_pixels(pixels, self.entry.weight.val(), isa)
        } else {
            Map::from_nchw(pixels, isa)
        }
    }

    fn enter_next(&self, before: &mut Map<B>) -> Map<B> {
        let pooled = before.max_pool2();
        if !self.entry_applied {
            return pooled;
        }
        let weight = self.entry.weight.val();
        let joined = Map::join(&mut [Some(pooled)], &[0], &[None], weight);
        joined.expect("one map was given")
    }

    fn exact(&self, entered: Map<B>, pass: &mut ForwardPass) -> Map<B> {
        // maps[k] is the output of node number k; maps[0] is the phase's input.
        let mut maps = vec![Some(entered)];
        for node in &self.nodes {
            let weight = node.conv.weight.val();
            let map = match node.input.exact(&mut maps, pass) {
                Some(mut joined) => node.norm.after_conv3(&mut joined, weight, pass.training),
                None => {
                    let read = single(&mut maps, &node.input);
                    node.norm.after_conv3(read, weight, pass.training)
                }
            };
            maps.resize(node.number, None);
            maps.push(Some(map));
        }
        match self.output.exact(&mut maps, pass) {
            Some(mut z) => self.norm.exact(&mut z, pass.training),
            None => self
                .norm
                .exact(single(&mut maps, &self.output), pass.training),
        }
    }
}

/// The only map that is read.
fn single<'a, B: Backend>(maps: &'a mut [Option<Map<B>>], reads: &Reads<B>) -> &'a mut Map<B> {
    let map = maps[reads.inputs[0]].as_mut();
    map.expect("decoding leaves only inputs that exist")
}

impl<B: ExactOps> Reads<B> {
    /// The joined maps, or `None` if only one map is read.
    fn exact(&self, maps: &mut [Option<Map<B>>], pass: &mut ForwardPass) -> Option<Map<B>> {
        let conv = self.conv.as_ref()?;
        let factors = self.inputs.iter().map(|&input| -> Factors {
            if self.is_path(input) {
                pass.factors.next()
            } else {
                None
            }
        });
        let factors: Vec<Factors> = factors.collect();
        Map::join(maps, &self.inputs, &factors, conv.weight.val())
    }
}

impl<B: ExactOps> NormRelu<B> {
    pub(super) fn exact(&self, z: &mut Map<B>, training: bool) -> Map<B> {
        let (y, running) = z.norm_relu(self.parameters(), training);
        if let Some(running) = running {
            self.set_running(running);
        }
        y
    }

    /// A 3×3 convolution before it.
    pub(super) fn after_conv3(
        &self,
        x: &mut Map<B>,
        weight: Tensor<B, 4>,
        training: bool,
    ) -> Map<B> {
        if !training {
            return self.exact(&mut x.conv3(weight), training);
        }
        let (y, running) = x.conv3_norm_relu(weight, self.parameters());
        self.set_running(running);
        y
    }

    fn parameters(&self) -> NormParameters<Tensor<B, 1>> {
        NormParameters {
            weight: self.weight.val(),
            bias: self.bias.val(),
            running_mean: self.running_mean.val(),
            running_var: self.running_var.val(),
        }
    }

    fn set_running(&self, [mean, var]: [Tensor<B, 1>; 2]) {
        self.running_mean.update(|_| mean);
        self.running_var.update(|_| var);
    }
}
