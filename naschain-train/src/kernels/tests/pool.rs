//! Pooling and averaging.

use super::super::layout::{from_blocks, into_blocks};
use super::super::pool::{Average, AverageBackward, Pool, PoolBackward};
use super::super::reference::{self, TensorShape};
use super::super::simd::Isa;
use super::{assert_bits, numbers};

pub(super) fn check_pools(isa: Isa, shape: TensorShape) {
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
