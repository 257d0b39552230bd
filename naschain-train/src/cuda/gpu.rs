//! Device memory and kernel arguments.

use cubecl::client::ComputeClient;
use cubecl::cuda::{CudaDevice, CudaRuntime};
use cubecl::prelude::*;
use cubecl::server::Handle;

/// A GPU.
pub(super) struct Gpu {
    pub(super) client: ComputeClient<CudaRuntime>,
}

/// A buffer of 4-byte values on a GPU.
pub(super) struct Buffer {
    handle: Handle,
    numbers: usize,
}

/// A buffer from an element onwards.
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

    /// Allocates an uninitialised buffer of `numbers` elements.
    pub(super) fn allocate(&self, numbers: usize) -> Buffer {
        // Buffers of size 0 are not supported.
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
            0 => self.allocate(0),
            _ => Buffer {
                handle: self.client.create_from_slice(bytes),
                numbers,
            },
        }
    }

    /// Waits for all launched kernels and copies the buffer's first `numbers` elements to the host.
    ///
    /// # Panics
    /// If the device failed; [`super::run`] turns the panic into an error.
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
    /// The buffer as an argument of a kernel that accesses `numbers` elements from here.
    #[allow(unsafe_code)] // cubecl does not check the buffer's length
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
        // SAFETY: the buffer was allocated with `all` 4-byte elements.
        unsafe { ArrayArg::from_raw_parts(handle.clone(), *all) }
    }
}
