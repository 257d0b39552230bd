//! Training on GPUs of any vendor, by Vulkan or, on macOS, Metal.
//!
//! Neither Vulkan nor Metal requires that a fused multiply-add is fused, and drivers differ. So
//! whether a GPU computes the bits of the CPU has to be tried: `miner selftest` does, and a miner does
//! before it works. On Vulkan CubeCL compiles the kernels to SPIR-V without fast math where the driver
//! supports it, elsewhere to WGSL.

use std::sync::OnceLock;

use cubecl::device::Device as _;
use cubecl::prelude::Runtime;
use cubecl::wgpu::{AutoGraphicsApi, GraphicsApi, WgpuDevice, WgpuRuntime};
use naschain_core::NetworkRef;

use crate::backend::Computation;
use crate::gpu::layers::GpuLayers;
use crate::gpu::network::GpuNetwork;
use crate::gpu::{Gpu, guarded, probe};
use crate::{Device, Error};

pub(crate) fn run<W: Computation>(index: usize, work: W) -> Result<W::Output, Error> {
    let device = find(index)?;
    guarded(Device::Wgpu(index), || match work.network() {
        NetworkRef::Macro(_) => work.run::<GpuNetwork<WgpuRuntime>>(&device),
        _ => work.run::<GpuLayers<WgpuRuntime>>(&device),
    })
}

/// The operations that a GPU does not round correctly.
pub(crate) fn inexact_operations(index: usize) -> Result<Vec<&'static str>, Error> {
    let device = find(index)?;
    guarded(Device::Wgpu(index), || {
        Ok(probe::inexact_operations::<WgpuRuntime>(&Gpu::new(&device)))
    })
}

/// Checks that there is a driver with that many devices.
pub(crate) fn check(index: usize) -> Result<(), Error> {
    find(index).map(|_| ())
}

fn find(index: usize) -> Result<WgpuDevice, Error> {
    let device = Device::Wgpu(index);
    let devices = guarded(device, || Ok(devices()))?;
    let count = devices.len();
    devices.get(index).cloned().ok_or_else(|| {
        let api = AutoGraphicsApi::backend();
        let reason = match count {
            0 => format!("no driver for {api:?} was found"),
            1 => format!("there is 1 {api:?} device, wgpu:0"),
            _ => format!("there are {count} {api:?} devices, counted from 0"),
        };
        Error::DeviceUnavailable { device, reason }
    })
}

/// Discrete GPUs, then integrated and virtual ones, then the driver's implementation in software. The
/// driver is asked once.
fn devices() -> &'static [WgpuDevice] {
    static DEVICES: OnceLock<Vec<WgpuDevice>> = OnceLock::new();
    DEVICES.get_or_init(enumerate)
}

fn enumerate() -> Vec<WgpuDevice> {
    let kinds = [
        WgpuDevice::DiscreteGpu(0),
        WgpuDevice::IntegratedGpu(0),
        WgpuDevice::VirtualGpu(0),
        WgpuDevice::Cpu,
    ];
    let api = AutoGraphicsApi::backend();
    let of_kind = |kind: WgpuDevice| {
        let ids = WgpuRuntime::enumerate_devices(kind.to_id().type_id, &api);
        ids.into_iter().map(WgpuDevice::from_id)
    };
    kinds.into_iter().flat_map(of_kind).collect()
}
