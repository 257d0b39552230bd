//! The behaviour of the job board.

mod assignment;
mod harness;
mod leases;
mod questions;
mod referee;
mod retries;
mod settling;
mod strangers;
mod training;
mod trust;
mod watchdog;
mod work_stealing;
