#![allow(unsafe_code)] // as in the parent module

use cubecl::prelude::*;

use super::{dim, grid, plane_sums};
use crate::gpu::kernels::norm;
use crate::gpu::{Gpu, View};
use crate::kernels::BLOCK;

/// A batch norm and its map.
#[derive(Clone, Copy)]
pub(crate) struct Norm<'a> {
    pub(crate) images: usize,
    pub(crate) channels: usize,
    pub(crate) pixels: usize,
    /// Whether ReLU follows.
    pub(crate) relu: bool,
    pub(crate) z: View<'a>,
    pub(crate) weight: View<'a>,
    pub(crate) bias: View<'a>,
    pub(crate) statistics: StatisticsViews<'a>,
}

/// Where the statistics of a batch norm are.
#[derive(Clone, Copy)]
pub(crate) struct StatisticsViews<'a> {
    pub(crate) mean: View<'a>,
    pub(crate) inverse: View<'a>,
    pub(crate) scale: View<'a>,
    /// Elements per part if all are in one buffer, or 0.
    pub(crate) part: usize,
}

impl<'a> StatisticsViews<'a> {
    /// In one buffer that contains the running ones too.
    pub(crate) fn in_one(buffer: View<'a>, part: usize) -> StatisticsViews<'a> {
        StatisticsViews {
            mean: buffer,
            inverse: buffer,
            scale: buffer,
            part,
        }
    }
}

impl Norm<'_> {
    fn planes(&self) -> usize {
        self.images * self.channels
    }

    fn numbers(&self) -> usize {
        self.planes() * self.pixels
    }

    fn z<R: Runtime>(&self) -> ArrayArg<R> {
        self.z.arg(self.numbers())
    }

    /// The argument for part number `number` of the statistics.
    fn part<R: Runtime>(&self, view: View, number: usize) -> ArrayArg<R> {
        assert_eq!(view.at, self.statistics.mean.at);
        view.arg(number * self.statistics.part + self.channels)
    }

    fn mean<R: Runtime>(&self) -> ArrayArg<R> {
        self.part(self.statistics.mean, 0)
    }

    fn inverse<R: Runtime>(&self) -> ArrayArg<R> {
        self.part(self.statistics.inverse, 1)
    }

    fn scale<R: Runtime>(&self) -> ArrayArg<R> {
        self.part(self.statistics.scale, 2)
    }

    fn sizes<R: Runtime>(&self) -> norm::NormSizesLaunch<R> {
        norm::NormSizesLaunch::new(
            self.images,
            self.channels,
            self.pixels,
            self.statistics.mean.at,
            self.statistics.part,
            self.weight.at,
            self.bias.at,
            self.z.at,
        )
    }

    /// Computes the statistics of the batch; `stripes` are buffers for sums and squares. `running`
    /// are the running mean and variance that are written, `old` those before, if they are others.
    pub(crate) fn update_statistics<R: Runtime>(
        &self,
        gpu: &Gpu<R>,
        [sums, squares]: [View; 2],
        old: Option<[View; 2]>,
        running: [View; 2],
    ) {
        let (planes, pixels) = (self.planes(), self.pixels);
        plane_sums(gpu, self.z, sums, planes, pixels);
        // Without old ones, any buffer serves as an argument that is not read.
        let [old_mean, old_var] = match old {
            Some([mean, var]) => [self.part(mean, 3), self.part(var, 4)],
            None => [self.weight.arg(0), self.weight.arg(0)],
        };
        // SAFETY: as above.
        unsafe {
            norm::squares::launch_unchecked::<R>(
                &gpu.client,
                grid(4 * planes),
                dim(),
                self.z(),
                sums.arg(4 * planes),
                squares.arg(4 * planes),
                planes,
                pixels,
                self.z.at,
            );
            norm::update_statistics::launch_unchecked::<R>(
                &gpu.client,
                grid(self.channels),
                dim(),
                sums.arg(4 * planes),
                squares.arg(4 * planes),
                self.weight.arg(self.channels),
                old_mean,
                old_var,
                self.mean(),
                self.inverse(),
                self.scale(),
                self.part(running[0], 3),
                self.part(running[1], 4),
                self.sizes(),
                BLOCK,
                old.is_none(),
            );
        }
    }

    /// Uses the running mean and variance instead of the batch's.
    pub(crate) fn load_running_statistics<R: Runtime>(&self, gpu: &Gpu<R>, [mean, var]: [View; 2]) {
        // SAFETY: as above.
        unsafe {
            norm::load_running_statistics::launch_unchecked::<R>(
                &gpu.client,
                grid(self.channels),
                dim(),
                self.weight.arg(self.channels),
                self.part(mean, 3),
                self.part(var, 4),
                self.mean(),
                self.inverse(),
                self.scale(),
                self.channels,
                self.statistics.mean.at,
                self.statistics.part,
                self.weight.at,
            );
        }
    }

    pub(crate) fn normalise<R: Runtime>(&self, gpu: &Gpu<R>, y: View) {
        // SAFETY: as above.
        unsafe {
            norm::normalise::launch_unchecked::<R>(
                &gpu.client,
                grid(self.numbers()),
                dim(),
                self.z(),
                self.mean(),
                self.scale(),
                self.bias.arg(self.channels),
                y.arg(self.numbers()),
                self.sizes(),
                y.at,
                self.relu,
            );
        }
    }

    /// From the gradient `dy` computes `gradients`, those with respect to weight and bias, and `dz`,
    /// that with respect to the input. `stripes` are buffers for sums and products, `terms` for what
    /// the second step of the backward pass needs.
    pub(crate) fn backward<R: Runtime>(
        &self,
        gpu: &Gpu<R>,
        dy: View,
        stripes: [View; 2],
        terms: [View; 2],
        gradients: [View; 2],
        dz: View,
    ) {
        let planes = self.planes();
        let ([sums, products], [dweight, dbias]) = (stripes, gradients);
        assert_eq!(dz.at, 0);
        assert_eq!([dweight.at, dbias.at], [self.weight.at, self.bias.at]);
        // SAFETY: as above.
        unsafe {
            norm::backward_sums::launch_unchecked::<R>(
                &gpu.client,
                grid(4 * planes),
                dim(),
                self.z(),
                dy.arg(self.numbers()),
                self.mean(),
                self.scale(),
                self.bias.arg(self.channels),
                sums.arg(4 * planes),
                products.arg(4 * planes),
                self.sizes(),
                dy.at,
                self.relu,
            );
            norm::backward_statistics::launch_unchecked::<R>(
                &gpu.client,
                grid(self.channels),
                dim(),
                sums.arg(4 * planes),
                products.arg(4 * planes),
                self.inverse(),
                self.part(terms[0], 5),
                self.part(terms[1], 6),
                dweight.arg(self.channels),
                dbias.arg(self.channels),
                self.sizes(),
                BLOCK,
            );
            norm::backward_input::launch_unchecked::<R>(
                &gpu.client,
                grid(self.numbers()),
                dim(),
                self.z(),
                dy.arg(self.numbers()),
                self.mean(),
                self.scale(),
                self.bias.arg(self.channels),
                self.part(terms[0], 5),
                self.part(terms[1], 6),
                dz.arg(self.numbers()),
                self.sizes(),
                dy.at,
                self.relu,
            );
        }
    }
}
