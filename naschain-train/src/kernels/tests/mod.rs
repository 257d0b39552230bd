//! Compares the kernels with the reference, bit for bit, with every instruction set that this
//! machine has.

mod convolution;
mod norm;
mod pool;

use naschain_core::{Purpose, Stream};
use proptest::prelude::*;

use super::chunk;
use super::layout::pack3;
use super::reference::{self, TensorShape};
use super::simd::Isa;
use super::update::{Sgd, SumOfSquares};
use convolution::{check_conv1, check_conv3};
use norm::check_norm;
use pool::check_pools;

fn every_isa() -> impl Iterator<Item = Isa> {
    let all = [Isa::Avx512, Isa::Avx2, Isa::Portable];
    all.into_iter().filter(|isa| isa.is_available())
}

/// Values around 0, some of them 0 and some equal.
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

/// Sums over chunks as in a network: block by block, chunk by chunk.
fn each_chunk(images: usize, pixels: usize, mut f: impl FnMut(std::ops::Range<usize>, bool)) {
    let step = chunk(pixels);
    for first in (0..images).step_by(step) {
        f(first..(first + step).min(images), first > 0);
    }
}

fn shape(images: usize, channels: usize, height: usize, width: usize) -> TensorShape {
    TensorShape {
        images,
        channels,
        height,
        width,
    }
}

#[test]
fn clipping_and_sgd() {
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
    fn all_sizes_match_the_reference(
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

/// Compares the reference's sums with the same sums in f64. The unit of the difference is one unit
/// in the last place of the sum of the terms' absolute values.
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
        // 1,680 terms with one rounding each: typically √1680 half units.
        let error = (f64::from(found) - sum).abs() / (size * f64::from(f32::EPSILON));
        assert!(error < 4.0, "{index}: {found} for {sum}");
    }
    assert!(checked > 100_000);
}
