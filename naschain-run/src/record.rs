//! What the public events of a run tell, as tables: candidates, trainings, presence of miners, changes
//! of the front. Every entry has its time, so that a reader can show the run as of any moment.

mod columns;
mod outcomes;
mod tables;

pub use columns::{RecordColumns, SeatColumns, SeatFilter};
pub use outcomes::{JobOutcome, SeatOutcome};
pub use tables::{MinerCounts, RunRecord};

#[cfg(test)]
mod tests;
