//! The device's memory, and kernels launched on it.

use cubecl::client::ComputeClient;
use cubecl::cuda::{CudaDevice, CudaRuntime};
use cubecl::prelude::*;
use cubecl::server::Handle;

/// A GPU.
pub(super) struct Gpu {
    pub(super) client: ComputeClient<CudaRuntime>,
}

/// Numbers of four bytes on a GPU.
pub(super) struct Buffer {
    handle: Handle,
    numbers: usize,
}

/// A buffer from one of its numbers on.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    buffer: &'a Buffer,
    pub(super) at: usize,
}

impl Gpu {
    pub(super) fn new(device: &CudaDevice) -> Gpu {
        Gpu {
            client: CudaRuntime::client(device),
        }
    }

    /// Room for so many numbers, whatever stands in it.
    pub(super) fn room(&self, numbers: usize) -> Buffer {
        // There are no empty buffers.
        let handle = self.client.empty(numbers.max(1) * size_of::<f32>());
        Buffer { handle, numbers }
    }

    pub(super) fn write(&self, values: &[f32]) -> Buffer {
        self.write_bytes(f32::as_bytes(values), values.len())
    }

    pub(super) fn write_integers(&self, values: &[u32]) -> Buffer {
        self.write_bytes(u32::as_bytes(values), values.len())
    }

    fn write_bytes(&self, bytes: &[u8], numbers: usize) -> Buffer {
        match numbers {
            0 => self.room(0),
            _ => Buffer {
                handle: self.client.create_from_slice(bytes),
                numbers,
            },
        }
    }

    /// Waits for all that was launched, and copies the buffer's first numbers.
    ///
    /// # Panics
    /// When the device failed; [`super::run`] makes an error of it.
    pub(super) fn read(&self, buffer: &Buffer, numbers: usize) -> Vec<f32> {
        match self.client.read_one(buffer.handle.clone()) {
            Ok(bytes) => f32::from_bytes(&bytes)[..numbers].to_vec(),
            Err(error) => panic!("{error}"),
        }
    }
}

impl Buffer {
    pub(super) fn from(&self, at: usize) -> View<'_> {
        View { buffer: self, at }
    }

    pub(super) fn all(&self) -> View<'_> {
        self.from(0)
    }
}

impl View<'_> {
    /// The buffer as a kernel's argument, when the kernel reads or writes so many numbers from
    /// here on.
    #[allow(unsafe_code)] // cubecl takes the buffer's length on trust
    pub(super) fn arg(self, numbers: usize) -> ArrayArg<CudaRuntime> {
        let Buffer {
            handle,
            numbers: all,
        } = self.buffer;
        assert!(
            self.at + numbers <= *all,
            "{numbers} from {} of {all}",
            self.at
        );
        // SAFETY: the buffer was made with room for so many numbers of four bytes.
        unsafe { ArrayArg::from_raw_parts(handle.clone(), *all) }
    }
}
