//! Batch norm with ReLU.

use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;

use super::super::ops::{MapShape, NormParameters, Normed, SavedNorm};
use super::tensors::{buffer, fresh, gpu, map, read_only};
use crate::gpu::Buffer;
use crate::gpu::launch::{Norm, StatisticsViews};

/// The buffers that every pass reads or writes.
struct NormBuffers {
    z: Buffer,
    weight: Buffer,
    bias: Buffer,
    mean: Buffer,
    inverse: Buffer,
    scale: Buffer,
}

impl NormBuffers {
    fn norm(&self, shape: MapShape) -> Norm<'_> {
        Norm {
            images: shape.images,
            channels: shape.channels,
            pixels: shape.height * shape.width,
            relu: true,
            z: self.z.all(),
            weight: self.weight.all(),
            bias: self.bias.all(),
            statistics: StatisticsViews {
                mean: self.mean.all(),
                inverse: self.inverse.all(),
                scale: self.scale.all(),
                part: 0,
            },
        }
    }
}

/// Two buffers for the four stripes of each plane.
fn stripes<R: CubeRuntime>(like: &CubeTensor<R>, shape: MapShape) -> [Buffer; 2] {
    let numbers = 4 * shape.images * shape.channels;
    [(); 2].map(|()| buffer(&fresh(like, [numbers])))
}

fn unused<R: CubeRuntime>(like: &CubeTensor<R>, shape: MapShape) -> SavedNorm<CubeTensor<R>> {
    let per_channel = || fresh(like, [shape.channels]);
    SavedNorm {
        mean: per_channel(),
        inverse: per_channel(),
        scale: per_channel(),
    }
}

pub(super) fn forward<R: CubeRuntime>(
    z: CubeTensor<R>,
    parameters: NormParameters<CubeTensor<R>>,
    shape: MapShape,
) -> Normed<CubeTensor<R>> {
    let gpu = gpu(&z);
    let (y, saved) = (fresh(&z, map(shape)), unused(&z, shape));
    let [running_mean, running_var] = [(); 2].map(|()| fresh(&z, [shape.channels]));
    let stripes = stripes(&z, shape);
    let buffers = NormBuffers {
        z: read_only(z),
        weight: read_only(parameters.weight),
        bias: read_only(parameters.bias),
        mean: buffer(&saved.mean),
        inverse: buffer(&saved.inverse),
        scale: buffer(&saved.scale),
    };
    let norm = buffers.norm(shape);
    let old = [parameters.running_mean, parameters.running_var].map(read_only);
    let running = [&running_mean, &running_var].map(buffer);
    norm.update_statistics(
        &gpu,
        [stripes[0].all(), stripes[1].all()],
        Some([old[0].all(), old[1].all()]),
        [running[0].all(), running[1].all()],
    );
    norm.normalise(&gpu, buffer(&y).all());
    Normed {
        y,
        running_mean,
        running_var,
        saved,
    }
}

pub(super) fn running<R: CubeRuntime>(
    z: CubeTensor<R>,
    parameters: NormParameters<CubeTensor<R>>,
    shape: MapShape,
) -> CubeTensor<R> {
    let gpu = gpu(&z);
    let (y, saved) = (fresh(&z, map(shape)), unused(&z, shape));
    let buffers = NormBuffers {
        z: read_only(z),
        weight: read_only(parameters.weight),
        bias: read_only(parameters.bias),
        mean: buffer(&saved.mean),
        inverse: buffer(&saved.inverse),
        scale: buffer(&saved.scale),
    };
    let norm = buffers.norm(shape);
    let running = [parameters.running_mean, parameters.running_var].map(read_only);
    norm.load_running_statistics(&gpu, [running[0].all(), running[1].all()]);
    norm.normalise(&gpu, buffer(&y).all());
    y
}

pub(super) fn backward<R: CubeRuntime>(
    dy: CubeTensor<R>,
    z: CubeTensor<R>,
    bias: CubeTensor<R>,
    saved: SavedNorm<CubeTensor<R>>,
    shape: MapShape,
) -> [CubeTensor<R>; 3] {
    let gpu = gpu(&dy);
    let dz = fresh(&dy, map(shape));
    let [dweight, dbias, a, b] = [(); 4].map(|()| fresh(&dy, [shape.channels]));
    let stripes = stripes(&dy, shape);
    let bias = read_only(bias);
    let buffers = NormBuffers {
        z: read_only(z),
        // The backward pass reads the scale instead.
        weight: bias.clone(),
        bias,
        mean: read_only(saved.mean),
        inverse: read_only(saved.inverse),
        scale: read_only(saved.scale),
    };
    let [gradient, dweight_to, dbias_to, a, b] = [
        read_only(dy),
        buffer(&dweight),
        buffer(&dbias),
        buffer(&a),
        buffer(&b),
    ];
    buffers.norm(shape).backward(
        &gpu,
        gradient.all(),
        [stripes[0].all(), stripes[1].all()],
        [a.all(), b.all()],
        [dweight_to.all(), dbias_to.all()],
        buffer(&dz).all(),
    );
    [dz, dweight, dbias]
}
