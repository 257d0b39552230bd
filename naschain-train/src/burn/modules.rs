//! Layers for networks of your own.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::layers::{Builder, Conv, Linear, NormRelu};
use super::map::Map;
use super::ops::{ExactOps, Factors};
use crate::Isa;
use crate::weights::TensorSource;

/// Draws the initial weights of layers from a seed: uniform in ±1/√fan-in, as PyTorch does. Equal
/// seeds give equal weights to layers that are made in equal order.
pub struct ExactInitializer<B: Backend> {
    source: TensorSource,
    device: B::Device,
}

impl<B: Backend> ExactInitializer<B> {
    /// From `seed`.
    pub fn new(seed: u64, device: &B::Device) -> ExactInitializer<B> {
        ExactInitializer {
            source: TensorSource::drawn(seed),
            device: device.clone(),
        }
    }

    fn builder(&mut self) -> Builder<'_, B> {
        Builder {
            source: &mut self.source,
            device: &self.device,
        }
    }

    fn conv(&mut self, [inputs, outputs]: [usize; 2], kernel: usize) -> Param<Tensor<B, 4>> {
        let conv = Conv::build(&mut self.builder(), "conv", [inputs, outputs], kernel, 0);
        conv.expect("drawn tensors fit every shape").weight
    }
}

/// The first 3×3 convolution, of pixels, without padding and bias. Pixels get no gradient.
#[derive(Module, Debug)]
pub struct PixelConv3<B: Backend> {
    /// `[channels, planes, 3, 3]`
    weight: Param<Tensor<B, 4>>,
}

impl<B: Backend> PixelConv3<B> {
    /// From images of `planes` colour planes to maps of `channels` channels.
    pub fn new(planes: usize, channels: usize, initial: &mut ExactInitializer<B>) -> Self {
        let weight = initial.conv([planes, channels], 3);
        PixelConv3 { weight }
    }
}

impl<B: ExactOps> PixelConv3<B> {
    /// `[images, planes, height, width]` to a map with two rows and columns fewer.
    pub fn forward(&self, pixels: Tensor<B, 4>, isa: Isa) -> Map<B> {
        Map::of_pixels(pixels, self.weight.val(), isa)
    }
}

/// A 3×3 convolution of a map, padded by one pixel, without bias. It keeps the number of channels;
/// [`Join`] changes it.
#[derive(Module, Debug)]
pub struct Conv3<B: Backend> {
    /// `[channels, channels, 3, 3]`
    weight: Param<Tensor<B, 4>>,
}

impl<B: Backend> Conv3<B> {
    /// For maps of `channels` channels.
    pub fn new(channels: usize, initial: &mut ExactInitializer<B>) -> Self {
        let weight = initial.conv([channels, channels], 3);
        Conv3 { weight }
    }
}

impl<B: ExactOps> Conv3<B> {
    /// The convolution of `x`.
    pub fn forward(&self, x: &mut Map<B>) -> Map<B> {
        x.conv3(self.weight.val())
    }

    /// [`Conv3::forward`], then [`NormRelu::forward`]: the same bits, faster for large maps.
    pub fn forward_norm_relu(&self, x: &mut Map<B>, norm: &NormRelu<B>, training: bool) -> Map<B> {
        norm.after_conv3(x, self.weight.val(), training)
    }
}

/// A 1×1 convolution of one map, or of several as if they were concatenated along channels, without
/// bias.
#[derive(Module, Debug)]
pub struct Join<B: Backend> {
    /// `[channels, maps × inputs, 1, 1]`
    weight: Param<Tensor<B, 4>>,
}

impl<B: Backend> Join<B> {
    /// From `maps` maps of `inputs` channels each to one of `channels`.
    pub fn new(
        maps: usize,
        inputs: usize,
        channels: usize,
        initial: &mut ExactInitializer<B>,
    ) -> Self {
        let weight = initial.conv([maps * inputs, channels], 1);
        Join { weight }
    }
}

impl<B: ExactOps> Join<B> {
    /// Joins maps of one shape, each a different one.
    ///
    /// # Panics
    /// If there is no map, if the maps have different shapes, or if their channels are not those that
    /// the weight reads.
    pub fn forward(&self, maps: Vec<&mut Map<B>>) -> Map<B> {
        let mut copies: Vec<_> = maps.iter().map(|map| Some((**map).clone())).collect();
        let all: Vec<usize> = (0..copies.len()).collect();
        let factors: Vec<Factors> = vec![None; copies.len()];
        let joined = Map::join(&mut copies, &all, &factors, self.weight.val());
        // The copies have the taps that the next readers of the maps have to read.
        for (map, copy) in maps.into_iter().zip(copies.into_iter().flatten()) {
            *map = copy;
        }
        joined.expect("a join reads at least one map")
    }
}

impl<B: Backend> NormRelu<B> {
    /// For maps of `channels` channels, with scale 1 and shift 0.
    pub fn new(channels: usize, initial: &mut ExactInitializer<B>) -> Self {
        let norm = NormRelu::build(&mut initial.builder(), "norm", channels);
        norm.expect("drawn tensors fit every shape")
    }
}

impl<B: ExactOps> NormRelu<B> {
    /// Normalises with the batch's statistics when training, and updates the running statistics;
    /// otherwise with the running statistics, where it has no gradient. The updated statistics depend
    /// on the order of the forward passes, so train one module in one thread at a time.
    pub fn forward(&self, z: &mut Map<B>, training: bool) -> Map<B> {
        self.exact(z, training)
    }
}

impl<B: Backend> Linear<B> {
    /// From `features` channels to `classes` logits.
    pub fn new(features: usize, classes: usize, initial: &mut ExactInitializer<B>) -> Self {
        let linear = Linear::build(&mut initial.builder(), "linear", [features, classes]);
        linear.expect("drawn tensors fit every shape")
    }
}

impl<B: ExactOps> Linear<B> {
    /// `[images, classes]` logits of a map of one pixel, such as [`GlobalAverage`] gives.
    pub fn forward(&self, features: &mut Map<B>) -> Tensor<B, 2> {
        features.linear(self.weight.val(), self.bias.val())
    }
}

/// 2×2 max pooling with stride 2; an odd last row or column is ignored. Of equal values the first
/// gets the gradient.
#[derive(Module, Clone, Debug, Default)]
pub struct MaxPool2;

impl MaxPool2 {
    /// Half of the rows and columns.
    pub fn forward<B: ExactOps>(&self, x: &mut Map<B>) -> Map<B> {
        x.max_pool2()
    }
}

/// The mean of each channel.
#[derive(Module, Clone, Debug, Default)]
pub struct GlobalAverage;

impl GlobalAverage {
    /// A map of one pixel.
    pub fn forward<B: ExactOps>(&self, x: &mut Map<B>) -> Map<B> {
        x.average()
    }
}
