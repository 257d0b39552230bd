//! Pooling, average, the linear layer and the loss.

use burn::backend::flex::FlexTensor;

use super::super::ops::{Conv1Shape, CrossEntropyOutput, MapShape};
use super::norm::fold;
use super::tensors::{each_block, fresh, padded, part, sum_over_blocks, tensor, values};
use crate::kernels::conv1::Conv1;
use crate::kernels::conv1_weights::Conv1Weights;
use crate::kernels::fold::AddBias;
use crate::kernels::layout::{Transposed, pack1, unpack1};
use crate::kernels::pool::{Average, AverageBackward, Pool, PoolBackward};
use crate::loss::CrossEntropy;

pub(super) fn max_pool2(y: &FlexTensor, shape: MapShape) -> FlexTensor {
    let (dims, small) = (shape.dims(), shape.halved().dims());
    let y = values(y);
    let mut out = fresh(shape.halved().tensor());
    each_block(out.storage_mut(), small.image(), |images, out| {
        Pool {
            lanes: dims.lanes,
            height: dims.height,
            width: dims.width,
            y: part(&y, &images, dims.image()),
            out,
        }
        .run_on(shape.isa);
    });
    out
}

pub(super) fn max_pool2_input(dout: &FlexTensor, y: &FlexTensor, shape: MapShape) -> FlexTensor {
    let (dims, small) = (shape.dims(), shape.halved().dims());
    let (dout, y) = (values(dout), values(y));
    let mut dy = fresh(shape.tensor());
    each_block(dy.storage_mut(), dims.image(), |images, dy| {
        PoolBackward {
            lanes: dims.lanes,
            height: dims.height,
            width: dims.width,
            y: part(&y, &images, dims.image()),
            dout: part(&dout, &images, small.image()),
            dy,
        }
        .run_on(shape.isa);
    });
    dy
}

pub(super) fn average(y: &FlexTensor, shape: MapShape) -> FlexTensor {
    let dims = shape.dims();
    let y = values(y);
    let mut means = fresh(shape.averaged().tensor());
    each_block(means.storage_mut(), dims.padded(), |images, means| {
        Average {
            lanes: dims.lanes,
            pixels: dims.pixels(),
            y: part(&y, &images, dims.image()),
            means,
        }
        .run_on(shape.isa);
    });
    means
}

pub(super) fn average_input(dmeans: &FlexTensor, shape: MapShape) -> FlexTensor {
    let dims = shape.dims();
    let dmeans = values(dmeans);
    let mut dy = fresh(shape.tensor());
    each_block(dy.storage_mut(), dims.image(), |images, dy| {
        AverageBackward {
            lanes: dims.lanes,
            pixels: dims.pixels(),
            dmeans: part(&dmeans, &images, dims.padded()),
            dy,
        }
        .run_on(shape.isa);
    });
    dy
}

pub(super) fn linear(
    x: &FlexTensor,
    weight: &FlexTensor,
    bias: &FlexTensor,
    shape: Conv1Shape,
) -> FlexTensor {
    let (dims, from, isa) = (shape.to.dims(), shape.from().dims(), shape.to.isa);
    let weights = pack1(&values(weight), shape.inputs, dims.lanes);
    let (x, bias) = (values(x), padded(bias, dims.padded(), 0.0));
    let mut logits = vec![0.0; shape.to.images * dims.padded()];
    each_block(&mut logits, dims.padded(), |images, out| {
        Conv1 {
            sizes: shape.sizes(images.len()),
            maps: &[part(&x, &images, from.padded())],
            weights: &weights,
            out: &mut *out,
            add: false,
        }
        .run_on(isa);
        AddBias {
            bias: &bias,
            to: out,
        }
        .run_on(isa);
    });
    let rows = logits.chunks_exact(dims.padded());
    let rows = rows.flat_map(|row| row[..dims.channels].iter().copied());
    tensor(rows.collect(), [shape.to.images, dims.channels])
}

pub(super) fn linear_backward(
    dlogits: &FlexTensor,
    x: &FlexTensor,
    weight: &FlexTensor,
    shape: Conv1Shape,
) -> [FlexTensor; 3] {
    let (dims, from, isa) = (shape.to.dims(), shape.from().dims(), shape.to.isa);
    let (x, images) = (values(x), shape.to.images);
    let mut dz = vec![0.0; images * dims.padded()];
    let dlogits = values(dlogits);
    let rows = dz.chunks_exact_mut(dims.padded());
    for (to, row) in rows.zip(dlogits.chunks_exact(dims.channels)) {
        to[..dims.channels].copy_from_slice(row);
    }
    let numbers = dims.padded() * shape.inputs;
    let dweight = sum_over_blocks(images, numbers, isa, |images, gradient| {
        Conv1Weights {
            sizes: shape.sizes(images.len()),
            map: 0,
            x: part(&x, &images, from.padded()),
            dz: part(&dz, &images, dims.padded()),
            gradient,
            add: false,
        }
        .run_on(isa);
    });
    let dweight = unpack1(&dweight, shape.inputs, dims.channels, dims.lanes);
    let mut dbias = vec![0.0; dims.padded()];
    fold(&dz, &mut dbias, shape.to);
    dbias.truncate(dims.channels);
    let transposed = Transposed {
        inputs: shape.inputs,
        in_lanes: from.lanes,
        outputs: dims.channels,
        out_lanes: dims.lanes,
        maps: 1,
    };
    let weights = transposed.of_rows(&values(weight), 0);
    let mut dx = fresh(shape.from().tensor());
    each_block(dx.storage_mut(), from.padded(), |images, out| {
        Conv1 {
            sizes: shape.back(images.len()),
            maps: &[part(&dz, &images, dims.padded())],
            weights: &weights,
            out,
            add: false,
        }
        .run_on(isa);
    });
    let dweight = tensor(dweight, [dims.channels, shape.inputs]);
    [dx, dweight, tensor(dbias, [dims.channels])]
}

pub(super) fn cross_entropy(
    logits: &FlexTensor,
    labels: &[u16],
    smoothing: f64,
) -> CrossEntropyOutput<FlexTensor> {
    let logits = values(logits);
    let mut computed = CrossEntropy::default();
    let loss = computed.compute(&logits, labels, smoothing);
    let shape = [labels.len(), logits.len() / labels.len()];
    CrossEntropyOutput {
        mean: tensor(vec![(loss.sum / labels.len() as f64) as f32], [1]),
        gradient: tensor(computed.gradient, shape),
        sum: loss.sum,
        correct: loss.correct,
    }
}
