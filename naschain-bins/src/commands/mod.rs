//! The commands of the programs, one file each.

pub mod audit;
pub mod conclude;
pub mod data_check;
pub mod export;
pub mod inspect;
pub mod mine;
pub mod predict;
mod random_trainings;
pub mod retrain;
pub mod search;
pub mod selftest;
pub mod serve;
pub mod speed;
pub mod validate;
