//! The parameters of layers, built from host data, and their forward pass by burn's own operations.

use burn::module::{Module, Param, ParamId};
use burn::tensor::backend::Backend;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Tensor, TensorData, activation, module};

#[cfg(test)]
use super::operations;
use super::running::RunningStatistic;
use crate::Error;
use crate::weights::{Init, NamedTensor, TensorSource};

/// Builds layers: the source of their tensors and their device.
pub(crate) struct Builder<'a, B: Backend> {
    pub(crate) source: &'a mut TensorSource,
    pub(crate) device: &'a B::Device,
}

impl<B: Backend> Builder<'_, B> {
    pub(super) fn tensor<const D: usize>(
        &mut self,
        name: &str,
        shape: [usize; D],
        start: Init,
    ) -> Result<Tensor<B, D>, Error> {
        let values = self.source.take(name, &shape, start)?;
        Ok(Tensor::from_data(
            TensorData::new(values, shape),
            self.device,
        ))
    }
}

/// Copies one tensor to the host.
pub(super) fn read<B: Backend, const D: usize>(name: String, tensor: Tensor<B, D>) -> NamedTensor {
    let shape = tensor.dims().to_vec();
    NamedTensor {
        name,
        shape,
        values: values(tensor),
    }
}

/// A tensor's values on the host.
pub(crate) fn values<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Vec<f32> {
    let data = tensor.into_data().convert::<f32>();
    data.into_vec().expect("just converted to f32")
}

/// The mean of each channel, `[images, channels, 1, 1]`.
pub(super) fn means<B: Backend>(x: Tensor<B, 4>) -> Tensor<B, 4> {
    let [images, channels, height, width] = x.dims();
    let rows = x.reshape([images, channels, height * width]);
    let means = rows.sum_dim(2).div_scalar((height * width) as f64);
    means.reshape([images, channels, 1, 1])
}

/// A tensor that is part of a record and that optimisers do not change.
pub(super) fn untrained<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Param<Tensor<B, D>> {
    Param::initialized(ParamId::new(), tensor)
}

/// A square convolution without bias.
#[derive(Module, Debug)]
pub struct Conv<B: Backend> {
    /// `[out, in, kernel, kernel]`
    pub(super) weight: Param<Tensor<B, 4>>,
    padding: usize,
}

impl<B: Backend> Conv<B> {
    pub(crate) fn build(
        builder: &mut Builder<B>,
        name: &str,
        channels: [usize; 2],
        kernel: usize,
        padding: usize,
    ) -> Result<Self, Error> {
        let [input, output] = channels;
        let fan_in = input * kernel * kernel;
        let shape = [output, input, kernel, kernel];
        let name = format!("{name}.weight");
        let weight = builder.tensor(&name, shape, Init::Uniform { fan_in })?;
        Ok(Conv {
            weight: Param::from_tensor(weight),
            padding,
        })
    }

    /// `[images, in, height, width]` to `[images, out, height', width']`.
    pub(crate) fn stock_forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let options = ConvOptions::new([1, 1], [self.padding; 2], [1, 1], 1);
        let y = module::conv2d(x, self.weight.val(), None, options);
        #[cfg(test)]
        operations::conv(&self.weight.val(), &y);
        y
    }

    pub(crate) fn read(&self, name: &str, tensors: &mut Vec<NamedTensor>) {
        tensors.push(read(format!("{name}.weight"), self.weight.val()));
    }
}

pub(crate) const EPSILON: f64 = 1e-5;
const MOMENTUM: f64 = 0.1;

/// Batch norm (Ioffe and Szegedy 2015) and ReLU.
///
/// burn's own batch norm broadcasts `[1, channels, 1, 1]`, which takes more than twice as long on
/// its CPU backend as the layout `[images × channels, pixels]` used here; and its running
/// statistics are shared between clones and lag by one step. Those of this one are updated through
/// `&self` too, at once, and each clone has its own.
#[derive(Module, Debug)]
pub struct NormRelu<B: Backend> {
    /// `[channels]`
    pub(super) weight: Param<Tensor<B, 1>>,
    pub(super) bias: Param<Tensor<B, 1>>,
    pub(super) running_mean: RunningStatistic<B>,
    pub(super) running_var: RunningStatistic<B>,
}

impl<B: Backend> NormRelu<B> {
    pub(crate) fn build(
        builder: &mut Builder<B>,
        name: &str,
        channels: usize,
    ) -> Result<Self, Error> {
        let mut tensor = |part: &str, value| {
            builder.tensor(&format!("{name}.{part}"), [channels], Init::Constant(value))
        };
        Ok(NormRelu {
            weight: Param::from_tensor(tensor("weight", 1.0)?),
            bias: Param::from_tensor(tensor("bias", 0.0)?),
            running_mean: RunningStatistic::new(tensor("running_mean", 0.0)?),
            running_var: RunningStatistic::new(tensor("running_var", 1.0)?),
        })
    }

    /// Normalises with the batch's statistics when training, otherwise with the running ones; then ReLU.
    pub(crate) fn stock_forward(&self, x: Tensor<B, 4>, training: bool) -> Tensor<B, 4> {
        activation::relu(self.stock_normalised(x, training))
    }

    /// The same without ReLU.
    pub(super) fn stock_normalised(&self, x: Tensor<B, 4>, training: bool) -> Tensor<B, 4> {
        let [images, channels, height, width] = x.dims();
        let rows = x.reshape([images * channels, height * width]);
        let per_row = |tensor: Tensor<B, 2>| {
            let expanded = tensor.expand([images, channels]);
            expanded.reshape([images * channels, 1])
        };
        let count = (images * height * width) as f64;
        let per_channel = |rows: Tensor<B, 2>| {
            let sums = rows.sum_dim(1).reshape([images, channels]).sum_dim(0);
            sums.div_scalar(count)
        };
        let (centred, var) = if training {
            let mean = per_channel(rows.clone());
            let centred = rows - per_row(mean.clone());
            let var = per_channel(centred.clone() * centred.clone());
            self.observe(mean, var.clone(), count);
            (centred, var)
        } else {
            let mean = self.running_mean.val().unsqueeze();
            (rows - per_row(mean), self.running_var.val().unsqueeze())
        };
        let inverse = var.add_scalar(EPSILON).sqrt().recip();
        let scale = self.weight.val().unsqueeze::<2>() * inverse;
        let y = centred * per_row(scale) + per_row(self.bias.val().unsqueeze());
        #[cfg(test)]
        operations::norm_relu(&y);
        y.reshape([images, channels, height, width])
    }

    fn observe(&self, mean: Tensor<B, 2>, var: Tensor<B, 2>, count: f64) {
        // The running variance is unbiased, as in PyTorch.
        let unbiased = var.mul_scalar(count / (count - 1.0).max(1.0));
        let follow = |statistic: &RunningStatistic<B>, new: Tensor<B, 2>| {
            let new = new.detach().squeeze_dim(0).mul_scalar(MOMENTUM);
            statistic.update(|old| old.mul_scalar(1.0 - MOMENTUM) + new);
        };
        follow(&self.running_mean, mean);
        follow(&self.running_var, unbiased);
    }

    pub(crate) fn read(&self, name: &str, tensors: &mut Vec<NamedTensor>) {
        for (part, tensor) in [
            ("weight", self.weight.val()),
            ("bias", self.bias.val()),
            ("running_mean", self.running_mean.val()),
            ("running_var", self.running_var.val()),
        ] {
            tensors.push(read(format!("{name}.{part}"), tensor));
        }
    }
}

/// A linear layer with bias.
#[derive(Module, Debug)]
pub struct Linear<B: Backend> {
    /// `[out, in]`
    pub(super) weight: Param<Tensor<B, 2>>,
    /// `[out]`
    pub(super) bias: Param<Tensor<B, 1>>,
}

impl<B: Backend> Linear<B> {
    pub(crate) fn build(
        builder: &mut Builder<B>,
        name: &str,
        [input, output]: [usize; 2],
    ) -> Result<Self, Error> {
        let start = Init::Uniform { fan_in: input };
        let weight = builder.tensor(&format!("{name}.weight"), [output, input], start)?;
        let bias = builder.tensor(&format!("{name}.bias"), [output], start)?;
        Ok(Linear {
            weight: Param::from_tensor(weight),
            bias: Param::from_tensor(bias),
        })
    }

    /// `[images, in]` to `[images, out]`.
    pub(crate) fn stock_forward(&self, x: Tensor<B, 2>) -> Tensor<B, 2> {
        #[cfg(test)]
        operations::linear(&self.weight.val(), &x);
        x.matmul(self.weight.val().transpose()) + self.bias.val().unsqueeze()
    }

    pub(crate) fn read(&self, name: &str, tensors: &mut Vec<NamedTensor>) {
        tensors.push(read(format!("{name}.weight"), self.weight.val()));
        tensors.push(read(format!("{name}.bias"), self.bias.val()));
    }
}
