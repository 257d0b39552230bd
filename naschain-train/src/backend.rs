//! Where the device of the caller becomes something that computes.

use crate::cpu::CpuNetwork;
#[cfg(feature = "cuda")]
use crate::cuda;
use crate::engine::Engine;
use crate::{Device, Error, Isa};

/// Where and with how many threads a training runs; no result depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// The device.
    pub device: Device,
    /// CPU threads inside one training, at least 1. Several trainings of one thread each are
    /// faster than one training of several.
    pub threads: usize,
    /// The processor's instructions; the best there are if nothing is named.
    pub isa: Option<Isa>,
    /// The most memory that a training may need by the estimate of
    /// [`training_memory_bytes`](crate::training_memory_bytes); nothing is no limit.
    pub memory_limit_bytes: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            device: Device::Cpu,
            threads: 1,
            isa: None,
            memory_limit_bytes: None,
        }
    }
}

/// Something to do with any engine.
pub(crate) trait Work: Send {
    type Output: Send;

    fn run<E: Engine>(self, place: &E::Place) -> Result<Self::Output, Error>;
}

pub(crate) fn run<W: Work>(options: Options, work: W) -> Result<W::Output, Error> {
    match options.device {
        Device::Cpu => run_on_cpu(options, work),
        Device::Cuda(index) => cuda::run(index, work),
    }
}

fn run_on_cpu<W: Work>(options: Options, work: W) -> Result<W::Output, Error> {
    let (isa, threads) = (options.isa.unwrap_or_else(Isa::best), options.threads);
    if !isa.is_available() {
        return Err(Error::IsaUnavailable { isa });
    }
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads.max(1))
        .build()
        .map_err(|error| Error::Threads {
            threads,
            reason: error.to_string(),
        })?;
    pool.install(|| work.run::<CpuNetwork>(&isa))
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
