//! Operations of neural networks with one order of arithmetic on every processor.
//!
//! `docs/arithmetic.md` defines them. [`reference`] implements the same definitions as plain loops;
//! tests compare the fast kernels with it bit for bit.

pub(crate) mod channel_scale;
pub(crate) mod conv1;
pub(crate) mod conv1_weights;
pub(crate) mod conv3;
mod conv3_tile;
pub(crate) mod conv3_weights;
pub(crate) mod depthwise;
pub(crate) mod depthwise_weights;
pub(crate) mod elementwise;
pub(crate) mod fold;
pub(crate) mod layout;
pub(crate) mod norm;
pub(crate) mod pool;
pub(crate) mod rearrange;
#[cfg(test)]
pub(crate) mod reference;
pub(crate) mod resize;
pub(crate) mod simd;
pub(crate) mod statistics;
#[cfg(test)]
mod tests;
mod tile_output;
pub(crate) mod update;
pub(crate) mod window;

/// The version of the arithmetic that decides the bits of a training.
pub const ARITHMETIC_VERSION: u32 = 1;

/// Images per block: sums over images are folded within each block, then over the blocks.
pub(crate) const BLOCK: usize = 32;

/// Images per chunk, for maps of `pixels` pixels: the smallest power of two with which a chunk has
/// at least 512 pixels, at most [`BLOCK`]. The gradient with respect to a convolution's weight is
/// one chain of FMAs per chunk.
pub(crate) fn chunk(pixels: usize) -> usize {
    512usize
        .div_ceil(pixels.max(1))
        .next_power_of_two()
        .min(BLOCK)
}
