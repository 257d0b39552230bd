//! NSGA-II on bitstrings or real variables: ask for candidates, tell their outcomes, read the front.
//!
//! ```
//! use naschain_nsga::{Objective, Outcome, Search, SearchConfig};
//!
//! let objectives = vec![Objective::maximize("ones"), Objective::minimize("changes")];
//! let mut search = Search::new(SearchConfig { population: 20, ..SearchConfig::new(24, objectives) })?;
//! while let Some(candidate) = search.ask() {
//!     let bits: Vec<bool> = candidate.genome.bits().collect();
//!     let ones = bits.iter().filter(|bit| **bit).count();
//!     let changes = bits.windows(2).filter(|pair| pair[0] != pair[1]).count();
//!     search.tell(candidate.id, Outcome::objectives([ones as f64, changes as f64]))?;
//! }
//! assert_eq!(search.front()[0].objectives(), Some(&[24.0, 0.0][..]));
//! # Ok::<(), naschain_nsga::Error>(())
//! ```
//!
//! The default search is meant for evaluations that cost, such as trainings: a model of the outcomes so
//! far picks what to try next. Where an evaluation costs next to nothing, set [`Mode::Nsga2`].
//!
//! In reading order:
//! - [`SearchConfig`] with its [`Objective`]s, each in its own [`Direction`]; its [`Mode`] says how
//!   candidates are chosen and its [`Pace`] what they wait for;
//! - [`Search`], which asks for [`Candidate`]s and is told an [`Outcome`] for each [`CandidateId`];
//!   it keeps every [`Evaluated`] one and [`Statistics`] of each generation, and [`Finish`] says why
//!   it ended;
//! - [`Space`], for searching a space of one's own, and [`Genes`], what its genomes are made of
//!   and how they vary ([`Mutations`]); [`Bits`] is the plain space of all bitstrings, [`Reals`]
//!   that of all [`RealVector`]s;
//! - [`non_dominated_sort`] and [`crowding_distance`], which selection rests on;
//! - [`hypervolume`], [`igd`] and [`igd_plus`], which say how good a front is.
//!
//! No IO, no clock; every random number comes from the configuration's seed.

mod acquisition;
mod breeding;
mod candidate;
mod config;
mod crowding;
mod dedup;
mod error;
mod exact;
mod front;
mod genes;
mod hypervolume;
mod indicators;
mod reals;
mod ridge;
mod search;
mod selection;
mod sorting;
mod space;
mod state;
mod statistics;
mod surrogate;

pub use candidate::{Candidate, CandidateId, Evaluated, ObjectiveValues, Outcome};
pub use config::{Direction, Mode, Objective, Pace, SearchConfig};
pub use crowding::crowding_distance;
pub use error::Error;
pub use genes::{Genes, Mutations};
pub use hypervolume::hypervolume;
pub use indicators::{igd, igd_plus};
pub use reals::{RealVector, Reals};
pub use search::{Finish, Search};
pub use sorting::non_dominated_sort;
pub use space::{Bits, Space};
pub use statistics::Statistics;

/// The README's program is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
