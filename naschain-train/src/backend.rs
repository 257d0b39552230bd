//! Where the device of the caller becomes a backend of burn.

use burn::backend::{Autodiff, Flex};
use burn::tensor::backend::AutodiffBackend;

use crate::{Device, Error};

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
        Device::Cuda(_) => Err(Error::DeviceUnavailable {
            device: options.device,
            reason: "this build has no CUDA support; build with --features cuda".to_owned(),
        }),
    }
}
