//! Device memory, kernels, their launches and networks, on any runtime of CubeCL.

pub(crate) mod kernels;
pub(crate) mod launch;
pub(crate) mod layers;
pub(crate) mod network;
pub(crate) mod probe;
mod runtime_panics;
mod state;

use cubecl::client::ComputeClient;
use cubecl::prelude::*;
use cubecl::server::Handle;

pub(crate) use self::runtime_panics::guarded;

/// The largest number of elements of a buffer: kernels count in 32 bits, and a launch rounds the number of
/// its threads up to whole cubes.
const MAX_NUMBERS: usize = u32::MAX as usize - (1 << 16);

/// Checks that kernels can count the elements of a buffer.
///
/// # Panics
/// If they cannot; the caller turns the panic into an error.
pub(crate) fn check_count(numbers: usize) {
    assert!(
        numbers <= MAX_NUMBERS,
        "a layer of the mini-batch has {numbers} values, more than the {MAX_NUMBERS} that kernels can count; \
         use a smaller batch size"
    );
}

/// A GPU.
pub(crate) struct Gpu<R: Runtime> {
    pub(crate) client: ComputeClient<R>,
}

/// A buffer of 4-byte values on a GPU.
#[derive(Clone)]
pub(crate) struct Buffer {
    handle: Handle,
    numbers: usize,
}

/// A buffer from an element onwards.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    buffer: &'a Buffer,
    pub(crate) at: usize,
}

impl<R: Runtime> Gpu<R> {
    pub(crate) fn new(device: &R::Device) -> Gpu<R> {
        Gpu {
            client: R::client(device),
        }
    }

    /// Allocates an uninitialised buffer of `numbers` elements.
    ///
    /// # Panics
    /// As [`check_count`].
    pub(crate) fn allocate(&self, numbers: usize) -> Buffer {
        check_count(numbers);
        // Buffers of size 0 are not supported.
        let handle = self.client.empty(numbers.max(1) * size_of::<f32>());
        Buffer { handle, numbers }
    }

    pub(crate) fn write(&self, values: &[f32]) -> Buffer {
        self.write_bytes(f32::as_bytes(values), values.len())
    }

    pub(crate) fn write_integers(&self, values: &[u32]) -> Buffer {
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
    /// If the device failed; the caller turns the panic into an error.
    pub(crate) fn read(&self, buffer: &Buffer, numbers: usize) -> Vec<f32> {
        match self.client.read_one(buffer.handle.clone()) {
            Ok(bytes) => f32::from_bytes(&bytes)[..numbers].to_vec(),
            Err(error) => panic!("{error}"),
        }
    }
}

impl Buffer {
    /// The first `numbers` elements of memory that exists.
    ///
    /// # Panics
    /// As [`check_count`].
    #[cfg(feature = "cuda")]
    pub(crate) fn new(handle: Handle, numbers: usize) -> Buffer {
        check_count(numbers);
        let bytes = handle.size_in_used();
        assert!(4 * numbers as u64 <= bytes, "{numbers} of {bytes} bytes");
        Buffer { handle, numbers }
    }

    pub(crate) fn from(&self, at: usize) -> View<'_> {
        View { buffer: self, at }
    }

    pub(crate) fn all(&self) -> View<'_> {
        self.from(0)
    }
}

impl View<'_> {
    /// The buffer as an argument of a kernel that accesses `numbers` elements from here.
    #[allow(unsafe_code)] // cubecl does not check the buffer's length
    pub(crate) fn arg<R: Runtime>(self, numbers: usize) -> ArrayArg<R> {
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
