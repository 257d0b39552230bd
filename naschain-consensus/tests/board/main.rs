//! What the board promises, one promise a test.

mod dealing;
mod desk;
mod leases;
mod retries;
mod settling;
mod taking_over;
mod trust;
mod watchdog;
