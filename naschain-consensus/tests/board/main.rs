//! What the board promises, one promise a test.

mod dealing;
mod desk;
mod leases;
mod settling;
mod trust;
mod watchdog;
