#![allow(unsafe_code)] // as in the parent module

use cubecl::prelude::*;

use super::{dim, grid};
use crate::gpu::kernels::moves;
use crate::gpu::{Gpu, View};

/// Every second pixel of every second row of planes with even sizes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subsample {
    pub(crate) planes: usize,
    /// Rows and columns of the input.
    pub(crate) from: [usize; 2],
    /// 0 or 1: the first row and column.
    pub(crate) offset: usize,
}

impl Subsample {
    fn elements(&self) -> [usize; 2] {
        let [height, width] = self.from;
        assert!(height % 2 == 0 && width % 2 == 0, "{self:?}");
        let from = self.planes * height * width;
        [from, from / 4]
    }

    pub(crate) fn run<R: Runtime>(&self, gpu: &Gpu<R>, x: View, out: View) {
        let [from, to] = self.elements();
        assert_eq!((x.at, out.at), (0, 0));
        // SAFETY: the views contain everything that the kernel reads and writes.
        unsafe {
            moves::subsample::launch_unchecked::<R>(
                &gpu.client,
                grid(to),
                dim(),
                x.arg(from),
                out.arg(to),
                self.planes,
                self.from[0],
                self.from[1],
                self.offset,
            );
        }
    }

    /// The gradient with respect to the input.
    pub(crate) fn run_back<R: Runtime>(&self, gpu: &Gpu<R>, dout: View, dx: View) {
        let [from, to] = self.elements();
        assert_eq!((dout.at, dx.at), (0, 0));
        // SAFETY: as above.
        unsafe {
            moves::subsample_back::launch_unchecked::<R>(
                &gpu.client,
                grid(from),
                dim(),
                dout.arg(to),
                dx.arg(from),
                self.planes,
                self.from[0],
                self.from[1],
                self.offset,
            );
        }
    }
}

/// Values of each image of one map that are copied to another, or added.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CopyValues {
    pub(crate) images: usize,
    /// Values of an image that are copied.
    pub(crate) values: usize,
    /// Elements per image of the map that is read, and the first that is.
    pub(crate) from: [usize; 2],
    /// Elements per image of the map that is written, and the first that is.
    pub(crate) to: [usize; 2],
    pub(crate) add: bool,
}

impl CopyValues {
    /// All values of a map with `image` elements per image.
    pub(crate) fn all(images: usize, image: usize, add: bool) -> CopyValues {
        CopyValues {
            images,
            values: image,
            from: [image, 0],
            to: [image, 0],
            add,
        }
    }

    /// The copy back, or what is added back, as gradients are.
    pub(crate) fn back(self, add: bool) -> CopyValues {
        CopyValues {
            from: self.to,
            to: self.from,
            add,
            ..self
        }
    }

    pub(crate) fn run<R: Runtime>(&self, gpu: &Gpu<R>, from: View, to: View) {
        assert_eq!((from.at, to.at), (0, 0));
        let fits = |[image, first]: [usize; 2]| first + self.values <= image;
        assert!(fits(self.from) && fits(self.to), "{self:?}");
        // SAFETY: as above.
        unsafe {
            moves::copy_values::launch_unchecked::<R>(
                &gpu.client,
                grid(self.images * self.values),
                dim(),
                from.arg(self.images * self.from[0]),
                to.arg(self.images * self.to[0]),
                moves::CopiedLaunch::new(
                    self.images,
                    self.values,
                    self.from[0],
                    self.from[1],
                    self.to[0],
                    self.to[1],
                ),
                self.add,
            );
        }
    }
}

/// Copies the first `numbers` elements of a buffer.
pub(crate) fn copy<R: Runtime>(gpu: &Gpu<R>, from: View, to: View, numbers: usize) {
    let copied = CopyValues {
        images: 1,
        values: numbers,
        from: [numbers, 0],
        to: [to.at + numbers, to.at],
        add: false,
    };
    copied.run(gpu, from, to.buffer.all());
}

/// Bilinear interpolation of `planes` of `from` rows and columns to `to`.
pub(crate) fn resize<R: Runtime>(
    gpu: &Gpu<R>,
    x: View,
    out: View,
    planes: usize,
    [from, to]: [[usize; 2]; 2],
) {
    assert_eq!((x.at, out.at), (0, 0));
    let elements = |[height, width]: [usize; 2]| planes * height * width;
    // SAFETY: as above.
    unsafe {
        moves::resize::launch_unchecked::<R>(
            &gpu.client,
            grid(elements(to)),
            dim(),
            x.arg(elements(from)),
            out.arg(elements(to)),
            planes,
            from[0],
            from[1],
            to[0],
            to[1],
        );
    }
}
