//! The one place that reads the clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use naschain_consensus::Millis;

/// Milliseconds that a run has been worked on: time while no genomaster runs does not count, so
/// that leases do not expire while nobody could answer, and changes of the wall clock do nothing.
pub struct RunClock {
    base: Millis,
    started: Instant,
}

impl RunClock {
    /// A clock that goes on from `base`.
    pub fn start(base: Millis) -> RunClock {
        RunClock {
            base,
            started: now(),
        }
    }

    /// The run's time now.
    pub fn now(&self) -> Millis {
        self.base.plus(self.started.elapsed().as_millis() as u64)
    }

    /// How long until the run's time is `then`.
    pub fn until(&self, then: Millis) -> Duration {
        Duration::from_millis(then.since(self.now()))
    }
}

/// Nanoseconds since 1970 by the machine's wall clock: what signed requests carry.
#[allow(clippy::disallowed_methods)] // time is passed in everywhere else
pub fn unix_nanos() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_nanos() as u64)
}

/// The machine's monotonic clock.
#[allow(clippy::disallowed_methods)] // time is passed in everywhere else
pub fn now() -> Instant {
    Instant::now()
}
