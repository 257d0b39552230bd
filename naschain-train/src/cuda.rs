//! Training on NVIDIA GPUs, and checks that driver, device and toolkit are present.
//!
//! CubeCL's runtime panics if there is no driver, toolkit or memory. This module returns an error
//! with the reason instead.
//!
//! The kernels are written with CubeCL, the layer below burn, not as operations of burn's tensors:
//! one plan of the network and one training loop serve CPU and GPU. As autodiff operations the
//! network would be described a second time, in a graph that is built in each step. What that costs
//! on a GPU has not been measured.

mod backward;
mod buffers;
mod forward;
mod gpu;
mod kernels;
mod launch;
mod network;
mod tables;

use std::any::Any;
use std::ffi::c_int;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use cubecl::cuda::CudaDevice;
use libloading::Library;

use self::network::CudaNetwork;
use crate::backend::Work;
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

pub(crate) fn run<W: Work>(index: usize, work: W) -> Result<W::Output, Error> {
    check(index)?;
    let device = CudaDevice::new(index);
    // Unwind safe: nothing that `work` captures is used after a panic.
    let guarded = AssertUnwindSafe(|| work.run::<CudaNetwork>(&device));
    catch_unwind(guarded).unwrap_or_else(|panic| Err(unavailable(index, message(&*panic))))
}

pub(crate) fn check(index: usize) -> Result<(), Error> {
    let found = device_count().and_then(|count| {
        if index < count {
            toolkit()
        } else {
            Err(format!("there are {count} CUDA devices, counted from 0"))
        }
    });
    found.map_err(|reason| unavailable(index, reason))
}

fn unavailable(index: usize, reason: String) -> Error {
    Error::DeviceUnavailable {
        device: Device::Cuda(index),
        reason,
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    let text = text.unwrap_or("no reason given");
    format!("the CUDA runtime failed: {}", text.trim())
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
