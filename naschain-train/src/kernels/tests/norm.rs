//! Batch norm.

use super::super::BLOCK;
use super::super::fold::{FoldImages, Recentre};
use super::super::layout::{from_blocks, into_blocks};
use super::super::norm::{Affine, BackwardInput, BackwardSums, Moments, Normalise};
use super::super::reference::{self, Channel, Shape};
use super::super::simd::Isa;
use super::super::statistics::{Backward, BatchStatistics, Mean, RunningStatistics, Statistics};
use super::{assert_bits, every_isa, numbers, shape};

pub(super) fn check_norm(isa: Isa, shape: Shape) {
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
    BatchStatistics {
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
            reference::batch_statistics(&planes, weight[c], before)
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
    RunningStatistics {
        weight,
        statistics: to,
    }
    .run_on(isa);
    let right = reference::running_statistics(weight[0], right[0]);
    let found = [recalled.mean[0], recalled.inverse[0], recalled.scale[0]];
    assert_bits(&found, &[right.mean, right.inverse, right.scale], &what);
}

#[test]
fn batch_norm_forward_and_backward() {
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
