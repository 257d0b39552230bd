//! Where a network is trained.

use std::fmt;
use std::str::FromStr;

use crate::Error;

/// Where a network is trained: `cpu`, `cuda:N`, `cuda-direct:N` or `wgpu:N`. The bits are the same,
/// except on a GPU that rounds differently; `miner selftest` shows whether one does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Device {
    /// The processor, by this crate's own kernels.
    #[default]
    Cpu,
    /// NVIDIA GPU number N, counted from 0, by burn: operations of its CUDA backend with its
    /// autodiff; networks of other spaces than the macro space without burn. Needs the Cargo feature
    /// `cuda`.
    Cuda(usize),
    /// The same GPU by the same kernels, launched without burn, to compare speed and digests. Needs
    /// the Cargo feature `cuda`.
    CudaDirect(usize),
    /// GPU number N of any vendor, counted from 0, by Vulkan or, on macOS, Metal: discrete GPUs
    /// first, then integrated and virtual ones, then implementations in software. Needs the Cargo
    /// feature `wgpu`.
    Wgpu(usize),
}

impl Device {
    /// Checks that the device can be used, so that a program can fail early.
    ///
    /// # Errors
    /// [`Error::DeviceUnavailable`] with the reason.
    pub fn check(self) -> Result<(), Error> {
        crate::backend::check(self)
    }

    /// The operations that this device was found not to round as IEEE 754 requires, such as
    /// `"fused multiply-add"`. Their results, and so the bits of a training, differ from those of
    /// other devices. Empty for a CPU.
    ///
    /// # Errors
    /// [`Error::DeviceUnavailable`] if the device cannot be used.
    pub fn inexact_operations(self) -> Result<Vec<&'static str>, Error> {
        crate::backend::inexact_operations(self)
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Device::Cpu => f.write_str("cpu"),
            Device::Cuda(index) => write!(f, "cuda:{index}"),
            Device::CudaDirect(index) => write!(f, "cuda-direct:{index}"),
            Device::Wgpu(index) => write!(f, "wgpu:{index}"),
        }
    }
}

impl FromStr for Device {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (name, index) = match text.split_once(':') {
            Some((name, index)) => (name, index.parse().ok()),
            None => (text, Some(0)),
        };
        match (name, index) {
            ("cpu", _) if name == text => Ok(Device::Cpu),
            ("cuda", Some(index)) => Ok(Device::Cuda(index)),
            ("cuda-direct", Some(index)) => Ok(Device::CudaDirect(index)),
            ("wgpu", Some(index)) => Ok(Device::Wgpu(index)),
            _ => Err(Error::UnknownDevice {
                found: text.to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_round_trip() {
        for text in ["cpu", "cuda:0", "cuda:3", "cuda-direct:0", "wgpu:1"] {
            assert_eq!(text.parse::<Device>().unwrap().to_string(), text);
        }
        for wrong in [
            "",
            "gpu",
            "cuda:",
            "cuda:x",
            "CPU",
            "cpu:0",
            "cuda-direct:",
            "burn",
            "wgpu:",
        ] {
            assert!(wrong.parse::<Device>().is_err(), "{wrong}");
        }
    }
}
