//! A validator's view of a genomaster, and the destinations of its weights.

pub mod on_chain;
pub mod public_journal;
pub mod seen;
