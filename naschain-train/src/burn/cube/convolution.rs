//! 3×3 convolutions.

use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;

use super::super::ops::Conv3Shape;
use super::tensors::{buffer, fresh, gpu, map, owned, read_only};
use crate::gpu::launch::Conv3;

impl Conv3Shape {
    fn on_gpu(self) -> Conv3 {
        Conv3 {
            images: self.to.images,
            height: self.to.height,
            width: self.to.width,
            padding: usize::from(self.planes.is_none()),
            inputs: self.inputs(),
            outputs: self.to.channels,
            oihw: true,
        }
    }
}

pub(super) fn conv3<R: CubeRuntime>(
    x: CubeTensor<R>,
    weight: CubeTensor<R>,
    shape: Conv3Shape,
) -> CubeTensor<R> {
    let out = fresh(&x, map(shape.to));
    let gpu = gpu(&x);
    let (x, weight, to) = (read_only(x), read_only(weight), buffer(&out));
    let conv = shape.on_gpu();
    conv.run(&gpu, x.all(), weight.all(), to.all());
    out
}

pub(super) fn input<R: CubeRuntime>(
    dz: CubeTensor<R>,
    weight: CubeTensor<R>,
    shape: Conv3Shape,
    sum: Option<CubeTensor<R>>,
) -> CubeTensor<R> {
    let add = sum.is_some();
    let dx = sum.map_or_else(|| fresh(&dz, map(shape.to)), owned);
    let gpu = gpu(&dz);
    let (dz, weight, to) = (read_only(dz), read_only(weight), buffer(&dx));
    let conv = shape.on_gpu();
    conv.run_back(&gpu, dz.all(), weight.all(), to.all(), add);
    dx
}

pub(super) fn weight<R: CubeRuntime>(
    x: CubeTensor<R>,
    dz: CubeTensor<R>,
    shape: Conv3Shape,
) -> CubeTensor<R> {
    let conv = shape.on_gpu();
    let partial = fresh(&dz, [conv.chunks() * conv.weights()]);
    let gradient = fresh(&dz, [conv.outputs, conv.inputs, 3, 3]);
    let gpu = gpu(&dz);
    let (x, dz) = (read_only(x), read_only(dz));
    let (partial, to) = (buffer(&partial), buffer(&gradient));
    conv.gradient(&gpu, x.all(), dz.all(), partial.all(), to.all());
    gradient
}
