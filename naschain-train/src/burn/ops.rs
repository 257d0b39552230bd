//! The operations that a backend needs so that layers train to the bits of this crate's own
//! training. docs/arithmetic.md defines them.

use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;

pub use super::shapes::{Conv1Shape, Conv3Shape, MapShape};
use crate::loss::Loss;

/// Drop-path's factors for one map: one per image, or `None` if it is not dropped.
pub type Factors = Option<std::sync::Arc<[f32]>>;

/// Batch norm's parameters, `[channels]`, and running statistics.
#[derive(Clone, Debug)]
pub struct NormParameters<F> {
    /// Multiplies the normalised values.
    pub weight: F,
    /// Added to them.
    pub bias: F,
    /// The running mean.
    pub running_mean: F,
    /// The running variance.
    pub running_var: F,
}

impl<F> NormParameters<F> {
    pub(crate) fn map<G>(self, convert: impl Fn(F) -> G) -> NormParameters<G> {
        NormParameters {
            weight: convert(self.weight),
            bias: convert(self.bias),
            running_mean: convert(self.running_mean),
            running_var: convert(self.running_var),
        }
    }
}

/// What batch norm and ReLU compute from a batch.
#[derive(Clone, Debug)]
pub struct Normed<F> {
    /// The result.
    pub y: F,
    /// The next running mean, `[channels]`.
    pub running_mean: F,
    /// The next running variance.
    pub running_var: F,
    /// For the backward pass.
    pub saved: SavedNorm<F>,
}

/// What the backward pass of batch norm needs, `[blocks × lanes]` each.
#[derive(Clone, Debug)]
pub struct SavedNorm<F> {
    /// The batch's mean.
    pub mean: F,
    /// 1 / √(variance + ε)
    pub inverse: F,
    /// weight / √(variance + ε)
    pub scale: F,
}

/// What a 3×3 convolution with batch norm and ReLU computes from a batch.
#[derive(Clone, Debug)]
pub struct ConvNormed<F> {
    /// The convolution's result, for the backward pass.
    pub z: F,
    /// The result of batch norm and ReLU.
    pub normed: Normed<F>,
}

/// What the backward pass of a 3×3 convolution with batch norm and ReLU reads.
#[derive(Clone, Debug)]
pub struct ConvNormRead<F> {
    /// The map that the convolution read.
    pub x: F,
    /// Its result.
    pub z: F,
    /// Its weight.
    pub weight: F,
    /// Batch norm's bias.
    pub norm_bias: F,
    /// The batch's statistics.
    pub saved: SavedNorm<F>,
}

/// The gradients of a 3×3 convolution with batch norm and ReLU.
#[derive(Clone, Debug)]
pub struct ConvNormGradients<F> {
    /// With respect to the map that the convolution read, if it was asked for.
    pub x: Option<F>,
    /// With respect to the convolution's weight.
    pub weight: F,
    /// With respect to batch norm's weight.
    pub norm_weight: F,
    /// With respect to batch norm's bias.
    pub norm_bias: F,
}

/// Softmax cross-entropy of a batch.
#[derive(Clone, Debug)]
pub struct CrossEntropyOutput<F> {
    /// The batch's mean loss, `[1]`, rounded to f32.
    pub mean: F,
    /// The gradient of the mean loss, `[images, classes]`.
    pub gradient: F,
    /// The sum of the images' losses.
    pub sum: f64,
    /// Number of images whose largest logit is that of their label.
    pub correct: u64,
}

impl<F> CrossEntropyOutput<F> {
    pub(crate) fn loss(&self) -> Loss {
        Loss {
            sum: self.sum,
            correct: self.correct,
        }
    }
}

/// The numbers of one step of stochastic gradient descent, without dampening. They define the step;
/// another one would make another optimiser. So the struct may be written as a literal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SgdStep {
    /// The norm to which all gradients together are clipped.
    pub clip_norm: f32,
    /// Learning rate.
    pub rate: f32,
    /// Momentum.
    pub momentum: f32,
    /// Weight decay.
    pub weight_decay: f32,
    /// Whether the momentum is Nesterov's.
    pub nesterov: bool,
}

/// Operations with one order of arithmetic. Names of gradients end with what they are with respect
/// to. Weights are in PyTorch's layout.
///
/// `sum` is the gradient so far of the map that an operation reads, if it has other readers; the
/// operation adds to it in place.
pub trait ExactOps: Backend {
    /// The dimensions of a map's tensor: images, blocks, rows, columns, lanes.
    fn exact_map(shape: MapShape) -> [usize; 5] {
        shape.tensor()
    }

    /// The same map for its next reader, whose gradient then arrives before that of `reader`, the
    /// result of the reader before. Without autodiff it is the map itself.
    fn exact_tap(map: FloatTensor<Self>, _reader: &FloatTensor<Self>) -> FloatTensor<Self> {
        map
    }

    /// A 3×3 convolution.
    fn exact_conv3(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        shape: Conv3Shape,
    ) -> FloatTensor<Self>;

    /// The gradient of [`ExactOps::exact_conv3`] with respect to the map that it reads.
    fn exact_conv3_input(
        dz: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        shape: Conv3Shape,
        sum: Option<FloatTensor<Self>>,
    ) -> FloatTensor<Self>;

    /// The gradient of [`ExactOps::exact_conv3`] with respect to its weight.
    fn exact_conv3_weight(
        x: FloatTensor<Self>,
        dz: FloatTensor<Self>,
        shape: Conv3Shape,
    ) -> FloatTensor<Self>;

    /// A 1×1 convolution of maps, each multiplied by its factors.
    fn exact_conv1(
        maps: Vec<FloatTensor<Self>>,
        factors: &[Factors],
        weight: FloatTensor<Self>,
        shape: Conv1Shape,
    ) -> FloatTensor<Self>;

    /// The gradient of [`ExactOps::exact_conv1`] with respect to map number `map`.
    fn exact_conv1_input(
        dz: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        map: usize,
        factors: &Factors,
        shape: Conv1Shape,
        sum: Option<FloatTensor<Self>>,
    ) -> FloatTensor<Self>;

    /// The gradient of [`ExactOps::exact_conv1`] with respect to its weight.
    fn exact_conv1_weight(
        maps: Vec<FloatTensor<Self>>,
        factors: &[Factors],
        dz: FloatTensor<Self>,
        shape: Conv1Shape,
    ) -> FloatTensor<Self>;

    /// Batch norm with the batch's statistics, and ReLU.
    fn exact_norm_relu(
        z: FloatTensor<Self>,
        parameters: NormParameters<FloatTensor<Self>>,
        shape: MapShape,
    ) -> Normed<FloatTensor<Self>>;

    /// The gradients of [`ExactOps::exact_norm_relu`] with respect to `z`, weight and bias.
    fn exact_norm_relu_backward(
        dy: FloatTensor<Self>,
        z: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        saved: SavedNorm<FloatTensor<Self>>,
        shape: MapShape,
    ) -> [FloatTensor<Self>; 3];

    /// [`ExactOps::exact_conv3`] of a map, then [`ExactOps::exact_norm_relu`]: the same bits. A backend
    /// may compute it with less memory traffic.
    fn exact_conv3_norm_relu(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        parameters: NormParameters<FloatTensor<Self>>,
        shape: Conv3Shape,
    ) -> ConvNormed<FloatTensor<Self>> {
        let z = Self::exact_conv3(x, weight, shape);
        let normed = Self::exact_norm_relu(z.clone(), parameters, shape.to);
        ConvNormed { z, normed }
    }

    /// The gradients of [`ExactOps::exact_conv3_norm_relu`], that with respect to its map only if
    /// `input` is true.
    fn exact_conv3_norm_relu_backward(
        dy: FloatTensor<Self>,
        read: ConvNormRead<FloatTensor<Self>>,
        shape: Conv3Shape,
        input: bool,
        sum: Option<FloatTensor<Self>>,
    ) -> ConvNormGradients<FloatTensor<Self>> {
        let ConvNormRead {
            x,
            z,
            weight,
            norm_bias,
            saved,
        } = read;
        let [dz, norm_weight, norm_bias] =
            Self::exact_norm_relu_backward(dy, z, norm_bias, saved, shape.to);
        ConvNormGradients {
            weight: Self::exact_conv3_weight(x, dz.clone(), shape),
            x: input.then(|| Self::exact_conv3_input(dz, weight, shape, sum)),
            norm_weight,
            norm_bias,
        }
    }

    /// Batch norm with the running statistics, and ReLU. It has no gradient.
    fn exact_norm_relu_running(
        z: FloatTensor<Self>,
        parameters: NormParameters<FloatTensor<Self>>,
        shape: MapShape,
    ) -> FloatTensor<Self>;

    /// 2×2 max pooling of a map of `shape`.
    fn exact_max_pool2(y: FloatTensor<Self>, shape: MapShape) -> FloatTensor<Self>;

    /// The gradient of [`ExactOps::exact_max_pool2`].
    fn exact_max_pool2_input(
        dout: FloatTensor<Self>,
        y: FloatTensor<Self>,
        shape: MapShape,
    ) -> FloatTensor<Self>;

    /// The mean of each channel of a map of `shape`.
    fn exact_average(y: FloatTensor<Self>, shape: MapShape) -> FloatTensor<Self>;

    /// The gradient of [`ExactOps::exact_average`].
    fn exact_average_input(dmeans: FloatTensor<Self>, shape: MapShape) -> FloatTensor<Self>;

    /// A linear layer with bias, from a map of one pixel to `[images, classes]`.
    fn exact_linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        shape: Conv1Shape,
    ) -> FloatTensor<Self>;

    /// The gradients of [`ExactOps::exact_linear`] with respect to `x`, weight and bias.
    fn exact_linear_backward(
        dlogits: FloatTensor<Self>,
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        shape: Conv1Shape,
    ) -> [FloatTensor<Self>; 3];

    /// Softmax cross-entropy of `[images, classes]` logits with label smoothing.
    fn exact_cross_entropy(
        logits: FloatTensor<Self>,
        labels: &[u16],
        smoothing: f64,
    ) -> CrossEntropyOutput<FloatTensor<Self>>;

    /// The sum of squares of each parameter's gradient, `[parameters]`. There is at least one.
    fn exact_sums_of_squares(gradients: Vec<FloatTensor<Self>>) -> FloatTensor<Self>;

    /// One step of one parameter: its new value and velocity. `squares` are the sums of squares of
    /// all parameters' gradients.
    fn exact_sgd(
        parameter: FloatTensor<Self>,
        velocity: Option<FloatTensor<Self>>,
        gradient: FloatTensor<Self>,
        squares: FloatTensor<Self>,
        step: SgdStep,
    ) -> [FloatTensor<Self>; 2];
}
