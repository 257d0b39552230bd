//! Feature maps, and the operations of layers on them.

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorPrimitive};

use super::ops::{Conv1Shape, Conv3Shape, ConvNormed, ExactOps, Factors, MapShape, NormParameters};
use crate::Isa;

/// A feature map in the layout of the kernels: `[image, block of channels, row, column, lane]`.
///
/// Layers read a map by `&mut`: each leaves a tap behind it, from which the next layer reads, so
/// that gradients are added from the last reader to the first. A clone of a map has taps of its own;
/// the order of the sums between the readers of a map and of its clone is burn's.
#[derive(Clone, Debug)]
pub struct Map<B: Backend> {
    tensor: Tensor<B, 5>,
    shape: MapShape,
}

pub(super) fn primitive<B: Backend, const D: usize>(
    tensor: Tensor<B, D>,
) -> B::FloatTensorPrimitive {
    tensor.into_primitive().tensor()
}

pub(super) fn tensor<B: Backend, const D: usize>(
    primitive: B::FloatTensorPrimitive,
) -> Tensor<B, D> {
    Tensor::from_primitive(TensorPrimitive::Float(primitive))
}

impl<B: ExactOps> Map<B> {
    /// From `[images, channels, height, width]`.
    pub fn from_nchw(x: Tensor<B, 4>, isa: Isa) -> Map<B> {
        let [images, channels, height, width] = x.dims();
        let shape = MapShape {
            images,
            channels,
            height,
            width,
            isa,
        };
        let [_, blocks, _, _, lanes] = B::exact_map(shape);
        let missing = blocks * lanes - channels;
        let padded = match missing {
            0 => x,
            _ => {
                let zeros = Tensor::zeros([images, missing, height, width], &x.device());
                Tensor::cat(vec![x, zeros], 1)
            }
        };
        let blocked = padded.reshape([images, blocks, lanes, height, width]);
        Map {
            tensor: blocked.permute([0, 1, 3, 4, 2]),
            shape,
        }
    }

    /// To `[images, channels, height, width]`.
    pub fn to_nchw(&self) -> Tensor<B, 4> {
        let MapShape {
            images,
            channels,
            height,
            width,
            ..
        } = self.shape;
        let [_, blocks, _, _, lanes] = B::exact_map(self.shape);
        let planes = self.tensor.clone().permute([0, 1, 4, 2, 3]);
        let planes = planes.reshape([images, blocks * lanes, height, width]);
        planes.slice([0..images, 0..channels])
    }

    /// The shape.
    pub fn shape(&self) -> MapShape {
        self.shape
    }

    /// Makes the next reader read a tap, so that its gradient comes before that of `reader`, the
    /// result of the reader before. The layers of this crate do it themselves; an operation of your
    /// own on a map's tensor has to.
    pub fn tap<const D: usize>(&mut self, reader: &Tensor<B, D>) {
        let map = primitive(self.tensor.clone());
        self.tensor = tensor(B::exact_tap(map, &primitive(reader.clone())));
    }

    /// The tensor, `[image, block, row, column, lane]`.
    pub fn tensor(&self) -> Tensor<B, 5> {
        self.tensor.clone()
    }

    fn read(&mut self, out: B::FloatTensorPrimitive, shape: MapShape) -> Map<B> {
        let out = Map {
            tensor: tensor(out),
            shape,
        };
        self.tap(&out.tensor);
        out
    }

    fn handle(&self) -> B::FloatTensorPrimitive {
        primitive(self.tensor.clone())
    }

    /// The elementwise sum of two maps of one shape.
    ///
    /// # Panics
    /// If the shapes differ.
    pub fn add(&mut self, other: &mut Map<B>) -> Map<B> {
        assert_eq!(self.shape, other.shape, "maps of one shape can be added");
        let sum = self.tensor.clone() + other.tensor.clone();
        other.tap(&sum);
        self.read(primitive(sum), self.shape)
    }

    pub(super) fn conv3(&mut self, weight: Tensor<B, 4>) -> Map<B> {
        self.check_conv3(&weight);
        let shape = Conv3Shape {
            to: self.shape,
            planes: None,
        };
        let out = B::exact_conv3(self.handle(), primitive(weight), shape);
        self.read(out, self.shape)
    }

    /// An unpadded 3×3 convolution of pixels, `[images, planes, height, width]`.
    pub(super) fn of_pixels(x: Tensor<B, 4>, weight: Tensor<B, 4>, isa: Isa) -> Map<B> {
        let [images, planes, height, width] = x.dims();
        assert_eq!(
            weight.dims()[1..],
            [planes, 3, 3],
            "the weight fits the pixels"
        );
        assert!(
            height > 2 && width > 2,
            "images of {height}x{width} pixels are too small"
        );
        let shape = MapShape {
            images,
            channels: weight.dims()[0],
            height: height - 2,
            width: width - 2,
            isa,
        };
        let planes = Some(planes);
        let read = Conv3Shape { to: shape, planes };
        Map {
            tensor: tensor(B::exact_conv3(primitive(x), primitive(weight), read)),
            shape,
        }
    }

    /// A 1×1 convolution of maps that are distinct places of `maps`, each multiplied by its factors.
    pub(super) fn join(
        maps: &mut [Option<Map<B>>],
        read: &[usize],
        factors: &[Factors],
        weight: Tensor<B, 4>,
    ) -> Option<Map<B>> {
        let tensors: Vec<_> = read.iter().filter_map(|&at| maps[at].as_ref()).collect();
        let from = tensors.first()?.shape;
        let shape = Conv1Shape {
            to: from.with_channels(weight.dims()[0]),
            inputs: from.channels,
            maps: tensors.len(),
        };
        assert!(
            tensors.iter().all(|map| map.shape == from),
            "joined maps have one shape"
        );
        let expected = [shape.maps * shape.inputs, 1, 1];
        assert_eq!(
            weight.dims()[1..],
            expected,
            "the weight fits the joined maps"
        );
        let tensors = tensors.into_iter().map(Map::handle).collect();
        let out = tensor(B::exact_conv1(tensors, factors, primitive(weight), shape));
        for &at in read {
            if let Some(map) = &mut maps[at] {
                map.tap::<5>(&out);
            }
        }
        Some(Map {
            tensor: out,
            shape: shape.to,
        })
    }

    /// Batch norm and ReLU with the running statistics, or, with the next running mean and variance,
    /// with the batch's.
    pub(super) fn norm_relu(
        &mut self,
        parameters: NormParameters<Tensor<B, 1>>,
        training: bool,
    ) -> (Map<B>, Option<[Tensor<B, 1>; 2]>) {
        self.check_norm(&parameters);
        let parameters = parameters.map(primitive);
        if !training {
            let y = B::exact_norm_relu_running(self.handle(), parameters, self.shape);
            return (self.read(y, self.shape), None);
        }
        let normed = B::exact_norm_relu(self.handle(), parameters, self.shape);
        let running = [normed.running_mean, normed.running_var].map(tensor);
        (self.read(normed.y, self.shape), Some(running))
    }

    fn check_conv3(&self, weight: &Tensor<B, 4>) {
        let channels = self.shape.channels;
        let expected = [channels, channels, 3, 3];
        assert_eq!(
            weight.dims(),
            expected,
            "the weight fits the map's channels"
        );
    }

    fn check_norm(&self, parameters: &NormParameters<Tensor<B, 1>>) {
        let found = parameters.weight.dims();
        assert_eq!(
            found,
            [self.shape.channels],
            "the norm fits the map's channels"
        );
    }

    /// [`Map::conv3`], then [`Map::norm_relu`] in training.
    pub(super) fn conv3_norm_relu(
        &mut self,
        weight: Tensor<B, 4>,
        parameters: NormParameters<Tensor<B, 1>>,
    ) -> (Map<B>, [Tensor<B, 1>; 2]) {
        self.check_conv3(&weight);
        self.check_norm(&parameters);
        let shape = Conv3Shape {
            to: self.shape,
            planes: None,
        };
        let (weight, parameters) = (primitive(weight), parameters.map(primitive));
        let ConvNormed { normed, .. } =
            B::exact_conv3_norm_relu(self.handle(), weight, parameters, shape);
        let running = [normed.running_mean, normed.running_var].map(tensor);
        (self.read(normed.y, self.shape), running)
    }

    pub(super) fn max_pool2(&mut self) -> Map<B> {
        let MapShape { height, width, .. } = self.shape;
        assert!(
            height > 1 && width > 1,
            "a map of {height}x{width} cannot be halved"
        );
        let out = B::exact_max_pool2(self.handle(), self.shape);
        self.read(out, self.shape.halved())
    }

    pub(super) fn average(&mut self) -> Map<B> {
        let out = B::exact_average(self.handle(), self.shape);
        self.read(out, self.shape.averaged())
    }

    /// A linear layer of a map of one pixel: `[images, classes]`.
    pub(super) fn linear(&mut self, weight: Tensor<B, 2>, bias: Tensor<B, 1>) -> Tensor<B, 2> {
        let MapShape {
            channels,
            height,
            width,
            ..
        } = self.shape;
        assert_eq!(
            (height, width),
            (1, 1),
            "a linear layer reads a map of one pixel"
        );
        assert_eq!(
            weight.dims()[1],
            channels,
            "the weight fits the map's channels"
        );
        let shape = Conv1Shape {
            to: self.shape.with_channels(weight.dims()[0]),
            inputs: self.shape.channels,
            maps: 1,
        };
        let (weight, bias) = (primitive(weight), primitive(bias));
        let logits = tensor(B::exact_linear(self.handle(), weight, bias, shape));
        self.tap::<2>(&logits);
        logits
    }
}
