//! Whether a GPU rounds as the CPU does.

use cubecl::prelude::*;
use naschain_core::{Purpose, Stream};

use super::{Gpu, launch};

/// Triples of numbers that are tried.
const COUNT: usize = 4096;
const OPERATIONS: [&str; 3] = ["fused multiply-add", "division", "square root"];

/// The operations that the kernels use and that this GPU does not round correctly. One that is wrong
/// for few numbers only may not be found. Without a fused multiply-add nothing else is named, since
/// divisions and square roots are corrected by it.
pub(crate) fn inexact_operations<R: Runtime>(gpu: &Gpu<R>) -> Vec<&'static str> {
    let mut stream = Stream::new(0, Purpose::Simulation, 0, 0);
    let triples = (0..COUNT).flat_map(|_| {
        let (a, b) = (number(&mut stream), number(&mut stream));
        // What a fused multiply-add leaves is the rounding error of the product.
        [a, b, -(a * b)]
    });
    let numbers: Vec<f32> = triples.collect();
    let results = launch::probe(gpu, &numbers);
    let wrong = |operation: &usize| {
        let mut pairs = numbers.chunks_exact(3).zip(results.chunks_exact(3));
        pairs.any(|(triple, found)| {
            let (a, b, c) = (triple[0], triple[1], triple[2]);
            let right = [a.mul_add(b, c), a / b, a.sqrt()][*operation];
            right.to_bits() != found[*operation].to_bits()
        })
    };
    if wrong(&0) {
        return vec![OPERATIONS[0]];
    }
    let operations = (1..OPERATIONS.len()).filter(wrong);
    operations.map(|operation| OPERATIONS[operation]).collect()
}

/// A random number from 2^-16 to 2^16.
fn number(stream: &mut Stream) -> f32 {
    (1.0 + stream.unit_f32()) * ((stream.below(32) as f32) - 16.0).exp2()
}
