//! burn's GPU tensors as buffers of the kernels.

use burn::tensor::DType;
use burn_cubecl::CubeRuntime;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::CubeElement;

use super::super::ops::MapShape;
use crate::gpu::launch::copy;
use crate::gpu::{Buffer, Gpu, check_count};

/// The dimensions of a map's tensor: `[images, channels, rows, columns, 1]`.
pub(super) fn map(shape: MapShape) -> [usize; 5] {
    let MapShape {
        images,
        channels,
        height,
        width,
        ..
    } = shape;
    [images, channels, height, width, 1]
}

/// The GPU of a tensor, whose stream orders the kernels.
pub(super) fn gpu<R: CubeRuntime>(tensor: &CubeTensor<R>) -> Gpu<R> {
    Gpu {
        client: tensor.client.clone(),
    }
}

/// A tensor whose elements lie in sequence, copied only if they do not: burn pads the rows of
/// tensors that come from the host.
///
/// # Panics
/// If the elements are not f32.
pub(super) fn contiguous<R: CubeRuntime>(tensor: CubeTensor<R>) -> CubeTensor<R> {
    let found = tensor.dtype;
    assert_eq!(found, DType::F32, "exact operations are those of f32");
    into_contiguous(tensor)
}

/// The memory of a tensor that is contiguous.
pub(super) fn buffer<R: CubeRuntime>(tensor: &CubeTensor<R>) -> Buffer {
    Buffer::new(tensor.handle.clone(), tensor.meta.shape().num_elements())
}

/// The memory of a tensor; the elements are copied only if they are not in sequence.
pub(super) fn read_only<R: CubeRuntime>(tensor: CubeTensor<R>) -> Buffer {
    buffer(&contiguous(tensor))
}

/// A new tensor of arbitrary values, on the device of another.
pub(super) fn fresh<R: CubeRuntime>(
    like: &CubeTensor<R>,
    shape: impl AsRef<[usize]>,
) -> CubeTensor<R> {
    let shape = shape.as_ref();
    // Memory of size 0 is not supported.
    let numbers = shape.iter().product::<usize>().max(1);
    check_count(numbers);
    let handle = like.client.empty(numbers * size_of::<f32>());
    placed(like, handle, shape)
}

/// A new tensor of `values`, on the device of another.
pub(super) fn upload<R: CubeRuntime>(
    like: &CubeTensor<R>,
    values: &[f32],
    shape: impl AsRef<[usize]>,
) -> CubeTensor<R> {
    let handle = like.client.create_from_slice(f32::as_bytes(values));
    placed(like, handle, shape.as_ref())
}

fn placed<R: CubeRuntime>(
    like: &CubeTensor<R>,
    handle: cubecl::server::Handle,
    shape: &[usize],
) -> CubeTensor<R> {
    let (client, device) = (like.client.clone(), like.device.clone());
    CubeTensor::new_contiguous(client, device, shape.to_vec().into(), handle, DType::F32)
}

/// A tensor that may be written: the same if nobody else has it, or a copy.
pub(super) fn owned<R: CubeRuntime>(tensor: CubeTensor<R>) -> CubeTensor<R> {
    let tensor = contiguous(tensor);
    if tensor.can_mut() {
        return tensor;
    }
    let shape = tensor.meta.shape().clone();
    let to = fresh(&tensor, &shape);
    let numbers = shape.num_elements();
    let (from, into) = (buffer(&tensor), buffer(&to));
    copy(&gpu(&tensor), from.all(), into.all(), numbers);
    to
}
