//! An architecture as a burn module.

use burn::module::Module;
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData, module};
use naschain_core::{Architecture, Phase};

use super::layers::{Builder, Conv, Linear, NormRelu};
#[cfg(test)]
use super::operations;
use crate::Error;
use crate::weights::{Source, Weights};

/// What is left of the maps that are joined in one batch, path by path in the order in which the
/// network asks.
pub(super) struct Paths<B: Backend>(std::vec::IntoIter<Tensor<B, 4>>);

impl<B: Backend> Paths<B> {
    /// For each path one factor an image; empty where nothing is dropped.
    pub(super) fn load(factors: &[Vec<f32>], device: &B::Device) -> Paths<B> {
        let load = |factors: &Vec<f32>| {
            let shape = [factors.len(), 1, 1, 1];
            Tensor::from_data(TensorData::new(factors.clone(), shape), device)
        };
        let factors: Vec<_> = factors.iter().map(load).collect();
        Paths(factors.into_iter())
    }

    /// The next path's map, `[images, channels, height, width]`, as the reader gets it.
    fn pass(&mut self, map: Tensor<B, 4>) -> Tensor<B, 4> {
        match self.0.next() {
            Some(factors) => map * factors,
            None => map,
        }
    }
}

/// The network that an [`Architecture`] describes.
#[derive(Module, Debug)]
pub(crate) struct Network<B: Backend> {
    phases: Vec<PhaseLayers<B>>,
    linear: Linear<B>,
}

#[derive(Module, Debug)]
struct PhaseLayers<B: Backend> {
    /// Present even where the channels already fit and it is not applied, because its
    /// parameters are counted.
    entry: Conv<B>,
    entry_applied: bool,
    nodes: Vec<NodeLayers<B>>,
    output: Join<B>,
    norm: NormRelu<B>,
}

#[derive(Module, Debug)]
struct NodeLayers<B: Backend> {
    number: usize,
    input: Join<B>,
    conv: Conv<B>,
    norm: NormRelu<B>,
}

/// Reads one map, or several that a 1×1 convolution brings back to the phase's channels.
#[derive(Module, Debug)]
struct Join<B: Backend> {
    inputs: Vec<usize>,
    conv: Option<Conv<B>>,
}

impl<B: Backend> Network<B> {
    /// Builds the network with tensors from `source`.
    pub(crate) fn build(
        architecture: &Architecture,
        mut source: Source,
        device: &B::Device,
    ) -> Result<Self, Error> {
        let mut builder = Builder {
            source: &mut source,
            device,
        };
        let mut phases = Vec::new();
        for (index, phase) in architecture.phases.iter().enumerate() {
            let name = format!("phases.{index}");
            phases.push(PhaseLayers::build(&mut builder, &name, phase)?);
        }
        let last = architecture.phases.last();
        let features = last.map_or(architecture.input.channels, |phase| phase.channels);
        let linear = Linear::build(&mut builder, "linear", [features, architecture.classes])?;
        source.finish()?;
        Ok(Network { phases, linear })
    }

    /// `[images, channels, height, width]` to logits, `[images, classes]`.
    pub(crate) fn forward(&mut self, x: Tensor<B, 4>, training: bool) -> Tensor<B, 2> {
        self.forward_dropping(x, training, &mut Paths(Vec::new().into_iter()))
    }

    /// The same, with what `paths` leaves of the maps that are joined.
    pub(crate) fn forward_dropping(
        &mut self,
        mut x: Tensor<B, 4>,
        training: bool,
        paths: &mut Paths<B>,
    ) -> Tensor<B, 2> {
        for (index, phase) in self.phases.iter_mut().enumerate() {
            if index > 0 {
                #[cfg(test)]
                operations::pool(&x);
                x = module::max_pool2d(x, [2, 2], [2, 2], [0, 0], [1, 1], false);
            }
            x = phase.forward(x, training, paths);
        }
        #[cfg(test)]
        operations::pool(&x);
        let [images, channels, height, width] = x.dims();
        let rows = x.reshape([images, channels, height * width]);
        let means = rows.sum_dim(2).div_scalar((height * width) as f64);
        self.linear.forward(means.reshape([images, channels]))
    }

    /// How many paths can be dropped.
    pub(crate) fn paths(&self) -> usize {
        let joins = self.phases.iter().flat_map(|phase| {
            let nodes = phase.nodes.iter().map(|node| &node.input);
            nodes.chain([&phase.output])
        });
        joins.map(Join::paths).sum()
    }

    /// Every tensor on the host, in declaration order.
    pub(crate) fn read(&self) -> Weights {
        let mut tensors = Vec::new();
        for (index, phase) in self.phases.iter().enumerate() {
            let name = format!("phases.{index}");
            phase.entry.read(&format!("{name}.entry"), &mut tensors);
            for node in &phase.nodes {
                let name = format!("{name}.nodes.{}", node.number);
                if let Some(conv) = &node.input.conv {
                    conv.read(&format!("{name}.input"), &mut tensors);
                }
                node.conv.read(&format!("{name}.conv"), &mut tensors);
                node.norm.read(&format!("{name}.norm"), &mut tensors);
            }
            if let Some(conv) = &phase.output.conv {
                conv.read(&format!("{name}.output"), &mut tensors);
            }
            phase.norm.read(&format!("{name}.norm"), &mut tensors);
        }
        self.linear.read("linear", &mut tensors);
        Weights { tensors }
    }
}

impl<B: Backend> PhaseLayers<B> {
    fn build(builder: &mut Builder<B>, name: &str, phase: &Phase) -> Result<Self, Error> {
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
                        input: Join::build(
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
            output: Join::build(builder, &format!("{name}.output"), &phase.output, channels)?,
            norm: NormRelu::build(builder, &format!("{name}.norm"), channels)?,
        })
    }

    fn forward(&mut self, x: Tensor<B, 4>, training: bool, paths: &mut Paths<B>) -> Tensor<B, 4> {
        let x = if self.entry_applied {
            self.entry.forward(x)
        } else {
            x
        };
        // maps[k] is what node number k gives; maps[0] is the phase's input.
        let mut maps = vec![Some(x)];
        for node in &mut self.nodes {
            let input = node.input.forward(&maps, paths);
            let map = node.norm.forward(node.conv.forward(input), training);
            maps.resize(node.number, None);
            maps.push(Some(map));
        }
        let output = self.output.forward(&maps, paths);
        self.norm.forward(output, training)
    }
}

impl<B: Backend> Join<B> {
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
        Ok(Join {
            inputs: inputs.to_vec(),
            conv,
        })
    }

    /// Which of the inputs can be dropped: those of several that are a node's.
    fn is_path(&self, input: usize) -> bool {
        self.inputs.len() > 1 && input > 0
    }

    fn paths(&self) -> usize {
        let inputs = self.inputs.iter();
        inputs.filter(|&&input| self.is_path(input)).count()
    }

    fn forward(&self, maps: &[Option<Tensor<B, 4>>], paths: &mut Paths<B>) -> Tensor<B, 4> {
        let read = self.inputs.iter().map(|&input| {
            let map = maps[input].clone();
            let map = map.expect("decoding leaves only inputs that exist");
            match self.is_path(input) {
                true => paths.pass(map),
                false => map,
            }
        });
        let mut read: Vec<_> = read.collect();
        match &self.conv {
            Some(conv) => conv.forward(Tensor::cat(read, 1)),
            None => read.remove(0),
        }
    }
}
