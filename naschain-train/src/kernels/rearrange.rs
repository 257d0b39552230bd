//! Operations that only move the values of maps `[image][block][row][column][lane]`.

use super::simd::{Isa, Kernel, Vector};

/// How pixels are selected: output pixel (row, column) is the input pixel (row · stride + shift), in each
/// direction, or +0 where that is outside of the image.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Selection {
    /// 8 or 16.
    pub(crate) lanes: usize,
    /// Rows and columns of the input.
    pub(crate) from: [usize; 2],
    /// Rows and columns of the output.
    pub(crate) to: [usize; 2],
    pub(crate) stride: [usize; 2],
    pub(crate) shift: [isize; 2],
}

impl Selection {
    /// Calls `f` with the offsets of each output pixel and, unless that is outside, its input pixel.
    #[inline(always)]
    fn for_each(&self, mut f: impl FnMut(usize, Option<usize>)) {
        let place = |at: usize, side: usize| {
            let place = (at * self.stride[side]).checked_add_signed(self.shift[side])?;
            (place < self.from[side]).then_some(place)
        };
        for row in 0..self.to[0] {
            let from_row = place(row, 0);
            for column in 0..self.to[1] {
                let from = from_row.zip(place(column, 1));
                let from = from.map(|(row, column)| (row * self.from[1] + column) * self.lanes);
                f((row * self.to[1] + column) * self.lanes, from);
            }
        }
    }

    fn planes(&self) -> [usize; 2] {
        [self.from, self.to].map(|[rows, columns]| rows * columns * self.lanes)
    }
}

/// Copies the selected pixels.
pub(crate) struct Select<'a> {
    pub(crate) selection: Selection,
    pub(crate) x: &'a [f32],
    pub(crate) out: &'a mut [f32],
}

impl Select<'_> {
    pub(crate) fn run_on(self, isa: Isa) {
        isa.run(self.selection.lanes, self);
    }
}

impl Kernel for Select<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let [input, output] = self.selection.planes();
        let planes = self.x.chunks_exact(input);
        for (x, out) in planes.zip(self.out.chunks_exact_mut(output)) {
            self.selection.for_each(|to, from| {
                let value = from.map_or(V::splat(0.0), |from| V::load(&x[from..]));
                value.store(&mut out[to..]);
            });
        }
    }
}

/// The gradient of [`Select`] with respect to its input: each pixel's gradient is added where it came
/// from.
pub(crate) struct SelectBackward<'a> {
    pub(crate) selection: Selection,
    pub(crate) dout: &'a [f32],
    pub(crate) dx: &'a mut [f32],
}

impl SelectBackward<'_> {
    pub(crate) fn run_on(self, isa: Isa) {
        isa.run(self.selection.lanes, self);
    }
}

impl Kernel for SelectBackward<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let [input, output] = self.selection.planes();
        let planes = self.dx.chunks_exact_mut(input);
        for (dx, dout) in planes.zip(self.dout.chunks_exact(output)) {
            self.selection.for_each(|to, from| {
                if let Some(from) = from {
                    let dx = &mut dx[from..];
                    V::load(dx).add(V::load(&dout[to..])).store(dx);
                }
            });
        }
    }
}

/// Copies channels from one map to another of the same resolution.
pub(crate) struct Channels {
    pub(crate) count: usize,
    pub(crate) pixels: usize,
    /// Channels and lanes of the map that is read, and the first channel that is read.
    pub(crate) from: [usize; 3],
    /// Channels and lanes of the map that is written, and the first channel that is written.
    pub(crate) to: [usize; 3],
}

impl Channels {
    /// Copies them; with `add` it adds.
    pub(crate) fn copy(&self, x: &[f32], out: &mut [f32], add: bool) {
        let image =
            |[channels, lanes, _]: [usize; 3]| channels.next_multiple_of(lanes) * self.pixels;
        let images = x.chunks_exact(image(self.from));
        for (x, out) in images.zip(out.chunks_exact_mut(image(self.to))) {
            for channel in 0..self.count {
                let place = |[_, lanes, first]: [usize; 3]| {
                    let channel = first + channel;
                    [
                        channel / lanes * self.pixels * lanes + channel % lanes,
                        lanes,
                    ]
                };
                let ([from, from_lanes], [to, to_lanes]) = (place(self.from), place(self.to));
                for pixel in 0..self.pixels {
                    let value = x[from + pixel * from_lanes];
                    let out = &mut out[to + pixel * to_lanes];
                    *out = if add { *out + value } else { value };
                }
            }
        }
    }
}
