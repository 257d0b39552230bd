//! Images with another number of rows and columns.

use super::simd::{Isa, Kernel, Vector};

/// Bilinear interpolation of planes `[row][column]` with a border of one pixel, without antialiasing; pixel
/// centres lie at halves.
pub(crate) struct Resize<'a> {
    /// Rows and columns, without the border, of what is read and of what is written.
    pub(crate) from: [usize; 2],
    pub(crate) to: [usize; 2],
    pub(crate) x: &'a [f32],
    /// Its border is left as it is.
    pub(crate) out: &'a mut [f32],
}

impl Resize<'_> {
    pub(crate) fn run_on(self, isa: Isa) {
        isa.run(8, self);
    }
}

/// One value at a time, but with the processor's `fma`.
impl Kernel for Resize<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let [rows, columns] = [0, 1].map(|side| {
            let place = |at| between(at, self.from[side], self.to[side]);
            (0..self.to[side]).map(place).collect::<Vec<_>>()
        });
        let [from_width, to_width] = [self.from, self.to].map(|[_, width]| width + 2);
        let plane = |[height, _]: [usize; 2], width: usize| (height + 2) * width;
        let planes = self.x.chunks_exact(plane(self.from, from_width));
        let outs = self.out.chunks_exact_mut(plane(self.to, to_width));
        for (x, out) in planes.zip(outs) {
            for (row, (above, below, f)) in rows.iter().enumerate() {
                let [above, below] =
                    [above, below].map(|row| &x[(row + 1) * from_width + 1..][..self.from[1]]);
                let out = &mut out[(row + 1) * to_width + 1..][..self.to[1]];
                for (out, (left, right, g)) in out.iter_mut().zip(&columns) {
                    let within = |row: &[f32]| g.mul_add(row[*right] - row[*left], row[*left]);
                    let (upper, lower) = (within(above), within(below));
                    *out = f.mul_add(lower - upper, upper);
                }
            }
        }
    }
}

/// The two rows, or columns, of `from` ones between which one of `to` ones lies, and how far it is from the
/// first to the second.
fn between(at: usize, from: usize, to: usize) -> (usize, usize, f32) {
    let halves = ((2 * at + 1) * from).saturating_sub(to);
    let first = halves / (2 * to);
    let second = (first + 1).min(from - 1);
    let rest = (halves % (2 * to)) as f32 / (2 * to) as f32;
    (first, second, rest)
}
