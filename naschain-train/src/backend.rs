//! Runs a computation on the engine of the device that the caller chose.

use naschain_core::NetworkRef;

use crate::cpu::CpuNetwork;
#[cfg(feature = "cuda")]
use crate::cuda;
use crate::engine::Engine;
use crate::layers::LayersNetwork;
#[cfg(feature = "wgpu")]
use crate::wgpu;
use crate::{Device, Error, Isa};

/// Device, threads and limits of a training. None of them affects its result.
///
/// ```
/// use naschain_train::{Device, Options};
/// let mut options = Options::default();
/// options.threads = 2;
/// assert_eq!((options.device, options.memory_limit_bytes), (Device::Cpu, None));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// The device.
    pub device: Device,
    /// CPU threads of one training, at least 1. Several single-threaded trainings side by side have
    /// a higher throughput than one training with several threads.
    pub threads: usize,
    /// The CPU instruction set; `None` selects the fastest that the processor has.
    pub isa: Option<Isa>,
    /// Maximum memory of a training, compared with the estimate of
    /// [`training_memory_bytes`](crate::training_memory_bytes); `None` is no limit.
    pub memory_limit_bytes: Option<u64>,
}

impl Default for Options {
    /// One thread on the CPU with the fastest instruction set, without a memory limit.
    fn default() -> Self {
        Options {
            device: Device::Cpu,
            threads: 1,
            isa: None,
            memory_limit_bytes: None,
        }
    }
}

/// A computation written once for every engine.
pub(crate) trait Computation: Send {
    type Output: Send;

    /// The network, whose space decides about the engine.
    fn network(&self) -> NetworkRef<'_>;

    fn run<E: Engine>(self, target: &E::Target) -> Result<Self::Output, Error>;
}

pub(crate) fn run<W: Computation>(options: Options, work: W) -> Result<W::Output, Error> {
    match options.device {
        Device::Cpu => run_on_cpu(options, work),
        Device::Cuda(index) => cuda::run(index, work),
        Device::CudaDirect(index) => cuda::run_directly(index, work),
        Device::Wgpu(index) => wgpu::run(index, work),
    }
}

pub(crate) fn inexact_operations(device: Device) -> Result<Vec<&'static str>, Error> {
    match device {
        Device::Cpu => Ok(Vec::new()),
        Device::Cuda(index) | Device::CudaDirect(index) => cuda::inexact_operations(device, index),
        Device::Wgpu(index) => wgpu::inexact_operations(index),
    }
}

fn run_on_cpu<W: Computation>(options: Options, work: W) -> Result<W::Output, Error> {
    let (isa, threads) = (options.isa.unwrap_or_else(Isa::best), options.threads);
    if !isa.is_available() {
        return Err(Error::IsaUnavailable { isa });
    }
    // A pool for each training, so that concurrent trainings do not wait for each other's work.
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads.max(1))
        .build()
        .map_err(|error| Error::Threads {
            threads,
            reason: error.to_string(),
        })?;
    pool.install(|| match work.network() {
        NetworkRef::Macro(_) => work.run::<CpuNetwork>(&isa),
        _ => work.run::<LayersNetwork>(&isa),
    })
}

/// Checks that a device can be used, without using it.
pub(crate) fn check(device: Device) -> Result<(), Error> {
    match device {
        Device::Cpu => Ok(()),
        Device::Cuda(_) | Device::CudaDirect(_) => cuda::check(device),
        Device::Wgpu(index) => wgpu::check(index),
    }
}

#[cfg(not(feature = "cuda"))]
mod cuda {
    use super::Computation;
    use crate::{Device, Error};

    pub(super) fn run<W: Computation>(index: usize, _: W) -> Result<W::Output, Error> {
        Err(unavailable(Device::Cuda(index)))
    }

    pub(super) fn run_directly<W: Computation>(index: usize, _: W) -> Result<W::Output, Error> {
        Err(unavailable(Device::CudaDirect(index)))
    }

    pub(super) fn inexact_operations(device: Device, _: usize) -> Result<Vec<&'static str>, Error> {
        Err(unavailable(device))
    }

    pub(super) fn check(device: Device) -> Result<(), Error> {
        Err(unavailable(device))
    }

    fn unavailable(device: Device) -> Error {
        Error::DeviceUnavailable {
            device,
            reason: "this build has no CUDA support; build with --features cuda".to_owned(),
        }
    }
}

#[cfg(not(feature = "wgpu"))]
mod wgpu {
    use super::Computation;
    use crate::{Device, Error};

    pub(super) fn run<W: Computation>(index: usize, _: W) -> Result<W::Output, Error> {
        Err(unavailable(index))
    }

    pub(super) fn inexact_operations(index: usize) -> Result<Vec<&'static str>, Error> {
        Err(unavailable(index))
    }

    pub(super) fn check(index: usize) -> Result<(), Error> {
        Err(unavailable(index))
    }

    fn unavailable(index: usize) -> Error {
        let reason = "this build has no Vulkan or Metal support; build with --features wgpu";
        Error::DeviceUnavailable {
            device: Device::Wgpu(index),
            reason: reason.to_owned(),
        }
    }
}
