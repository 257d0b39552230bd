#![doc = include_str!("../README.md")]

mod acquisition;
mod adding;
#[cfg(feature = "ndarray")]
mod array;
mod breeding;
mod candidate;
#[cfg(feature = "macro-space")]
mod cell_space;
mod cholesky;
mod config;
mod crowding;
mod dedup;
mod design;
mod ensemble;
mod enumeration;
mod error;
mod exact;
mod extension;
mod features;
mod front;
mod gaussian;
mod genes;
mod graph;
mod hypervolume;
mod indicators;
mod interval;
mod lineage;
mod log_scale;
#[cfg(feature = "macro-space")]
mod macro_space;
mod offspring;
mod permutation;
mod reals;
mod ridge;
mod run;
mod rungs;
mod saving;
mod scoring;
mod search;
mod selection;
mod sorting;
mod space;
mod spread;
mod standardised;
mod state;
mod statistics;
mod surrogate;
mod variables;

pub use candidate::{
    Ask, Candidate, CandidateId, ConstrainedValues, Evaluated, ObjectiveValues, Outcome,
};
#[cfg(feature = "macro-space")]
pub use cell_space::CellSpace;
pub use config::{Direction, Mode, Objective, Pace, SearchConfig, Surrogate};
pub use crowding::crowding_distance;
pub use design::{Design, Value};
pub use error::Error;
pub use genes::{Genes, Mutations};
pub use graph::OperationGraph;
pub use hypervolume::hypervolume;
pub use indicators::{igd, igd_plus};
pub use reals::{RealVector, Reals};
pub use search::{Finish, Search};
pub use sorting::non_dominated_sort;
pub use space::{Bits, Space};
pub use statistics::Statistics;
pub use variables::{Variable, VariableKind, Variables};
