//! A validator's [`Setter`](naschain_bittensor::Setter) against a simulated node: faults that no real
//! node shows on demand, and a thousand epochs.

mod chain;
mod epochs;
mod faults;
mod node;
mod outages;
mod reveals;
mod runtime;
mod upgrades;
mod world;
mod wrong_nodes;
