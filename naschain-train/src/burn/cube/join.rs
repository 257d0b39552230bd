//! 1×1 convolutions of one or several maps, with drop-path. The maps are tensors of their own, so
//! each is convolved by a launch of its own, which continues the sums of those before.

use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;

use super::super::ops::{Conv1Shape, Factors};
use super::tensors::{buffer, fresh, gpu, map, owned, read_only};
use crate::gpu::launch::{Conv1, Sources};
use crate::gpu::{Buffer, Gpu};

impl Conv1Shape {
    /// The convolution of map number `number`.
    pub(super) fn on_gpu(self, number: usize, factors: Option<&Buffer>) -> Conv1<'_> {
        Conv1 {
            images: self.to.images,
            pixels: self.to.height * self.to.width,
            inputs: self.inputs,
            outputs: self.to.channels,
            sources: Sources::One {
                number,
                of: self.maps,
            },
            factors: factors.map(Buffer::all),
        }
    }
}

/// Drop-path's factors of one map, on the device.
fn on_device<R: CubeRuntime>(gpu: &Gpu<R>, factors: &Factors) -> Option<Buffer> {
    factors.as_ref().map(|factors| gpu.write(factors))
}

pub(super) fn conv1<R: CubeRuntime>(
    maps: Vec<CubeTensor<R>>,
    factors: &[Factors],
    weight: CubeTensor<R>,
    shape: Conv1Shape,
) -> CubeTensor<R> {
    let out = fresh(&weight, map(shape.to));
    let gpu = gpu(&weight);
    let (weight, to) = (read_only(weight), buffer(&out));
    for (number, (from, factors)) in maps.into_iter().zip(factors).enumerate() {
        let (from, factors) = (read_only(from), on_device(&gpu, factors));
        let conv = shape.on_gpu(number, factors.as_ref());
        conv.run(&gpu, from.all(), weight.all(), to.all(), number > 0);
    }
    out
}

pub(super) fn input<R: CubeRuntime>(
    dz: CubeTensor<R>,
    weight: CubeTensor<R>,
    number: usize,
    factors: &Factors,
    shape: Conv1Shape,
    sum: Option<CubeTensor<R>>,
) -> CubeTensor<R> {
    let add = sum.is_some();
    let dx = sum.map_or_else(|| fresh(&dz, map(shape.from())), owned);
    let gpu = gpu(&dz);
    let (dz, weight, to) = (read_only(dz), read_only(weight), buffer(&dx));
    let factors = on_device(&gpu, factors);
    let conv = shape.on_gpu(number, factors.as_ref());
    conv.run_back(&gpu, dz.all(), weight.all(), to.all(), add);
    dx
}

pub(super) fn weight<R: CubeRuntime>(
    maps: Vec<CubeTensor<R>>,
    factors: &[Factors],
    dz: CubeTensor<R>,
    shape: Conv1Shape,
) -> CubeTensor<R> {
    let all = shape.on_gpu(0, None);
    let partial = fresh(&dz, [all.chunks() * all.weights()]);
    let gradient = fresh(&dz, [shape.to.channels, shape.maps * shape.inputs, 1, 1]);
    let gpu = gpu(&dz);
    let (dz, partial) = (read_only(dz), buffer(&partial));
    for (number, (from, factors)) in maps.into_iter().zip(factors).enumerate() {
        let (from, factors) = (read_only(from), on_device(&gpu, factors));
        let conv = shape.on_gpu(number, factors.as_ref());
        conv.gradient_parts(&gpu, from.all(), dz.all(), partial.all());
    }
    let to = buffer(&gradient);
    all.fold_gradient(&gpu, partial.all(), to.all());
    gradient
}
