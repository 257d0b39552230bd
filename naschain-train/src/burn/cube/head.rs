//! Pooling, average, the linear layer and the loss.

use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;

use super::super::ops::{Conv1Shape, CrossEntropyOutput, MapShape};
use super::tensors::{buffer, fresh, gpu, map, read_only, upload};
use crate::gpu::launch::{average as means, average_back, bias as add_bias, fold_parts};
use crate::gpu::launch::{pool, pool_back};
use crate::kernels::BLOCK;
use crate::loss::CrossEntropy;

fn planes(shape: MapShape) -> usize {
    shape.images * shape.channels
}

pub(super) fn max_pool2<R: CubeRuntime>(y: CubeTensor<R>, shape: MapShape) -> CubeTensor<R> {
    let out = fresh(&y, map(shape.halved()));
    let gpu = gpu(&y);
    let (y, to) = (read_only(y), buffer(&out));
    let size = [shape.height, shape.width];
    pool(&gpu, y.all(), to.all(), planes(shape), size);
    out
}

pub(super) fn max_pool2_input<R: CubeRuntime>(
    dout: CubeTensor<R>,
    y: CubeTensor<R>,
    shape: MapShape,
) -> CubeTensor<R> {
    let dy = fresh(&y, map(shape));
    let gpu = gpu(&y);
    let (dout, y, to) = (read_only(dout), read_only(y), buffer(&dy));
    let size = [shape.height, shape.width];
    pool_back(&gpu, y.all(), dout.all(), to.all(), planes(shape), size);
    dy
}

pub(super) fn average<R: CubeRuntime>(y: CubeTensor<R>, shape: MapShape) -> CubeTensor<R> {
    let out = fresh(&y, map(shape.averaged()));
    let stripes = buffer(&fresh(&y, [4 * planes(shape)]));
    let gpu = gpu(&y);
    let (y, to) = (read_only(y), buffer(&out));
    let pixels = shape.height * shape.width;
    means(
        &gpu,
        y.all(),
        stripes.all(),
        to.all(),
        planes(shape),
        pixels,
    );
    out
}

pub(super) fn average_input<R: CubeRuntime>(
    dmeans: CubeTensor<R>,
    shape: MapShape,
) -> CubeTensor<R> {
    let dy = fresh(&dmeans, map(shape));
    let gpu = gpu(&dmeans);
    let (dmeans, to) = (read_only(dmeans), buffer(&dy));
    let pixels = shape.height * shape.width;
    average_back(&gpu, dmeans.all(), to.all(), planes(shape), pixels);
    dy
}

pub(super) fn linear<R: CubeRuntime>(
    x: CubeTensor<R>,
    weight: CubeTensor<R>,
    bias: CubeTensor<R>,
    shape: Conv1Shape,
) -> CubeTensor<R> {
    let (images, classes) = (shape.to.images, shape.to.channels);
    let logits = fresh(&x, [images, classes]);
    let gpu = gpu(&x);
    let [x, weight, bias] = [x, weight, bias].map(read_only);
    let to = buffer(&logits);
    let conv = shape.on_gpu(0, None);
    conv.run(&gpu, x.all(), weight.all(), to.all(), false);
    add_bias(&gpu, bias.all(), to.all(), images, classes);
    logits
}

pub(super) fn linear_backward<R: CubeRuntime>(
    dlogits: CubeTensor<R>,
    x: CubeTensor<R>,
    weight: CubeTensor<R>,
    shape: Conv1Shape,
) -> [CubeTensor<R>; 3] {
    let (images, classes) = (shape.to.images, shape.to.channels);
    let conv = shape.on_gpu(0, None);
    let dx = fresh(&x, map(shape.from()));
    let dweight = fresh(&x, [classes, shape.inputs]);
    let dbias = fresh(&x, [classes]);
    let partial = buffer(&fresh(&x, [conv.chunks() * conv.weights()]));
    let gpu = gpu(&x);
    let [dlogits, x, weight] = [dlogits, x, weight].map(read_only);
    let [dx_to, dweight_to, dbias_to] = [&dx, &dweight, &dbias].map(buffer);
    let to = dweight_to.all();
    conv.gradient(&gpu, x.all(), dlogits.all(), partial.all(), to);
    fold_parts(&gpu, dlogits.all(), dbias_to.all(), images, BLOCK, classes);
    conv.run_back(&gpu, dlogits.all(), weight.all(), dx_to.all(), false);
    [dx, dweight, dbias]
}

/// The logits are copied to the host, where the loss is computed in doubles.
pub(super) fn cross_entropy<R: CubeRuntime>(
    logits: CubeTensor<R>,
    labels: &[u16],
    smoothing: f64,
) -> CrossEntropyOutput<CubeTensor<R>> {
    let shape = logits.meta.shape().clone();
    let numbers = shape.num_elements();
    let gpu = gpu(&logits);
    let values = gpu.read(&read_only(logits.clone()), numbers);
    let mut computed = CrossEntropy::default();
    let loss = computed.compute(&values, labels, smoothing);
    let mean = (loss.sum / labels.len() as f64) as f32;
    CrossEntropyOutput {
        mean: upload(&logits, &[mean], [1]),
        gradient: upload(&logits, &computed.gradient, &shape),
        sum: loss.sum,
        correct: loss.correct,
    }
}
