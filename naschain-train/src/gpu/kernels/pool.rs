//! Pooling.

use cubecl::prelude::*;

use super::rounding::divide;

/// 2×2 max pooling. Of equal values the first is the maximum, row by row.
#[cube(launch_unchecked)]
pub(crate) fn pool(
    y: &Array<f32>,
    out: &mut Array<f32>,
    planes: usize,
    height: usize,
    width: usize,
    out_at: usize,
) {
    let columns = width / 2;
    let pixels = height / 2 * columns;
    if ABSOLUTE_POS >= planes * pixels {
        terminate!();
    }
    let plane = ABSOLUTE_POS / pixels;
    let row = ABSOLUTE_POS % pixels / columns;
    let column = ABSOLUTE_POS % columns;
    let first = (plane * height + 2 * row) * width + 2 * column;
    let mut most = y[first];
    #[unroll]
    for number in 1..4usize {
        let value = y[first + number / 2 * width + number % 2];
        most = select(value > most, value, most);
    }
    out[out_at + ABSOLUTE_POS] = most;
}

/// The gradient of max pooling: a window's gradient goes to its maximum; all other elements are 0.
#[cube(launch_unchecked)]
pub(crate) fn pool_back(
    y: &Array<f32>,
    dout: &Array<f32>,
    dy: &mut Array<f32>,
    planes: usize,
    height: usize,
    width: usize,
    dout_at: usize,
) {
    if ABSOLUTE_POS >= planes * height * width {
        terminate!();
    }
    let plane = ABSOLUTE_POS / (height * width);
    let row = ABSOLUTE_POS % (height * width) / width;
    let column = ABSOLUTE_POS % width;
    let mut gradient = 0.0f32;
    if row / 2 < height / 2 && column / 2 < width / 2 {
        let first = (plane * height + row / 2 * 2) * width + column / 2 * 2;
        let mut most = y[first];
        let mut counts = 0usize;
        #[unroll]
        for number in 1..4usize {
            let value = y[first + number / 2 * width + number % 2];
            counts = select(value > most, number, counts);
            most = select(value > most, value, most);
        }
        if counts == row % 2 * 2 + column % 2 {
            let pooled = (plane * (height / 2) + row / 2) * (width / 2) + column / 2;
            gradient = dout[dout_at + pooled];
        }
    }
    dy[ABSOLUTE_POS] = gradient;
}

/// The gradient of a mean over a plane's pixels.
#[cube(launch_unchecked)]
pub(crate) fn average_back(
    dmeans: &Array<f32>,
    dy: &mut Array<f32>,
    numbers: usize,
    pixels: usize,
) {
    if ABSOLUTE_POS < numbers {
        dy[ABSOLUTE_POS] = divide(dmeans[ABSOLUTE_POS / pixels], f32::cast_from(pixels));
    }
}
