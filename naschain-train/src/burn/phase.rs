//! A phase of a network: nodes that read one map, or several joined ones.

use burn::module::Module;
use burn::tensor::Tensor;
#[cfg(test)]
use burn::tensor::TensorData;
use burn::tensor::backend::Backend;
use naschain_core::Phase;

use super::layers::{Builder, Conv, NormRelu};
use crate::Error;
use crate::weights::NamedTensor;

/// Drop-path's factors for one batch, path by path in the order in which the network uses them.
pub(super) struct Paths<B: Backend>(std::vec::IntoIter<Tensor<B, 4>>);

impl<B: Backend> Paths<B> {
    /// No drop-path.
    pub(super) fn whole() -> Paths<B> {
        Paths(Vec::new().into_iter())
    }

    /// For each path one factor per image; empty if nothing is dropped.
    #[cfg(test)]
    pub(super) fn load(factors: &[Vec<f32>], device: &B::Device) -> Paths<B> {
        let load = |factors: &Vec<f32>| {
            let shape = [factors.len(), 1, 1, 1];
            Tensor::from_data(TensorData::new(factors.clone(), shape), device)
        };
        let factors: Vec<_> = factors.iter().map(load).collect();
        Paths(factors.into_iter())
    }

    /// The next path's map, `[images, channels, height, width]`, multiplied by its factors.
    fn pass(&mut self, map: Tensor<B, 4>) -> Tensor<B, 4> {
        match self.0.next() {
            Some(factors) => map * factors,
            None => map,
        }
    }
}

#[derive(Module, Debug)]
pub struct PhaseLayers<B: Backend> {
    /// Present even if the channels already match and it is not applied, because its parameters are
    /// counted.
    pub(super) entry: Conv<B>,
    pub(super) entry_applied: bool,
    pub(super) nodes: Vec<NodeLayers<B>>,
    pub(super) output: Reads<B>,
    pub(super) norm: NormRelu<B>,
}

#[derive(Module, Debug)]
pub struct NodeLayers<B: Backend> {
    pub(super) number: usize,
    pub(super) input: Reads<B>,
    pub(super) conv: Conv<B>,
    pub(super) norm: NormRelu<B>,
}

/// Reads one map, or several that a 1×1 convolution reduces to the phase's channels.
#[derive(Module, Debug)]
pub struct Reads<B: Backend> {
    pub(super) inputs: Vec<usize>,
    pub(super) conv: Option<Conv<B>>,
}

impl<B: Backend> PhaseLayers<B> {
    pub(super) fn build(
        builder: &mut Builder<B>,
        name: &str,
        phase: &Phase,
    ) -> Result<Self, Error> {
        let channels = phase.channels;
        let entry = &phase.entry;
        let sides = [entry.in_channels, channels];
        Ok(PhaseLayers {
            entry: Conv::build(builder, &format!("{name}.entry"), sides, entry.kernel, 0)?,
            entry_applied: entry.applied,
            nodes: phase
                .nodes
                .iter()
                .map(|node| {
                    let name = format!("{name}.nodes.{}", node.number);
                    let sides = [channels, channels];
                    Ok(NodeLayers {
                        number: node.number,
                        input: Reads::build(
                            builder,
                            &format!("{name}.input"),
                            &node.inputs,
                            channels,
                        )?,
                        conv: Conv::build(builder, &format!("{name}.conv"), sides, 3, 1)?,
                        norm: NormRelu::build(builder, &format!("{name}.norm"), channels)?,
                    })
                })
                .collect::<Result<_, Error>>()?,
            output: Reads::build(builder, &format!("{name}.output"), &phase.output, channels)?,
            norm: NormRelu::build(builder, &format!("{name}.norm"), channels)?,
        })
    }

    /// Copies every tensor to the host, in declaration order.
    pub(super) fn read(&self, name: &str, tensors: &mut Vec<NamedTensor>) {
        self.entry.read(&format!("{name}.entry"), tensors);
        for node in &self.nodes {
            let name = format!("{name}.nodes.{}", node.number);
            if let Some(conv) = &node.input.conv {
                conv.read(&format!("{name}.input"), tensors);
            }
            node.conv.read(&format!("{name}.conv"), tensors);
            node.norm.read(&format!("{name}.norm"), tensors);
        }
        if let Some(conv) = &self.output.conv {
            conv.read(&format!("{name}.output"), tensors);
        }
        self.norm.read(&format!("{name}.norm"), tensors);
    }

    /// Number of paths that drop-path can drop.
    pub(super) fn paths(&self) -> usize {
        let nodes = self.nodes.iter().map(|node| &node.input);
        nodes.chain([&self.output]).map(Reads::paths).sum()
    }

    pub(super) fn stock_forward(
        &self,
        x: Tensor<B, 4>,
        training: bool,
        paths: &mut Paths<B>,
    ) -> Tensor<B, 4> {
        let x = if self.entry_applied {
            self.entry.stock_forward(x)
        } else {
            x
        };
        // maps[k] is the output of node number k; maps[0] is the phase's input.
        let mut maps = vec![Some(x)];
        for node in &self.nodes {
            let input = node.input.stock_forward(&maps, paths);
            let map = node
                .norm
                .stock_forward(node.conv.stock_forward(input), training);
            maps.resize(node.number, None);
            maps.push(Some(map));
        }
        let output = self.output.stock_forward(&maps, paths);
        self.norm.stock_forward(output, training)
    }
}

impl<B: Backend> Reads<B> {
    fn build(
        builder: &mut Builder<B>,
        name: &str,
        inputs: &[usize],
        channels: usize,
    ) -> Result<Self, Error> {
        let sides = [inputs.len() * channels, channels];
        let conv = match inputs.len() {
            1 => None,
            _ => Some(Conv::build(builder, name, sides, 1, 0)?),
        };
        Ok(Reads {
            inputs: inputs.to_vec(),
            conv,
        })
    }

    /// Whether drop-path may drop an input: only nodes' outputs, and only where several maps are
    /// joined.
    pub(super) fn is_path(&self, input: usize) -> bool {
        self.inputs.len() > 1 && input > 0
    }

    fn paths(&self) -> usize {
        let inputs = self.inputs.iter();
        inputs.filter(|&&input| self.is_path(input)).count()
    }

    fn stock_forward(&self, maps: &[Option<Tensor<B, 4>>], paths: &mut Paths<B>) -> Tensor<B, 4> {
        let read = self.inputs.iter().map(|&input| {
            let map = maps[input].clone();
            let map = map.expect("decoding leaves only inputs that exist");
            if self.is_path(input) {
                paths.pass(map)
            } else {
                map
            }
        });
        let mut read: Vec<_> = read.collect();
        match &self.conv {
            Some(conv) => conv.stock_forward(Tensor::cat(read, 1)),
            None => read.remove(0),
        }
    }
}
