//! Operations that only move values of maps, and images with another number of rows and columns.

use cubecl::prelude::*;

use super::rounding::divide;

/// Every second pixel of every second row, from number `offset` of each; `width` is that of the input. One
/// thread per output.
#[cube(launch_unchecked)]
pub(crate) fn subsample(
    x: &Array<f32>,
    out: &mut Array<f32>,
    planes: usize,
    height: usize,
    width: usize,
    offset: usize,
) {
    let columns = width / 2;
    let pixels = height / 2 * columns;
    if ABSOLUTE_POS >= planes * pixels {
        terminate!();
    }
    let first = ABSOLUTE_POS / pixels * height * width;
    let row = 2 * (ABSOLUTE_POS % pixels / columns) + offset;
    let column = 2 * (ABSOLUTE_POS % columns) + offset;
    out[ABSOLUTE_POS] = x[first + row * width + column];
}

/// The gradient of [`subsample`] with respect to its input, one thread per value.
#[cube(launch_unchecked)]
pub(crate) fn subsample_back(
    dout: &Array<f32>,
    dx: &mut Array<f32>,
    planes: usize,
    height: usize,
    width: usize,
    offset: usize,
) {
    if ABSOLUTE_POS >= planes * height * width {
        terminate!();
    }
    let plane = ABSOLUTE_POS / (height * width);
    let row = ABSOLUTE_POS % (height * width) / width;
    let column = ABSOLUTE_POS % width;
    let mut gradient = 0.0f32;
    let is_read = row % 2 == offset && column % 2 == offset;
    if is_read && row / 2 < height / 2 && column / 2 < width / 2 {
        let place = (plane * (height / 2) + row / 2) * (width / 2) + column / 2;
        gradient += dout[place];
    }
    dx[ABSOLUTE_POS] = gradient;
}

/// How the values of each image are copied.
#[derive(CubeType, CubeLaunch)]
pub(crate) struct Copied {
    pub(crate) images: usize,
    /// Values of an image that are copied.
    pub(crate) values: usize,
    /// Elements per image of the map that is read, and the first that is.
    pub(crate) from_image: usize,
    pub(crate) from_first: usize,
    /// Elements per image of the map that is written, and the first that is.
    pub(crate) to_image: usize,
    pub(crate) to_first: usize,
}

/// Copies values, or adds them.
#[cube(launch_unchecked)]
pub(crate) fn copy_values(
    from: &Array<f32>,
    to: &mut Array<f32>,
    copied: &Copied,
    #[comptime] add: bool,
) {
    if ABSOLUTE_POS >= copied.images * copied.values {
        terminate!();
    }
    let image = ABSOLUTE_POS / copied.values;
    let number = ABSOLUTE_POS % copied.values;
    let value = from[image * copied.from_image + copied.from_first + number];
    let place = image * copied.to_image + copied.to_first + number;
    if add {
        to[place] = to[place] + value;
    } else {
        to[place] = value;
    }
}

/// Bilinear interpolation, one thread per output; pixel centres lie at halves.
#[cube(launch_unchecked)]
pub(crate) fn resize(
    x: &Array<f32>,
    out: &mut Array<f32>,
    planes: usize,
    height: usize,
    width: usize,
    out_height: usize,
    out_width: usize,
) {
    let pixels = out_height * out_width;
    if ABSOLUTE_POS >= planes * pixels {
        terminate!();
    }
    let first = ABSOLUTE_POS / pixels * height * width;
    let down = halves(ABSOLUTE_POS % pixels / out_width, height, out_height);
    let across = halves(ABSOLUTE_POS % out_width, width, out_width);
    let above = down / (2 * out_height);
    let below = min(above + 1, height - 1);
    let left = across / (2 * out_width);
    let right = min(left + 1, width - 1);
    let f = rest(down, out_height);
    let g = rest(across, out_width);
    let upper = first + above * width;
    let upper = fma(g, x[upper + right] - x[upper + left], x[upper + left]);
    let lower = first + below * width;
    let lower = fma(g, x[lower + right] - x[lower + left], x[lower + left]);
    out[ABSOLUTE_POS] = fma(f, lower - upper, upper);
}

/// Where an output row or column lies among `from` ones, in units of half an output.
#[cube]
fn halves(at: usize, from: usize, to: usize) -> usize {
    max((2 * at + 1) * from, to) - to
}

/// How far an output is from the first of the two inputs between which it lies.
#[cube]
fn rest(halves: usize, to: usize) -> f32 {
    divide(f32::cast_from(halves % (2 * to)), f32::cast_from(2 * to))
}
