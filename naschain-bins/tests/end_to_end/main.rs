//! All integration tests of the programs. They are one test program, because each test program
//! takes long to link; `cargo test -p naschain-bins --test end_to_end network::` runs one module.

mod attacks;
mod bad_input;
mod bad_requests;
mod bittensor;
mod cells;
mod data;
mod hosting;
mod http;
mod identity;
mod independent;
mod latency;
mod leave;
mod legacy;
mod miner;
mod models;
mod network;
mod operations;
mod pages;
mod pictures;
mod programs;
mod recorded;
mod referee;
mod registrations;
mod results;
mod retraining;
mod rules;
mod rungs;
mod search;
mod stages;
mod weights;

// The chain that naschain-bittensor's tests simulate.
#[path = "../../../naschain-bittensor/tests/simulation/chain.rs"]
#[allow(dead_code, reason = "no commits are revealed here")]
mod chain;
#[path = "../../../naschain-bittensor/tests/simulation/node.rs"]
#[allow(dead_code, reason = "the node makes no faults here")]
mod node;
#[path = "../../../naschain-bittensor/tests/simulation/runtime.rs"]
#[allow(dead_code, reason = "no commits are revealed here")]
mod runtime;
