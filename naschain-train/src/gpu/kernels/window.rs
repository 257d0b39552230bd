//! 3×3 pooling with padding 1. Values outside the image do not take part.

use cubecl::prelude::*;

use super::rounding::divide;

/// Dimensions of a 3×3 pooling.
#[derive(CubeType, CubeLaunch)]
pub(crate) struct WindowSizes {
    pub(crate) planes: usize,
    /// Rows and columns of the input.
    pub(crate) height: usize,
    pub(crate) width: usize,
    /// Rows and columns of the output.
    pub(crate) out_height: usize,
    pub(crate) out_width: usize,
    pub(crate) stride: usize,
}

/// The first row or column of a window.
#[cube]
fn begin(at: usize, stride: usize) -> usize {
    max(at * stride, 1usize) - 1
}

/// The row or column after the last of a window.
#[cube]
fn end(at: usize, stride: usize, size: usize) -> usize {
    min(at * stride + 2, size)
}

/// The first window that has a row or column.
#[cube]
fn first_window(at: usize, stride: usize) -> usize {
    (max(at, 1usize) - 1).div_ceil(stride)
}

/// The window after the last that has a row or column.
#[cube]
fn end_of_windows(at: usize, stride: usize, count: usize) -> usize {
    min((at + 1) / stride + 1, count)
}

/// Where the first of the largest values of a window is, from the beginning of its plane.
#[cube]
fn largest(
    x: &Array<f32>,
    sizes: &WindowSizes,
    first: usize,
    out_row: usize,
    out_column: usize,
) -> usize {
    let mut place = begin(out_row, sizes.stride) * sizes.width + begin(out_column, sizes.stride);
    let mut most = x[first + place];
    for row in begin(out_row, sizes.stride)..end(out_row, sizes.stride, sizes.height) {
        for column in begin(out_column, sizes.stride)..end(out_column, sizes.stride, sizes.width) {
            let value = x[first + row * sizes.width + column];
            if value > most {
                most = value;
                place = row * sizes.width + column;
            }
        }
    }
    place
}

/// The number of values of a window.
#[cube]
fn count(sizes: &WindowSizes, row: usize, column: usize) -> usize {
    let rows = end(row, sizes.stride, sizes.height) - begin(row, sizes.stride);
    let columns = end(column, sizes.stride, sizes.width) - begin(column, sizes.stride);
    rows * columns
}

/// The largest value of each window; of equal ones the first. With `mean` the sum of its values, row by row,
/// divided by their number.
#[cube(launch_unchecked)]
pub(crate) fn windows(
    x: &Array<f32>,
    out: &mut Array<f32>,
    sizes: &WindowSizes,
    #[comptime] mean: bool,
) {
    let pixels = sizes.out_height * sizes.out_width;
    if ABSOLUTE_POS >= sizes.planes * pixels {
        terminate!();
    }
    let first = ABSOLUTE_POS / pixels * sizes.height * sizes.width;
    let out_row = ABSOLUTE_POS % pixels / sizes.out_width;
    let out_column = ABSOLUTE_POS % sizes.out_width;
    if mean {
        let mut sum = 0.0f32;
        for row in begin(out_row, sizes.stride)..end(out_row, sizes.stride, sizes.height) {
            let columns = end(out_column, sizes.stride, sizes.width);
            for column in begin(out_column, sizes.stride)..columns {
                sum += x[first + row * sizes.width + column];
            }
        }
        let number = f32::cast_from(count(sizes, out_row, out_column));
        out[ABSOLUTE_POS] = divide(sum, number);
    } else {
        out[ABSOLUTE_POS] = x[first + largest(x, sizes, first, out_row, out_column)];
    }
}

/// The gradient with respect to the input: for each value the sum over the windows that contain it, in
/// their order, of the gradients of those whose largest it is; or, with `mean`, of all their gradients divided
/// by their numbers of values.
#[cube(launch_unchecked)]
pub(crate) fn windows_back(
    x: &Array<f32>,
    dout: &Array<f32>,
    dx: &mut Array<f32>,
    sizes: &WindowSizes,
    #[comptime] mean: bool,
) {
    let pixels = sizes.height * sizes.width;
    if ABSOLUTE_POS >= sizes.planes * pixels {
        terminate!();
    }
    let plane = ABSOLUTE_POS / pixels;
    let first = plane * pixels;
    let place = ABSOLUTE_POS % pixels;
    let row = place / sizes.width;
    let column = place % sizes.width;
    let rows = end_of_windows(row, sizes.stride, sizes.out_height);
    let columns = end_of_windows(column, sizes.stride, sizes.out_width);
    let mut sum = 0.0f32;
    for out_row in first_window(row, sizes.stride)..rows {
        for out_column in first_window(column, sizes.stride)..columns {
            let out_place = (plane * sizes.out_height + out_row) * sizes.out_width + out_column;
            let gradient = dout[out_place];
            if mean {
                let number = f32::cast_from(count(sizes, out_row, out_column));
                sum += divide(gradient, number);
            } else if largest(x, sizes, first, out_row, out_column) == place {
                sum += gradient;
            }
        }
    }
    dx[ABSOLUTE_POS] = sum;
}
