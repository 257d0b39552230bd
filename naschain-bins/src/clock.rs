//! The clocks: the only file that calls `Instant::now` and `SystemTime::now`.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use naschain_consensus::Millis;

/// Time of a run: milliseconds during which a genomaster has been running.
///
/// Downtime does not count, so that leases do not expire while no miner could answer. The clock is
/// monotonic, so changes of the wall clock have no effect.
pub(crate) struct RunClock {
    base: Millis,
    started: Instant,
}

impl RunClock {
    /// Starts a clock at `base`.
    pub(crate) fn start(base: Millis) -> RunClock {
        RunClock {
            base,
            started: now(),
        }
    }

    /// The run's time now.
    pub(crate) fn now(&self) -> Millis {
        self.base.plus(self.started.elapsed().as_millis() as u64)
    }

    /// Takes a pause that has just ended out of the run's time.
    pub(crate) fn leave_out(&mut self, pause: Duration) {
        self.started = now().min(self.started + pause);
    }

    /// Time left until `then`; zero if it has passed.
    pub(crate) fn until(&self, then: Millis) -> Duration {
        Duration::from_millis(then.since(self.now()))
    }
}

/// Nanoseconds since the Unix epoch by the wall clock, as signed requests carry it.
#[allow(clippy::disallowed_methods)] // all other code gets the time from here
pub fn unix_nanos() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_nanos() as u64)
}

/// The monotonic clock.
#[allow(clippy::disallowed_methods)] // all other code gets the time from here
pub fn now() -> Instant {
    Instant::now()
}
