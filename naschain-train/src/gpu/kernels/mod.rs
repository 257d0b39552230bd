//! GPU kernels for the operations of `docs/arithmetic.md`.
//!
//! Each thread computes all sums of its own outputs in the defined order; threads share nothing and
//! need no synchronisation. Every product that is added is part of an explicit `fma`, so the CUDA
//! compiler, which may contract products and sums, finds none to contract. A factor of an `fma` is no
//! constant 1 where the addend is a product: it would be compiled to their sum. Maps are
//! `[image][channel][row][column]`, that is blocks of one channel; weights are
//! `[out][kernel row][in][kernel column]`.

#![allow(missing_docs)] // the kernel macro generates undocumented public functions
#![allow(clippy::manual_is_multiple_of)] // which kernels do not know

pub(crate) mod convolution;
pub(crate) mod depthwise;
pub(crate) mod gradient;
pub(crate) mod join;
pub(crate) mod moves;
pub(crate) mod norm;
pub(crate) mod pool;
pub(crate) mod rounding;
pub(crate) mod taps;
pub(crate) mod update;
pub(crate) mod values;
pub(crate) mod window;
