//! Where the device of the caller becomes a backend of burn.

use burn::backend::{Autodiff, Flex};
use burn::tensor::backend::AutodiffBackend;

use crate::{Device, Error};

/// The version of burn whose kernels decide the bits of a training.
pub const BURN_VERSION: &str = "0.21.0";

/// Where and with how many threads a training runs; no result depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// The device.
    pub device: Device,
    /// CPU threads inside one training, at least 1. Several trainings of one thread each are
    /// faster than one training of several.
    pub threads: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            device: Device::Cpu,
            threads: 1,
        }
    }
}

/// Something to do on any backend.
pub(crate) trait Work: Send {
    type Output: Send;

    fn run<B: AutodiffBackend>(self, device: &B::Device) -> Result<Self::Output, Error>;
}

pub(crate) fn run<W: Work>(options: Options, work: W) -> Result<W::Output, Error> {
    match options.device {
        Device::Cpu => {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(options.threads.max(1))
                .build()
                .map_err(|error| Error::Threads {
                    threads: options.threads,
                    reason: error.to_string(),
                })?;
            pool.install(|| work.run::<Autodiff<Flex>>(&Default::default()))
        }
        Device::Cuda(index) => cuda::run(index, work),
    }
}

/// Whether a device can be used here, without using it.
pub(crate) fn check(device: Device) -> Result<(), Error> {
    match device {
        Device::Cpu => Ok(()),
        Device::Cuda(index) => cuda::check(index),
    }
}

#[cfg(not(feature = "cuda"))]
mod cuda {
    use super::Work;
    use crate::{Device, Error};

    pub(super) fn run<W: Work>(index: usize, _: W) -> Result<W::Output, Error> {
        Err(unavailable(index))
    }

    pub(super) fn check(index: usize) -> Result<(), Error> {
        Err(unavailable(index))
    }

    fn unavailable(index: usize) -> Error {
        Error::DeviceUnavailable {
            device: Device::Cuda(index),
            reason: "this build has no CUDA support; build with --features cuda".to_owned(),
        }
    }
}

#[cfg(feature = "cuda")]
mod cuda {
    use std::ffi::c_int;

    use burn::backend::cuda::CudaDevice;
    use burn::backend::{Autodiff, Cuda};
    use libloading::Library;

    use super::Work;
    use crate::{Device, Error};

    pub(super) fn run<W: Work>(index: usize, work: W) -> Result<W::Output, Error> {
        check(index)?;
        work.run::<Autodiff<Cuda>>(&CudaDevice::new(index))
    }

    pub(super) fn check(index: usize) -> Result<(), Error> {
        let unavailable = |reason| Error::DeviceUnavailable {
            device: Device::Cuda(index),
            reason,
        };
        let count = device_count().map_err(unavailable)?;
        if index >= count {
            return Err(unavailable(format!(
                "this machine has {count} CUDA devices, counted from 0"
            )));
        }
        Ok(())
    }

    /// Asks the driver itself: burn's runtime panics where there is none.
    #[allow(unsafe_code)] // two calls of the driver's C interface, nothing else
    fn device_count() -> Result<usize, String> {
        type Init = unsafe extern "C" fn(u32) -> c_int;
        type Count = unsafe extern "C" fn(*mut c_int) -> c_int;
        let missing = |error: libloading::Error| format!("there is no NVIDIA driver ({error})");
        let mut count = 0;
        // SAFETY: libcuda's initialisers have no preconditions, and the signatures are those of
        // cuInit and cuDeviceGetCount in the CUDA driver API; `count` outlives the call.
        let status = unsafe {
            let driver = Library::new("libcuda.so.1").map_err(missing)?;
            let init = driver.get::<Init>(b"cuInit").map_err(missing)?;
            let get_count = driver.get::<Count>(b"cuDeviceGetCount").map_err(missing)?;
            match init(0) {
                0 => get_count(&mut count),
                failed => failed,
            }
        };
        match status {
            0 => Ok(count.max(0) as usize),
            code => Err(format!("the NVIDIA driver answers with error {code}")),
        }
    }
}
