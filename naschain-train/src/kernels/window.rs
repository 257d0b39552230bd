//! 3×3 pooling with padding 1 over planes `[image][block][row][column][lane]`. Values outside the image
//! do not take part.

use std::ops::Range;

use super::simd::{Isa, Kernel, Vector};

/// Dimensions of a 3×3 pooling.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WindowSizes {
    /// 8 or 16.
    pub(crate) lanes: usize,
    /// Rows and columns of the input.
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) stride: usize,
}

impl WindowSizes {
    /// Rows and columns of the output.
    fn out(&self) -> [usize; 2] {
        [self.height, self.width].map(|size| (size - 1) / self.stride + 1)
    }

    /// Elements of one plane of the input and of the output.
    fn planes(&self) -> [usize; 2] {
        let [rows, columns] = self.out();
        [
            self.height * self.width * self.lanes,
            rows * columns * self.lanes,
        ]
    }
}

/// The rows, or columns, around `at` that are inside the image.
#[inline(always)]
fn inside(at: usize, size: usize) -> Range<usize> {
    at.saturating_sub(1)..(at + 2).min(size)
}

/// Does something with each window of a plane: with the offset of its output, and with those of its values,
/// row by row.
///
/// A macro, since a closure that is not inlined lacks the target features of its kernel, and then calls a
/// function for each vector instruction.
macro_rules! for_each_window {
    ($sizes:expr, $out:ident, $places:ident, $body:block) => {
        let sizes: WindowSizes = $sizes;
        let [rows, columns] = sizes.out();
        for row in 0..rows {
            for column in 0..columns {
                let (mut all, mut count) = ([0; 9], 0);
                for row in inside(row * sizes.stride, sizes.height) {
                    for column in inside(column * sizes.stride, sizes.width) {
                        all[count] = (row * sizes.width + column) * sizes.lanes;
                        count += 1;
                    }
                }
                let $out = (row * columns + column) * sizes.lanes;
                let $places = &all[..count];
                $body
            }
        }
    };
}

/// The largest value of each window; of equal ones the first.
pub(crate) struct MaxWindows<'a> {
    pub(crate) sizes: WindowSizes,
    pub(crate) x: &'a [f32],
    pub(crate) out: &'a mut [f32],
}

impl MaxWindows<'_> {
    pub(crate) fn run_on(self, isa: Isa) {
        isa.run(self.sizes.lanes, self);
    }
}

impl Kernel for MaxWindows<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let [input, output] = self.sizes.planes();
        let planes = self.x.chunks_exact(input);
        for (x, out) in planes.zip(self.out.chunks_exact_mut(output)) {
            for_each_window!(self.sizes, to, places, {
                let mut most = V::load(&x[places[0]..]);
                for place in &places[1..] {
                    let next = V::load(&x[*place..]);
                    most = next.where_greater(next, most, most);
                }
                most.store(&mut out[to..]);
            });
        }
    }
}

/// The gradient of [`MaxWindows`] with respect to its input: for each value the sum of the gradients of
/// the windows whose largest it is, in their order.
pub(crate) struct MaxWindowsBackward<'a> {
    pub(crate) sizes: WindowSizes,
    pub(crate) x: &'a [f32],
    pub(crate) dout: &'a [f32],
    pub(crate) dx: &'a mut [f32],
}

impl MaxWindowsBackward<'_> {
    pub(crate) fn run_on(self, isa: Isa) {
        isa.run(self.sizes.lanes, self);
    }
}

impl Kernel for MaxWindowsBackward<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let [input, output] = self.sizes.planes();
        let zero = V::splat(0.0);
        let planes = self.x.chunks_exact(input);
        let gradients = self.dx.chunks_exact_mut(input);
        for ((x, dx), dout) in planes.zip(gradients).zip(self.dout.chunks_exact(output)) {
            dx.fill(0.0);
            for_each_window!(self.sizes, from, places, {
                let mut most = V::load(&x[places[0]..]);
                let mut selected = zero;
                for (number, place) in places.iter().enumerate().skip(1) {
                    let next = V::load(&x[*place..]);
                    selected = V::splat(number as f32).where_greater(next, most, selected);
                    most = next.where_greater(next, most, most);
                }
                let gradient = V::load(&dout[from..]);
                for (number, place) in places.iter().enumerate() {
                    let [below, above] = [-0.5, 0.5].map(|d| V::splat(number as f32 + d));
                    let part = gradient.where_greater(selected, below, zero);
                    let part = part.where_greater(above, selected, zero);
                    let dx = &mut dx[*place..];
                    V::load(dx).add(part).store(dx);
                }
            });
        }
    }
}

/// The mean of each window: the sum of its values, row by row, divided by their number.
pub(crate) struct MeanWindows<'a> {
    pub(crate) sizes: WindowSizes,
    pub(crate) x: &'a [f32],
    pub(crate) out: &'a mut [f32],
}

impl MeanWindows<'_> {
    pub(crate) fn run_on(self, isa: Isa) {
        isa.run(self.sizes.lanes, self);
    }
}

impl Kernel for MeanWindows<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let [input, output] = self.sizes.planes();
        let planes = self.x.chunks_exact(input);
        for (x, out) in planes.zip(self.out.chunks_exact_mut(output)) {
            for_each_window!(self.sizes, to, places, {
                let mut sum = V::splat(0.0);
                for place in places {
                    sum = sum.add(V::load(&x[*place..]));
                }
                sum.div(V::splat(places.len() as f32)).store(&mut out[to..]);
            });
        }
    }
}

/// The gradient of [`MeanWindows`] with respect to its input: for each value the sum over the windows
/// that contain it, in their order, of their gradients divided by their numbers of values.
pub(crate) struct MeanWindowsBackward<'a> {
    pub(crate) sizes: WindowSizes,
    pub(crate) dout: &'a [f32],
    pub(crate) dx: &'a mut [f32],
}

impl MeanWindowsBackward<'_> {
    pub(crate) fn run_on(self, isa: Isa) {
        isa.run(self.sizes.lanes, self);
    }
}

impl Kernel for MeanWindowsBackward<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let [input, output] = self.sizes.planes();
        let planes = self.dx.chunks_exact_mut(input);
        for (dx, dout) in planes.zip(self.dout.chunks_exact(output)) {
            dx.fill(0.0);
            for_each_window!(self.sizes, from, places, {
                let count = V::splat(places.len() as f32);
                let share = V::load(&dout[from..]).div(count);
                for place in places {
                    let dx = &mut dx[*place..];
                    V::load(dx).add(share).store(dx);
                }
            });
        }
    }
}
