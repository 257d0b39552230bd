//! Criterion benchmarks of the NASChain crates.
