//! Training on NVIDIA GPUs, and checks that driver, device and toolkit are present.
//!
//! CubeCL's runtime panics if there is no driver, toolkit or memory. This module returns an error
//! with the reason instead.
//!
//! For networks of the macro space the kernels are operations of burn's tensors, in a graph that is built
//! in each step. [`GpuNetwork`] launches the same kernels without burn, and fewer of them. What burn costs
//! on a GPU has not been measured; until it has, both exist (`scripts/gpu.sh` compares them). Networks of
//! the other spaces are trained without burn, by [`GpuLayers`].

use std::ffi::c_int;
use std::path::{Path, PathBuf};

use cubecl::cuda::{CudaDevice, CudaRuntime};
use libloading::Library;
use naschain_core::NetworkRef;

use crate::Isa;
use crate::backend::Computation;
use crate::burn::{BurnTraining, CudaAutodiff, ExactDevice};
use crate::gpu::layers::GpuLayers;
use crate::gpu::network::GpuNetwork;
use crate::gpu::{Gpu, guarded, probe};
use crate::{Device, Error};

/// File names of NVRTC, the runtime compiler, in the toolkits that CubeCL can load.
const NVRTC: [&str; 5] = [
    "libnvrtc.so",
    "libnvrtc.so.13",
    "libnvrtc.so.12",
    "libnvrtc.so.11",
    "libnvrtc.so.1",
];
const TOOLKIT: &str = "install NVIDIA's CUDA toolkit, or set CUDA_PATH to its folder and \
                       LD_LIBRARY_PATH to that of its libraries";

/// Runs on burn's CUDA backend, or without burn for a network that is not of the macro space.
pub(crate) fn run<W: Computation>(index: usize, work: W) -> Result<W::Output, Error> {
    let place = ExactDevice {
        device: CudaDevice::new(index),
        isa: Isa::best(),
    };
    check(Device::Cuda(index))?;
    guarded(Device::Cuda(index), || match work.network() {
        NetworkRef::Macro(_) => work.run::<BurnTraining<CudaAutodiff>>(&place),
        _ => work.run::<GpuLayers<CudaRuntime>>(&place.device),
    })
}

/// Launches the kernels without burn.
pub(crate) fn run_directly<W: Computation>(index: usize, work: W) -> Result<W::Output, Error> {
    check(Device::CudaDirect(index))?;
    let device = CudaDevice::new(index);
    guarded(Device::CudaDirect(index), || match work.network() {
        NetworkRef::Macro(_) => work.run::<GpuNetwork<CudaRuntime>>(&device),
        _ => work.run::<GpuLayers<CudaRuntime>>(&device),
    })
}

/// The operations that a GPU does not round correctly.
pub(crate) fn inexact_operations(device: Device, index: usize) -> Result<Vec<&'static str>, Error> {
    check(device)?;
    guarded(device, || {
        let gpu = Gpu::<CudaRuntime>::new(&CudaDevice::new(index));
        Ok(probe::inexact_operations(&gpu))
    })
}

/// Checks driver, device and toolkit.
pub(crate) fn check(device: Device) -> Result<(), Error> {
    let index = match device {
        Device::Cpu | Device::Wgpu(_) => return Ok(()),
        Device::Cuda(index) | Device::CudaDirect(index) => index,
    };
    check_index(index).map_err(|reason| unavailable(device, reason))
}

fn check_index(index: usize) -> Result<(), String> {
    let count = device_count()?;
    if index < count {
        toolkit()
    } else {
        Err(format!("there are {count} CUDA devices, counted from 0"))
    }
}

fn unavailable(device: Device, reason: String) -> Error {
    Error::DeviceUnavailable { device, reason }
}

/// Asks the driver for the number of devices.
#[allow(unsafe_code)] // only two calls of the driver's C interface
fn device_count() -> Result<usize, String> {
    type Init = unsafe extern "C" fn(u32) -> c_int;
    type Count = unsafe extern "C" fn(*mut c_int) -> c_int;
    let missing =
        |error: libloading::Error| format!("the NVIDIA driver is missing or incomplete ({error})");
    let mut count = 0;
    // SAFETY: loading libcuda has no preconditions, and the signatures are those of cuInit and
    // cuDeviceGetCount in the CUDA driver API; `count` outlives the call.
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
        // CUDA_ERROR_NO_DEVICE
        100 => Err("the NVIDIA driver found no GPU".to_owned()),
        code => Err(format!("the NVIDIA driver reports error {code}")),
    }
}

/// Checks for the toolkit: kernels are compiled at run time by its library and with its headers.
fn toolkit() -> Result<(), String> {
    #[allow(unsafe_code)] // only loads NVIDIA's library
    // SAFETY: loading NVRTC has no preconditions.
    let loads = |name: &&str| unsafe { Library::new(*name) }.is_ok();
    if !NVRTC.iter().any(loads) {
        return Err(format!(
            "the CUDA runtime compiler, libnvrtc.so, was not found; {TOOLKIT}"
        ));
    }
    let header = include_folder().map(|folder| folder.join("cuda_runtime.h"));
    match header {
        Some(header) if header.is_file() => Ok(()),
        Some(header) => Err(format!("{} does not exist; {TOOLKIT}", header.display())),
        None => Err(format!("the CUDA headers were not found; {TOOLKIT}")),
    }
}

/// The folder in which CubeCL's runtime looks for headers.
fn include_folder() -> Option<PathBuf> {
    let named = std::env::var_os("CUDA_PATH").map(PathBuf::from);
    let there = |folder: &str| Path::new(folder).exists().then(|| PathBuf::from(folder));
    let usual = || there("/usr/local/cuda").or_else(|| there("/opt/cuda"));
    let of_system = || there("/usr/bin/nvcc").map(|_| PathBuf::from("/usr"));
    let folder = named.or_else(usual).or_else(of_system)?;
    Some(folder.join("include"))
}
