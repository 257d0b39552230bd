//! Tests of the public interface, in one program, which is quicker to build than one for each file.

mod searches;

mod extension;
mod golden;
mod limits;
#[cfg(feature = "macro-space")]
mod macro_space;
mod nas_bench_macro;
mod oracle;
mod origins;
mod quality;
mod rungs;
mod saving;
mod search;
mod space_features;
mod surrogate;
mod threads;
mod variables;
