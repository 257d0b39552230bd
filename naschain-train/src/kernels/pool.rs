//! Pooling over planes `[image][block][row][column][lane]`.

use super::norm::stripes;
use super::simd::{Isa, Kernel, Vector};

/// 2×2 max pooling with stride 2; an odd last row or column is ignored. Of equal values the first
/// one is the maximum, row by row.
pub(crate) struct Pool<'a> {
    pub(crate) lanes: usize,
    /// Rows and columns of the input.
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) y: &'a [f32],
    pub(crate) out: &'a mut [f32],
}

impl Pool<'_> {
    pub(crate) fn run_on(self, isa: Isa) {
        isa.run(self.lanes, self);
    }
}

impl Kernel for Pool<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let [row, lanes] = [self.width * V::LANES, V::LANES];
        let small = (self.height / 2) * (self.width / 2) * lanes;
        let planes = self.y.chunks_exact(self.height * row);
        for (y, out) in planes.zip(self.out.chunks_exact_mut(small)) {
            let rows = y.chunks_exact(2 * row);
            for (y, out) in rows.zip(out.chunks_exact_mut(self.width / 2 * lanes)) {
                let (above, below) = y.split_at(row);
                let above = above.chunks_exact(2 * lanes);
                let pairs = above.zip(below.chunks_exact(2 * lanes));
                for ((above, below), out) in pairs.zip(out.chunks_exact_mut(lanes)) {
                    let mut most = V::load(above);
                    for next in [&above[lanes..], below, &below[lanes..]] {
                        let next = V::load(next);
                        most = next.where_greater(next, most, most);
                    }
                    most.store(out);
                }
            }
        }
    }
}

/// The gradient of [`Pool`] with respect to its input: a window's gradient goes to its maximum; all
/// other elements are 0.
pub(crate) struct PoolBackward<'a> {
    pub(crate) lanes: usize,
    /// Rows and columns of the input.
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) y: &'a [f32],
    /// The gradient with respect to the output.
    pub(crate) dout: &'a [f32],
    pub(crate) dy: &'a mut [f32],
}

impl PoolBackward<'_> {
    pub(crate) fn run_on(self, isa: Isa) {
        isa.run(self.lanes, self);
    }
}

impl Kernel for PoolBackward<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let [row, lanes] = [self.width * V::LANES, V::LANES];
        let zero = V::splat(0.0);
        let small = (self.height / 2) * (self.width / 2) * lanes;
        let planes = self.y.chunks_exact(self.height * row);
        let outs = self.dout.chunks_exact(small);
        if self.height % 2 == 1 || self.width % 2 == 1 {
            self.dy.fill(0.0);
        }
        let gradients = self.dy.chunks_exact_mut(self.height * row);
        for ((y, dy), dout) in planes.zip(gradients).zip(outs) {
            for at_row in 0..self.height / 2 {
                for at in 0..self.width / 2 {
                    let first = 2 * at_row * row + 2 * at * lanes;
                    let places = [first, first + lanes, first + row, first + row + lanes];
                    let values = places.map(|place| V::load(&y[place..]));
                    // The gradient of the window's elements so far, and their maximum.
                    let g = V::load(&dout[(at_row * (self.width / 2) + at) * lanes..]);
                    let mut parts = [g, zero, zero, zero];
                    let mut most = values[0];
                    for next in 1..4 {
                        let value = values[next];
                        for part in &mut parts[..next] {
                            *part = zero.where_greater(value, most, *part);
                        }
                        parts[next] = g.where_greater(value, most, zero);
                        most = value.where_greater(value, most, most);
                    }
                    for (part, place) in parts.into_iter().zip(places) {
                        part.store(&mut dy[place..]);
                    }
                }
            }
        }
    }
}

/// The mean over the pixels of each plane, summed in four stripes as [`super::norm`] does.
pub(crate) struct Average<'a> {
    pub(crate) lanes: usize,
    pub(crate) pixels: usize,
    pub(crate) y: &'a [f32],
    /// `[image][block][lane]`
    pub(crate) means: &'a mut [f32],
}

impl Average<'_> {
    pub(crate) fn run_on(self, isa: Isa) {
        isa.run(self.lanes, self);
    }
}

impl Kernel for Average<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let plane = self.pixels * V::LANES;
        let count = V::splat(self.pixels as f32);
        let means = self.means.chunks_exact_mut(V::LANES);
        for (y, mean) in self.y.chunks_exact(plane).zip(means) {
            let sum = stripes!(V, plane, sum, at, sum.add(V::load(&y[at..])));
            sum.div(count).store(mean);
        }
    }
}

/// The gradient of [`Average`] with respect to its input.
pub(crate) struct AverageBackward<'a> {
    pub(crate) lanes: usize,
    pub(crate) pixels: usize,
    /// The gradient with respect to the means.
    pub(crate) dmeans: &'a [f32],
    pub(crate) dy: &'a mut [f32],
}

impl AverageBackward<'_> {
    pub(crate) fn run_on(self, isa: Isa) {
        isa.run(self.lanes, self);
    }
}

impl Kernel for AverageBackward<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let plane = self.pixels * V::LANES;
        let count = V::splat(self.pixels as f32);
        let means = self.dmeans.chunks_exact(V::LANES);
        for (dy, dmean) in self.dy.chunks_exact_mut(plane).zip(means) {
            let part = V::load(dmean).div(count);
            for dy in dy.chunks_exact_mut(V::LANES) {
                part.store(dy);
            }
        }
    }
}
