//! The fast operations against the reference, bit for bit, with every set of instructions that
//! this machine has.

use naschain_core::{Purpose, Stream};
use proptest::prelude::*;

use super::conv1::{Conv1, Sizes1};
use super::conv1_weights::Conv1Weights;
use super::conv3::{Conv3, Sizes3};
use super::conv3_weights::Conv3Weights;
use super::fold::{FoldImages, Recentre};
use super::layout::{
    Transposed, flipped, from_blocks, into_blocks, pack1, pack3, unpack1, unpack3,
};
use super::norm::{Affine, BackwardInput, BackwardSums, Moments, Normalise};
use super::pool::{Average, AverageBackward, Pool, PoolBackward};
use super::reference::{self, Channel, Shape};
use super::simd::Isa;
use super::statistics::{Backward, Mean, Observe, Recall, Statistics};
use super::update::{Sgd, SumOfSquares};
use super::{BLOCK, chunk};

fn every_isa() -> impl Iterator<Item = Isa> {
    let all = [Isa::Avx512, Isa::Avx2, Isa::Portable];
    all.into_iter().filter(|isa| isa.is_available())
}

/// Numbers around 0, some of them 0 and some equal.
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut stream = Stream::new(seed, Purpose::Simulation, 0, count as u64);
    let mut number = |_| match stream.below(8) {
        0 => 0.0,
        1 => 0.5,
        _ => 4.0 * stream.unit_f32() - 2.0,
    };
    (0..count).map(&mut number).collect()
}

#[track_caller]
fn assert_bits(found: &[f32], right: &[f32], what: &str) {
    assert_eq!(found.len(), right.len(), "{what}");
    let different = (0..found.len()).find(|&i| found[i].to_bits() != right[i].to_bits());
    if let Some(i) = different {
        panic!("{what}: number {i} is {}, not {}", found[i], right[i]);
    }
}

/// Sums over chunks as a network makes them: block by block, chunk by chunk.
fn each_chunk(images: usize, pixels: usize, mut f: impl FnMut(std::ops::Range<usize>, bool)) {
    let step = chunk(pixels);
    for first in (0..images).step_by(step) {
        f(first..(first + step).min(images), first > 0);
    }
}

fn check_conv3(isa: Isa, shape: Shape, out: usize, padding: usize) {
    let what = format!("{isa:?} {shape:?} to {out}, padding {padding}");
    let to = shape.convolved(out, padding);
    let x = numbers(shape.len(), 1);
    let weights = numbers(out * shape.channels * 9, 2);
    let dz = numbers(to.len(), 3);
    let lanes = isa.lanes(out);
    let in_lanes = if padding == 1 { lanes } else { 1 };
    let sizes = Sizes3 {
        images: shape.images,
        height: shape.height,
        width: shape.width,
        padding,
        in_channels: shape.channels,
        in_lanes,
        out_channels: out,
        out_lanes: lanes,
    };
    let packed = pack3(&weights, shape.channels, lanes);
    let x_blocks = into_blocks(&x, shape.channels, shape.pixels(), in_lanes);
    let mut z = vec![f32::NAN; shape.images * sizes.out_image()];
    let conv = |z: &mut [f32], add| {
        let (x, weights, out) = (&x_blocks, &packed, z);
        Conv3 {
            sizes,
            x,
            weights,
            out,
            add,
        }
        .run_on(isa);
    };
    conv(&mut z, false);
    let right = reference::conv3(&x, shape, &weights, out, padding);
    assert_bits(&from_blocks(&z, out, to.pixels(), lanes), &right, &what);
    conv(&mut z, true);
    let doubled: Vec<f32> = right.iter().map(|z| z + z).collect();
    assert_bits(&from_blocks(&z, out, to.pixels(), lanes), &doubled, &what);

    let dz_blocks = into_blocks(&dz, out, to.pixels(), lanes);
    let right = reference::conv3_weights(&x, shape, &dz, out, padding);
    let mut total = vec![0.0; packed.len()];
    let mut block = vec![f32::NAN; packed.len()];
    let mut room = vec![f32::NAN; sizes.block_weights()];
    for first in (0..shape.images).step_by(BLOCK) {
        let images = (shape.images - first).min(BLOCK);
        each_chunk(images, to.pixels(), |chunk, add| {
            Conv3Weights {
                sizes: Sizes3 {
                    images: chunk.len(),
                    ..sizes
                },
                x: &x_blocks[(first + chunk.start) * sizes.in_image()..],
                dz: &dz_blocks[(first + chunk.start) * sizes.out_image()..],
                gradient: &mut block,
                sums: &mut room,
                add,
            }
            .run_on(isa);
        });
        let folded = total.iter_mut().zip(&block);
        folded.for_each(|(t, b)| *t = if first == 0 { *b } else { *t + *b });
    }
    assert_bits(&unpack3(&total, shape.channels, out, lanes), &right, &what);

    if padding == 1 && shape.channels == out {
        let mut back = vec![0.0; packed.len()];
        flipped(&packed, out, lanes, &mut back);
        let mut dx = vec![f32::NAN; shape.images * sizes.in_image()];
        let (x, weights, out_to) = (&dz_blocks, &back, &mut dx);
        Conv3 {
            sizes,
            x,
            weights,
            out: out_to,
            add: false,
        }
        .run_on(isa);
        let right = reference::conv3_input(&dz, to, &weights_of(&packed, out, lanes), out);
        assert_bits(&from_blocks(&dx, out, to.pixels(), lanes), &right, &what);
    }
}

fn weights_of(packed: &[f32], channels: usize, lanes: usize) -> Vec<f32> {
    unpack3(packed, channels, channels, lanes)
}

fn shape(images: usize, channels: usize, height: usize, width: usize) -> Shape {
    Shape {
        images,
        channels,
        height,
        width,
    }
}

#[test]
fn convolutions_of_3x3_at_the_sizes_of_the_space() {
    for isa in every_isa() {
        for (images, channels, side) in [
            (1, 8, 30),
            (2, 3, 15),
            (3, 16, 7),
            (1, 9, 26),
            (2, 17, 13),
            (5, 24, 6),
            (33, 7, 6),
            (7, 16, 3),
            (35, 1, 3),
            (70, 5, 1),
            (9, 32, 1),
        ] {
            check_conv3(isa, shape(images, channels, side, side), channels, 1);
        }
        for (images, planes, side, out) in
            [(2, 1, 28, 9), (1, 3, 32, 16), (3, 1, 8, 8), (34, 2, 3, 4)]
        {
            check_conv3(isa, shape(images, planes, side, side), out, 0);
        }
        // Every width once, whatever its tiles are.
        for width in 1..=64 {
            check_conv3(isa, shape(1, 3, 2, width), 3, 1);
            check_conv3(isa, shape(1, 1, 3, width + 2), 9, 0);
        }
    }
}

fn check_conv1(isa: Isa, shape: Shape, maps: usize, out: usize) {
    let what = format!("{isa:?} {maps} × {shape:?} to {out}");
    let inputs = shape.channels;
    let read: Vec<Vec<f32>> = (0..maps).map(|m| numbers(shape.len(), m as u64)).collect();
    let weights = numbers(out * maps * inputs, 20);
    let (in_lanes, lanes) = (isa.lanes(inputs), isa.lanes(out));
    let sizes = Sizes1 {
        images: shape.images,
        pixels: shape.pixels(),
        maps,
        in_channels: inputs,
        in_lanes,
        out_channels: out,
        out_lanes: lanes,
    };
    let to_blocks = |map: &Vec<f32>| into_blocks(map, inputs, shape.pixels(), in_lanes);
    let blocks: Vec<Vec<f32>> = read.iter().map(to_blocks).collect();
    let slices: Vec<&[f32]> = blocks.iter().map(Vec::as_slice).collect();
    let packed = pack1(&weights, maps * inputs, lanes);
    let mut z = vec![f32::NAN; shape.images * sizes.out_image()];
    Conv1 {
        sizes,
        maps: &slices,
        weights: &packed,
        out: &mut z,
        add: false,
    }
    .run_on(isa);
    let right = reference::conv1(&read, shape, &weights, out);
    assert_bits(&from_blocks(&z, out, shape.pixels(), lanes), &right, &what);

    let dz = numbers(right.len(), 21);
    let dz_blocks = into_blocks(&dz, out, shape.pixels(), lanes);
    let right = reference::conv1_weights(&read, shape, &dz, out);
    let mut gradient = vec![f32::NAN; packed.len()];
    assert!(shape.images <= BLOCK);
    for (map, x) in blocks.iter().enumerate() {
        each_chunk(shape.images, shape.pixels(), |chunk, add| {
            Conv1Weights {
                sizes: Sizes1 {
                    images: chunk.len(),
                    ..sizes
                },
                map,
                x: &x[chunk.start * sizes.in_image()..],
                dz: &dz_blocks[chunk.start * sizes.out_image()..],
                gradient: &mut gradient,
                add,
            }
            .run_on(isa);
        });
    }
    let found = unpack1(&gradient, maps * inputs, out, lanes);
    assert_bits(&found, &right, &what);

    let transposed = Transposed {
        inputs,
        in_lanes,
        outputs: out,
        out_lanes: lanes,
        maps,
    };
    let mut back = vec![0.0; transposed.len()];
    transposed.fill(&packed, maps - 1, &mut back);
    let mut dx = vec![0.5; shape.images * sizes.in_image()];
    Conv1 {
        sizes: Sizes1 {
            maps: 1,
            in_channels: out,
            in_lanes: lanes,
            out_channels: inputs,
            out_lanes: in_lanes,
            ..sizes
        },
        maps: &[&dz_blocks],
        weights: &back,
        out: &mut dx,
        add: true,
    }
    .run_on(isa);
    let dz_shape = Shape {
        channels: out,
        ..shape
    };
    let right = reference::conv1_input(&dz, dz_shape, &weights, inputs, [maps - 1, maps]);
    let right: Vec<f32> = right.iter().map(|sum| 0.5 + sum).collect();
    assert_bits(
        &from_blocks(&dx, inputs, shape.pixels(), in_lanes),
        &right,
        &what,
    );
}

#[test]
fn convolutions_of_1x1_and_linear_layers() {
    for isa in every_isa() {
        for (images, channels, side, maps, out) in [
            (1, 8, 26, 2, 8),
            (2, 16, 13, 3, 16),
            (3, 12, 7, 2, 12),
            (5, 24, 6, 4, 24),
            (32, 5, 3, 2, 5),
            (31, 16, 1, 2, 16),
            (2, 8, 15, 1, 16),
            (3, 12, 6, 1, 24),
            (2, 24, 3, 1, 48),
            (32, 64, 1, 1, 10),
            (9, 1, 1, 1, 3),
        ] {
            check_conv1(isa, shape(images, channels, side, side), maps, out);
        }
        for pixels in 1..=64 {
            check_conv1(isa, shape(2, 3, 1, pixels), 2, 4);
        }
    }
}

fn check_norm(isa: Isa, shape: Shape) {
    let what = format!("{isa:?} {shape:?}");
    let (channels, pixels, lanes) = (shape.channels, shape.pixels(), isa.lanes(shape.channels));
    let padded = channels.next_multiple_of(lanes);
    let z = numbers(shape.len(), 1);
    let dy = numbers(shape.len(), 2);
    let pad = |values: &[f32], fill| {
        let mut values = values.to_vec();
        values.resize(padded, fill);
        values
    };
    let weight = pad(&numbers(channels, 3), 0.0);
    let bias = pad(&numbers(channels, 4), 0.0);
    let running = numbers(channels, 5);
    let positive: Vec<f32> = running.iter().map(|r| r.abs()).collect();
    let mut statistics = Statistics::new(pad(&running, 0.0), pad(&positive, 1.0));
    let z_blocks = into_blocks(&z, channels, pixels, lanes);
    let plane = |map: &[f32], image: usize, channel: usize| {
        map[(image * channels + channel) * pixels..][..pixels].to_vec()
    };
    let planes = |map: &[f32], channel: usize| -> Vec<Vec<f32>> {
        (0..shape.images)
            .map(|image| plane(map, image, channel))
            .collect()
    };
    let fold = |values: &[f32], out: &mut [f32]| {
        for (index, values) in values.chunks(BLOCK * padded).enumerate() {
            let (out, add) = (&mut *out, index > 0);
            FoldImages { values, out, add }.run_on(isa);
        }
    };

    let mut means = vec![0.0; shape.images * padded];
    let mut squares = means.clone();
    Moments {
        lanes,
        pixels,
        z: &z_blocks,
        means: &mut means,
        squares: &mut squares,
    }
    .run_on(isa);
    fold(&means, &mut statistics.mean);
    let images = shape.images;
    let mean = &mut statistics.mean;
    Mean { images, mean }.run_on(isa);
    let mean = &statistics.mean;
    Recentre {
        pixels,
        mean,
        means: &means,
        squares: &mut squares,
    }
    .run_on(isa);
    let mut total = vec![0.0; padded];
    fold(&squares, &mut total);
    Observe {
        count: images * pixels,
        squares: &total,
        weight: &weight,
        statistics: &mut statistics,
    }
    .run_on(isa);
    let right: Vec<Channel> = (0..channels)
        .map(|c| {
            let planes = planes(&z, c);
            let planes: Vec<&[f32]> = planes.iter().map(Vec::as_slice).collect();
            let before = Channel {
                mean: 0.0,
                inverse: 0.0,
                scale: 0.0,
                running_mean: running[c],
                running_var: positive[c],
            };
            reference::observe(&planes, weight[c], before)
        })
        .collect();
    let column = |f: fn(&Channel) -> f32| right.iter().map(f).collect::<Vec<f32>>();
    assert_bits(&statistics.mean[..channels], &column(|c| c.mean), &what);
    assert_bits(
        &statistics.inverse[..channels],
        &column(|c| c.inverse),
        &what,
    );
    assert_bits(&statistics.scale[..channels], &column(|c| c.scale), &what);
    assert_bits(
        &statistics.running_mean[..channels],
        &column(|c| c.running_mean),
        &what,
    );
    assert_bits(
        &statistics.running_var[..channels],
        &column(|c| c.running_var),
        &what,
    );

    let affine = Affine {
        mean: &statistics.mean.clone(),
        scale: &statistics.scale.clone(),
        bias: &bias,
    };
    let mut y = vec![f32::NAN; z_blocks.len()];
    let z_in = &z_blocks;
    Normalise {
        lanes,
        pixels,
        affine,
        z: z_in,
        y: &mut y,
    }
    .run_on(isa);
    let value = |index: usize| {
        let c = index / pixels % channels;
        reference::relu(reference::affine(z[index], right[c], bias[c]))
    };
    let right_y: Vec<f32> = (0..z.len()).map(value).collect();
    assert_bits(&from_blocks(&y, channels, pixels, lanes), &right_y, &what);

    let mut dz = into_blocks(&dy, channels, pixels, lanes);
    let mut gradients = vec![0.0; images * padded];
    let mut products = gradients.clone();
    BackwardSums {
        lanes,
        pixels,
        affine,
        z: &z_blocks,
        dy: &dz,
        gradients: &mut gradients,
        products: &mut products,
    }
    .run_on(isa);
    let mut totals = [vec![0.0; padded], vec![0.0; padded]];
    fold(&gradients, &mut totals[0]);
    fold(&products, &mut totals[1]);
    let mut weight_gradient = vec![0.0; padded];
    let mut bias_gradient = vec![0.0; padded];
    Backward {
        count: images * pixels,
        gradients: &totals[0],
        products: &totals[1],
        weight_gradient: &mut weight_gradient,
        bias_gradient: &mut bias_gradient,
        statistics: &mut statistics,
    }
    .run_on(isa);
    BackwardInput {
        lanes,
        pixels,
        affine,
        a: &statistics.a,
        b: &statistics.b,
        z: &z_blocks,
        dy: &mut dz,
    }
    .run_on(isa);
    let dz = from_blocks(&dz, channels, pixels, lanes);
    for c in 0..channels {
        let (z, dy) = (planes(&z, c), planes(&dy, c));
        let z: Vec<&[f32]> = z.iter().map(Vec::as_slice).collect();
        let dy: Vec<&[f32]> = dy.iter().map(Vec::as_slice).collect();
        let (right_dz, right_weight, right_bias) =
            reference::norm_backward(&z, &dy, right[c], bias[c]);
        assert_bits(&[weight_gradient[c]], &[right_weight], &what);
        assert_bits(&[bias_gradient[c]], &[right_bias], &what);
        assert_bits(&planes(&dz, c).concat(), &right_dz.concat(), &what);
    }

    let weight = &weight;
    let mut recalled = statistics.clone();
    let to = &mut recalled;
    Recall {
        weight,
        statistics: to,
    }
    .run_on(isa);
    let right = reference::recall(weight[0], right[0]);
    let found = [recalled.mean[0], recalled.inverse[0], recalled.scale[0]];
    assert_bits(&found, &[right.mean, right.inverse, right.scale], &what);
}

#[test]
fn batch_norm_forwards_and_backwards() {
    for isa in every_isa() {
        for (images, channels, height, width) in [
            (2, 8, 26, 26),
            (3, 3, 15, 15),
            (65, 16, 3, 3),
            (33, 9, 1, 1),
            (1, 1, 1, 1),
            (4, 24, 6, 6),
            (1, 17, 5, 3),
        ] {
            check_norm(isa, shape(images, channels, height, width));
        }
        for pixels in 1..=64 {
            check_norm(isa, shape(2, 2, 1, pixels));
        }
    }
}

fn check_pools(isa: Isa, shape: Shape) {
    let what = format!("{isa:?} {shape:?}");
    let (channels, lanes) = (shape.channels, isa.lanes(shape.channels));
    let y = numbers(shape.len(), 1);
    let y_blocks = into_blocks(&y, channels, shape.pixels(), lanes);
    let image = channels.next_multiple_of(lanes);
    if shape.height > 1 && shape.width > 1 {
        let pixels = (shape.height / 2) * (shape.width / 2);
        let mut out = vec![f32::NAN; shape.images * image * pixels];
        Pool {
            lanes,
            height: shape.height,
            width: shape.width,
            y: &y_blocks,
            out: &mut out,
        }
        .run_on(isa);
        let (right, places) = reference::pool(&y, shape);
        assert_bits(&from_blocks(&out, channels, pixels, lanes), &right, &what);
        let dout = numbers(right.len(), 2);
        let mut dy = vec![f32::NAN; y_blocks.len()];
        PoolBackward {
            lanes,
            height: shape.height,
            width: shape.width,
            y: &y_blocks,
            dout: &into_blocks(&dout, channels, pixels, lanes),
            dy: &mut dy,
        }
        .run_on(isa);
        let mut right = vec![0.0; y.len()];
        places
            .iter()
            .zip(&dout)
            .for_each(|(&place, &d)| right[place] = d);
        assert_bits(
            &from_blocks(&dy, channels, shape.pixels(), lanes),
            &right,
            &what,
        );
    }
    let mut means = vec![f32::NAN; shape.images * image];
    Average {
        lanes,
        pixels: shape.pixels(),
        y: &y_blocks,
        means: &mut means,
    }
    .run_on(isa);
    let right = reference::average(&y, shape);
    assert_bits(&from_blocks(&means, channels, 1, lanes), &right, &what);
    let mut dy = vec![f32::NAN; y_blocks.len()];
    AverageBackward {
        lanes,
        pixels: shape.pixels(),
        dmeans: &means,
        dy: &mut dy,
    }
    .run_on(isa);
    let count = shape.pixels() as f32;
    let of = |mean: &f32| vec![mean / count; shape.pixels()];
    let right: Vec<f32> = right.iter().flat_map(of).collect();
    assert_bits(
        &from_blocks(&dy, channels, shape.pixels(), lanes),
        &right,
        &what,
    );
}

#[test]
fn clipping_and_descent() {
    for isa in every_isa() {
        let (outputs, inputs) = (9, 5);
        let lanes = isa.lanes(outputs);
        let gradient = numbers(outputs * inputs * 9, 1);
        let packed = pack3(&gradient, inputs, lanes);
        let mut found = f32::NAN;
        SumOfSquares {
            lanes,
            channels: outputs,
            gradient: &packed,
            sum: &mut found,
        }
        .run_on(isa);
        // Kernel row, input, kernel column; a row of the gradient is input, row, column.
        let order: Vec<usize> = (0..9 * inputs)
            .map(|at| (at / 3 % inputs) * 9 + at / 3 / inputs * 3 + at % 3)
            .collect();
        let right = reference::sum_of_squares(&gradient, outputs, &order);
        assert_bits(&[found], &[right], "sum of squares");

        for nesterov in [false, true] {
            let start = [numbers(24, 1), numbers(24, 2), numbers(24, 3)];
            let [mut parameters, mut velocities, gradients] = start.clone();
            Sgd {
                factor: 0.3,
                rate: 0.1,
                momentum: 0.9,
                weight_decay: 0.01,
                nesterov,
                parameters: &mut parameters,
                velocities: &mut velocities,
                gradients: &gradients,
            }
            .run_on(isa);
            for i in 0..24 {
                let before = [start[0][i], start[1][i], start[2][i]];
                let right = reference::sgd(before, 0.3, [0.1, 0.9, 0.01], nesterov);
                assert_bits(&[parameters[i], velocities[i]], &right, "descent");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn any_sizes_give_the_reference_s_bits(
        images in 1usize..40,
        channels in 1usize..34,
        height in 1usize..9,
        width in 1usize..20,
        maps in 1usize..4,
        out in 1usize..34,
    ) {
        for isa in every_isa() {
            check_conv3(isa, shape(images.min(5), channels, height, width), channels, 1);
            let image = shape(images, channels.min(3), height + 2, width.min(6) + 2);
            check_conv3(isa, image, out.min(9), 0);
            check_conv1(isa, shape(images.min(32), channels, 1, width), maps, out);
            check_norm(isa, shape(images, channels, 1, width));
            check_pools(isa, shape(images.min(4), channels, height, width));
        }
    }
}

/// How far one of the reference's sums is from the same in f64, in units of the last place of the
/// sum of the terms' absolute values.
#[test]
fn the_reference_is_close_to_f64() {
    let shape = shape(40, 3, 6, 7);
    let (x, dz) = (numbers(shape.len(), 1), numbers(40 * 4 * 42, 2));
    let gradient = reference::conv3_weights(&x, shape, &dz, 4, 1);
    let mut checked = 0;
    for (index, &found) in gradient.iter().enumerate() {
        let (ky, kx) = (index % 9 / 3, index % 3);
        let (i, o) = (index / 9 % 3, index / 27);
        let (mut sum, mut size) = (0.0f64, 0.0f64);
        for image in 0..40 {
            for (row, column) in (0..42).map(|p| (p / 7, p % 7)) {
                let (y, x_at) = (row + ky, column + kx);
                if !(1..=6).contains(&y) || !(1..=7).contains(&x_at) {
                    continue;
                }
                let value = f64::from(x[shape.at(image, i, y - 1, x_at - 1)]);
                let term = value * f64::from(dz[((image * 4 + o) * 6 + row) * 7 + column]);
                (sum, size) = (sum + term, size + term.abs());
                checked += 1;
            }
        }
        // 1,680 terms, each rounded once: typically √1680 half units.
        let error = (f64::from(found) - sum).abs() / (size * f64::from(f32::EPSILON));
        assert!(error < 4.0, "{index}: {found} for {sum}");
    }
    assert!(checked > 100_000);
}
