//! The behaviour of the job board.

mod assignment;
mod harness;
mod leases;
mod referee;
mod retries;
mod settling;
mod strangers;
mod trust;
mod watchdog;
mod work_stealing;
