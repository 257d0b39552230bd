#![allow(unsafe_code)] // as in the parent module

use cubecl::prelude::*;

use super::{dim, grid};
use crate::gpu::kernels::window::{WindowSizesLaunch, windows, windows_back};
use crate::gpu::{Gpu, View};

/// 3×3 pooling with padding 1.
#[derive(Clone, Copy)]
pub(crate) struct Windows {
    pub(crate) planes: usize,
    /// Rows and columns of the input and of the output.
    pub(crate) from: [usize; 2],
    pub(crate) to: [usize; 2],
    pub(crate) stride: usize,
    /// Whether it is the mean and not the maximum.
    pub(crate) mean: bool,
}

impl Windows {
    fn elements(&self, [height, width]: [usize; 2]) -> usize {
        self.planes * height * width
    }

    fn sizes<R: Runtime>(&self) -> WindowSizesLaunch<R> {
        WindowSizesLaunch::new(
            self.planes,
            self.from[0],
            self.from[1],
            self.to[0],
            self.to[1],
            self.stride,
        )
    }

    pub(crate) fn run<R: Runtime>(&self, gpu: &Gpu<R>, x: View, out: View) {
        assert_eq!((x.at, out.at), (0, 0));
        // SAFETY: the views contain everything that the kernel reads and writes.
        unsafe {
            windows::launch_unchecked::<R>(
                &gpu.client,
                grid(self.elements(self.to)),
                dim(),
                x.arg(self.elements(self.from)),
                out.arg(self.elements(self.to)),
                self.sizes(),
                self.mean,
            );
        }
    }

    /// The gradient with respect to the input.
    pub(crate) fn run_back<R: Runtime>(&self, gpu: &Gpu<R>, x: View, dout: View, dx: View) {
        assert_eq!((x.at, dout.at, dx.at), (0, 0, 0));
        // SAFETY: as above.
        unsafe {
            windows_back::launch_unchecked::<R>(
                &gpu.client,
                grid(self.elements(self.from)),
                dim(),
                x.arg(self.elements(self.from)),
                dout.arg(self.elements(self.to)),
                dx.arg(self.elements(self.from)),
                self.sizes(),
                self.mean,
            );
        }
    }
}
