#![allow(unsafe_code)] // as in the parent module

use cubecl::prelude::*;

use super::{dim, grid};
use crate::gpu::kernels::values;
use crate::gpu::{Gpu, View};
use crate::kernels::elementwise::Function;

/// `out = function(x)`.
pub(crate) fn apply<R: Runtime>(
    gpu: &Gpu<R>,
    function: Function,
    x: View,
    out: View,
    numbers: usize,
) {
    assert_eq!((x.at, out.at), (0, 0));
    // SAFETY: the views contain everything that the kernel reads and writes.
    unsafe {
        values::apply::launch_unchecked::<R>(
            &gpu.client,
            grid(numbers),
            dim(),
            x.arg(numbers),
            out.arg(numbers),
            numbers,
            function,
        );
    }
}

/// The gradient with respect to the input, or this added to `dx`.
pub(crate) fn apply_back<R: Runtime>(
    gpu: &Gpu<R>,
    function: Function,
    [x, dout, dx]: [View; 3],
    numbers: usize,
    add: bool,
) {
    assert_eq!((x.at, dout.at, dx.at), (0, 0, 0));
    // SAFETY: as above.
    unsafe {
        values::apply_back::launch_unchecked::<R>(
            &gpu.client,
            grid(numbers),
            dim(),
            x.arg(numbers),
            dout.arg(numbers),
            dx.arg(numbers),
            numbers,
            function,
            add,
        );
    }
}

/// Maps of which each image has `image` elements.
#[derive(Clone, Copy)]
pub(crate) struct ImageValues {
    pub(crate) images: usize,
    pub(crate) image: usize,
}

impl ImageValues {
    fn numbers(&self) -> usize {
        self.images * self.image
    }

    /// The sum of two maps, each multiplied by the images' factors, if it has some.
    pub(crate) fn add<R: Runtime>(
        &self,
        gpu: &Gpu<R>,
        maps: [View; 2],
        factors: [Option<View>; 2],
        out: View,
    ) {
        let [a, b] = maps;
        assert_eq!((a.at, b.at, out.at), (0, 0, 0));
        let drops = factors.map(|factors| factors.is_some());
        let [a_at, b_at] = factors.map(|factors| factors.map_or(0, |factors| factors.at));
        // The factors of all paths are in one buffer; without any, a map serves as an argument that is not
        // read.
        let last = factors.into_iter().flatten().max_by_key(|view| view.at);
        let factors = last.map_or(a.arg(0), |factors| factors.arg(self.images));
        // SAFETY: as above.
        unsafe {
            values::add::launch_unchecked::<R>(
                &gpu.client,
                grid(self.numbers()),
                dim(),
                a.arg(self.numbers()),
                b.arg(self.numbers()),
                factors,
                out.arg(self.numbers()),
                self.numbers(),
                self.image,
                a_at,
                b_at,
                drops[0],
                drops[1],
            );
        }
    }

    /// `to = factor · from`, or `to = fma(factor, from, to)`.
    pub(crate) fn scale<R: Runtime>(
        &self,
        gpu: &Gpu<R>,
        from: View,
        factors: View,
        to: View,
        add: bool,
    ) {
        assert_eq!((from.at, to.at), (0, 0));
        // SAFETY: as above.
        unsafe {
            values::scale_images::launch_unchecked::<R>(
                &gpu.client,
                grid(self.numbers()),
                dim(),
                from.arg(self.numbers()),
                factors.arg(self.images),
                to.arg(self.numbers()),
                self.numbers(),
                self.image,
                factors.at,
                add,
            );
        }
    }
}

/// Each of `planes` times its number.
pub(crate) fn scale_planes<R: Runtime>(
    gpu: &Gpu<R>,
    x: View,
    factors: View,
    out: View,
    [planes, pixels]: [usize; 2],
) {
    assert_eq!((x.at, factors.at, out.at), (0, 0, 0));
    // SAFETY: as above.
    unsafe {
        values::scale_planes::launch_unchecked::<R>(
            &gpu.client,
            grid(planes * pixels),
            dim(),
            x.arg(planes * pixels),
            factors.arg(planes),
            out.arg(planes * pixels),
            planes * pixels,
            pixels,
        );
    }
}

/// The gradient of [`scale_planes`] with respect to the numbers.
pub(crate) fn scale_sums<R: Runtime>(
    gpu: &Gpu<R>,
    x: View,
    dout: View,
    sums: View,
    [planes, pixels]: [usize; 2],
) {
    assert_eq!((x.at, dout.at, sums.at), (0, 0, 0));
    // SAFETY: as above.
    unsafe {
        values::scale_sums::launch_unchecked::<R>(
            &gpu.client,
            grid(planes),
            dim(),
            x.arg(planes * pixels),
            dout.arg(planes * pixels),
            sums.arg(planes),
            planes,
            pixels,
        );
    }
}
