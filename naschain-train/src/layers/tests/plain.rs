//! Layers as plain loops over `[image][channel][row][column]`, following docs/arithmetic.md.

use naschain_core::LayerOperation;

use crate::kernels::reference::{TensorShape, over_chunks};

/// A convolution: rows and columns of its kernel and of its stride, and its dilation.
#[derive(Clone, Copy)]
pub(super) struct Kernel {
    pub(super) size: [usize; 2],
    pub(super) stride: [usize; 2],
    pub(super) dilation: usize,
}

impl Kernel {
    /// The row or column that a tap reads for an output row or column, if it is inside.
    fn place(&self, side: usize, at: usize, tap: usize, size: usize) -> Option<usize> {
        let padding = self.dilation * (self.size[side] - 1) / 2;
        let place = (at * self.stride[side] + tap * self.dilation).checked_sub(padding)?;
        (place < size).then_some(place)
    }

    /// The taps, row by row.
    fn taps(&self) -> impl Iterator<Item = [usize; 2]> + use<> {
        let [rows, columns] = self.size;
        (0..rows * columns).map(move |tap| [tap / columns, tap % columns])
    }

    /// The pixel that a tap reads for an output pixel, if it is inside.
    fn pixel(
        &self,
        [row, column]: [usize; 2],
        tap: [usize; 2],
        x: TensorShape,
    ) -> Option<[usize; 2]> {
        let row = self.place(0, row, tap[0], x.height)?;
        Some([row, self.place(1, column, tap[1], x.width)?])
    }
}

/// Calls `f` for each value of a map: its index, image, channel and pixel.
fn each(shape: TensorShape, mut f: impl FnMut(usize, usize, usize, [usize; 2])) {
    for index in 0..shape.len() {
        let (plane, pixel) = (index / shape.pixels(), index % shape.pixels());
        let pixel = [pixel / shape.width, pixel % shape.width];
        f(index, plane / shape.channels, plane % shape.channels, pixel);
    }
}

/// A convolution of all channels, summed over tap, channel.
pub(super) fn dense(
    x: &[f32],
    from: TensorShape,
    w: &[f32],
    to: TensorShape,
    k: Kernel,
) -> Vec<f32> {
    let count = k.size[0] * k.size[1];
    let mut z = vec![0.0f32; to.len()];
    each(to, |index, image, o, pixel| {
        for (number, tap) in k.taps().enumerate() {
            let Some([row, column]) = k.pixel(pixel, tap, from) else {
                continue;
            };
            for i in 0..from.channels {
                let weight = w[(o * from.channels + i) * count + number];
                z[index] = x[from.at(image, i, row, column)].mul_add(weight, z[index]);
            }
        }
    });
    z
}

/// The gradient of [`dense`] with respect to its input: a sum over the taps, each summed over output
/// channels.
pub(super) fn dense_input(
    dz: &[f32],
    from: TensorShape,
    w: &[f32],
    to: TensorShape,
    k: Kernel,
) -> Vec<f32> {
    let count = k.size[0] * k.size[1];
    let mut dx = vec![0.0f32; from.len()];
    for (number, tap) in k.taps().enumerate() {
        for image in 0..to.images {
            for (row, column) in (0..to.pixels()).map(|p| (p / to.width, p % to.width)) {
                let Some(place) = k.pixel([row, column], tap, from) else {
                    continue;
                };
                for i in 0..from.channels {
                    let sum = (0..to.channels).fold(0.0f32, |sum, o| {
                        let weight = w[(o * from.channels + i) * count + number];
                        dz[to.at(image, o, row, column)].mul_add(weight, sum)
                    });
                    dx[from.at(image, i, place[0], place[1])] += sum;
                }
            }
        }
    }
    dx
}

/// The gradient of [`dense`] with respect to its weights.
pub(super) fn dense_weights(
    x: &[f32],
    from: TensorShape,
    dz: &[f32],
    to: TensorShape,
    k: Kernel,
) -> Vec<f32> {
    let mut gradient = Vec::new();
    for o in 0..to.channels {
        for i in 0..from.channels {
            for tap in k.taps() {
                gradient.push(weight(x, (from, i), dz, (to, o), (k, tap)));
            }
        }
    }
    gradient
}

fn weight(
    x: &[f32],
    (from, i): (TensorShape, usize),
    dz: &[f32],
    (to, o): (TensorShape, usize),
    (k, tap): (Kernel, [usize; 2]),
) -> f32 {
    over_chunks(to.images, to.pixels(), |image, mut sum| {
        for (row, column) in (0..to.pixels()).map(|p| (p / to.width, p % to.width)) {
            // A tap of a convolution with several channels reads 0 outside of the image.
            if let Some(place) = k.pixel([row, column], tap, from) {
                let value = x[from.at(image, i, place[0], place[1])];
                sum = value.mul_add(dz[to.at(image, o, row, column)], sum);
            }
        }
        sum
    })
}

/// A convolution of each channel by itself.
pub(super) fn depthwise(
    x: &[f32],
    from: TensorShape,
    w: &[f32],
    to: TensorShape,
    k: Kernel,
) -> Vec<f32> {
    let count = k.size[0] * k.size[1];
    let mut z = vec![0.0f32; to.len()];
    each(to, |index, image, channel, pixel| {
        for (number, tap) in k.taps().enumerate() {
            if let Some([row, column]) = k.pixel(pixel, tap, from) {
                let x = x[from.at(image, channel, row, column)];
                z[index] = x.mul_add(w[channel * count + number], z[index]);
            }
        }
    });
    z
}

/// Its gradient with respect to its input: sums over row, column of the output.
pub(super) fn depthwise_input(
    dz: &[f32],
    from: TensorShape,
    w: &[f32],
    to: TensorShape,
    k: Kernel,
) -> Vec<f32> {
    let count = k.size[0] * k.size[1];
    let mut dx = vec![0.0f32; from.len()];
    each(to, |index, image, channel, pixel| {
        for (number, tap) in k.taps().enumerate() {
            if let Some([row, column]) = k.pixel(pixel, tap, from) {
                let dx = &mut dx[from.at(image, channel, row, column)];
                *dx = dz[index].mul_add(w[channel * count + number], *dx);
            }
        }
    });
    dx
}

/// Its gradient with respect to its weights.
pub(super) fn depthwise_weights(
    x: &[f32],
    from: TensorShape,
    dz: &[f32],
    to: TensorShape,
    k: Kernel,
) -> Vec<f32> {
    let channels = 0..to.channels;
    let weights = channels.flat_map(|c| k.taps().map(move |tap| (c, tap)));
    weights
        .map(|(c, tap)| weight(x, (from, c), dz, (to, c), (k, tap)))
        .collect()
}

/// The 3×3 windows of a pooling: for each output value the indices of its values.
pub(super) fn windows(from: TensorShape, to: TensorShape, stride: usize) -> Vec<Vec<usize>> {
    let k = Kernel {
        size: [3; 2],
        stride: [stride; 2],
        dilation: 1,
    };
    let mut windows = Vec::new();
    each(to, |_, image, channel, pixel| {
        let places = k.taps().filter_map(|tap| k.pixel(pixel, tap, from));
        windows.push(
            places
                .map(|[row, column]| from.at(image, channel, row, column))
                .collect(),
        );
    });
    windows
}

/// The first of the largest values.
pub(super) fn largest(x: &[f32], window: &[usize]) -> usize {
    let first = window[0];
    let larger = |best: usize, next: &usize| if x[*next] > x[best] { *next } else { best };
    window[1..].iter().fold(first, larger)
}

/// The indices of the values that a subsampled map keeps.
pub(super) fn subsampled(from: TensorShape, to: TensorShape, offset: usize) -> Vec<usize> {
    let mut places = Vec::new();
    each(to, |_, image, channel, [row, column]| {
        places.push(from.at(image, channel, 2 * row + offset, 2 * column + offset));
    });
    places
}

/// A number for each channel and image, repeated for all of its pixels.
pub(super) fn spread(numbers: &[f32], pixels: usize) -> Vec<f32> {
    numbers.iter().flat_map(|n| vec![*n; pixels]).collect()
}

/// x + 3 from 0 to 6.
pub(super) fn clamped(x: f32) -> f32 {
    let t = x + 3.0;
    let t = if t > 0.0 { t } else { 0.0 };
    if 6.0 > t { t } else { 6.0 }
}

/// What a function of one value passes of a gradient.
pub(super) fn passed(operation: LayerOperation, x: &[f32], gradient: &[f32]) -> Vec<f32> {
    let pass = |(x, gradient): (&f32, &f32)| match operation {
        LayerOperation::Relu if *x > 0.0 => *gradient,
        LayerOperation::HardSigmoid if *x > -3.0 && 3.0 > *x => gradient / 6.0,
        LayerOperation::HardSwish if *x > -3.0 && 3.0 > *x => gradient * (x / 3.0 + 0.5),
        LayerOperation::HardSwish if *x > -3.0 => *gradient,
        _ => 0.0,
    };
    x.iter().zip(gradient).map(pass).collect()
}

/// Bilinear interpolation, with places that are computed in f64.
pub(super) fn resized(x: &[f32], from: TensorShape, to: TensorShape) -> Vec<f32> {
    let place = |at: usize, from: usize, to: usize| {
        let centre = (at as f64 + 0.5) * from as f64 / to as f64 - 0.5;
        let first = centre.max(0.0).floor();
        let next = (first as usize + 1).min(from - 1);
        (first as usize, next, (centre.max(0.0) - first) as f32)
    };
    let mut out = vec![0.0; to.len()];
    each(to, |index, image, channel, [row, column]| {
        let (above, below, f) = place(row, from.height, to.height);
        let (left, right, g) = place(column, from.width, to.width);
        let value = |row, column| x[from.at(image, channel, row, column)];
        let within = |row| g.mul_add(value(row, right) - value(row, left), value(row, left));
        out[index] = f.mul_add(within(below) - within(above), within(above));
    });
    out
}
