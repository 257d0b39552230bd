//! Operations of neural networks with one order of arithmetic on every processor.
//!
//! `docs/arithmetic.md` defines them. [`reference`] says the same in plain loops and is what the
//! fast operations are compared with, bit for bit.

pub(crate) mod conv1;
pub(crate) mod conv1_weights;
pub(crate) mod conv3;
mod conv3_tile;
pub(crate) mod conv3_weights;
pub(crate) mod fold;
pub(crate) mod layout;
pub(crate) mod norm;
pub(crate) mod pool;
#[cfg(test)]
pub(crate) mod reference;
pub(crate) mod simd;
pub(crate) mod statistics;
#[cfg(test)]
mod tests;
pub(crate) mod update;

/// The version of the arithmetic that decides the bits of a training.
pub const ARITHMETIC_VERSION: u32 = 1;

/// Images whose sums are folded together before the next ones are.
pub(crate) const BLOCK: usize = 32;

/// Images whose terms of the gradient of a convolution's weights are one chain of FMAs: the
/// smallest power of two with which a chunk has 512 pixels, at most a block.
pub(crate) fn chunk(pixels: usize) -> usize {
    512usize
        .div_ceil(pixels.max(1))
        .next_power_of_two()
        .min(BLOCK)
}
