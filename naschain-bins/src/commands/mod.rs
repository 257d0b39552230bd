//! The commands of the programs, one file per command.

pub mod audit;
pub mod conclude;
pub mod data_check;
pub mod export;
pub mod inspect;
pub mod mine;
pub mod predict;
pub mod retrain;
pub mod search;
pub mod selftest;
pub mod serve;
pub mod speed;
mod synthetic_trainings;
pub mod validate;
