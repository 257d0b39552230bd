//! All integration tests of the programs. They are one test program, because each test program
//! takes long to link; `cargo test -p naschain-bins --test end_to_end network::` runs one module.

mod attacks;
mod bad_input;
mod bad_requests;
mod bittensor;
mod data;
mod http;
mod identity;
mod independent;
mod leave;
mod legacy;
mod miner;
mod models;
mod network;
mod operations;
mod pictures;
mod programs;
mod recorded;
mod results;
mod rules;
mod search;
