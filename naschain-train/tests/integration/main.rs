//! Tests of the public interface, in one program, which is quicker to build than one for each file.
//! Those that count allocations have programs of their own.

mod python;

mod all_images;
mod burn_examples;
mod checkpoint;
mod costs;
mod damaged_models;
mod determinism;
mod export;
mod options;
mod pytorch;
mod readme;
mod real_data;
mod step_states;
