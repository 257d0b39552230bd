//! What the board promises, one promise a test.

mod assignment;
mod harness;
mod leases;
mod retries;
mod settling;
mod trust;
mod watchdog;
mod work_stealing;
