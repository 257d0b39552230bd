//! The commands of the programs, one file per command.

pub(crate) mod audit;
pub(crate) mod calibration;
pub(crate) mod compare;
pub(crate) mod conclude;
pub(crate) mod data_check;
pub(crate) mod export;
pub(crate) mod inspect;
pub(crate) mod mine;
pub(crate) mod miner_shortage;
pub(crate) mod overfitting;
pub(crate) mod predict;
pub(crate) mod progress;
pub(crate) mod retrain;
pub(crate) mod runs;
pub(crate) mod search;
pub(crate) mod selftest;
pub(crate) mod serve;
pub(crate) mod show;
pub(crate) mod speed;
mod synthetic_trainings;
pub(crate) mod update;
pub(crate) mod validate;
