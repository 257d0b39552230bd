//! The operations of `docs/arithmetic.md` for GPUs.
//!
//! A thread has some outputs of its own and makes every sum of theirs alone, in the order that is
//! defined; nothing is shared between threads, so there is nothing to wait for. Every product
//! that is added is the product of an `fma`, so the CUDA compiler, which may contract others, has
//! nothing to contract. Maps are `[image][channel][row][column]`, weights `[out][kernel
//! row][in][kernel column]`.

#![allow(missing_docs)] // the macro that compiles kernels makes public functions without any

pub(super) mod convolution;
pub(super) mod gradient;
pub(super) mod join;
pub(super) mod norm;
pub(super) mod pool;
pub(super) mod update;
