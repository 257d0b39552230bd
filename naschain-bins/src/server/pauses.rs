//! Pauses of addresses that sent wrong results of entrance examinations.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::clock;
use crate::server::problem::ErrorResponse;
use naschain_run::ProblemKind;

/// Number of pauses above which those that are over are forgotten.
const MAX_PAUSES: usize = 20_000;
/// How long an address has to wait after a wrong result; twice as long after each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const MAX_PAUSE: Duration = Duration::from_secs(600);

/// The pause of each address that sent a wrong result; `None` is this machine. All hotkeys of an
/// address share its pause, because hotkeys cost nothing.
#[derive(Default)]
pub(super) struct Pauses(BTreeMap<Option<IpAddr>, Pause>);

struct Pause {
    until: Instant,
    length: Duration,
}

impl Pauses {
    /// An error while the pause of an address lasts.
    pub(super) fn check(&self, from: Option<IpAddr>) -> Result<(), ErrorResponse> {
        let pause = self.0.get(&from);
        let left = pause.map_or(Duration::ZERO, |pause| {
            pause.until.saturating_duration_since(clock::now())
        });
        if left.is_zero() {
            return Ok(());
        }
        let seconds = left.as_secs() + 1;
        let detail = format!(
            "an entrance examination from this address was failed; the next one is possible in {seconds} s"
        );
        Err(ErrorResponse::new(ProblemKind::TooManyRequests, detail).retry_after(seconds))
    }

    /// Ends the pause of an address; a further wrong result is still followed by a longer one.
    pub(super) fn end(&mut self, from: Option<IpAddr>) {
        if let Some(pause) = self.0.get_mut(&from) {
            pause.until = clock::now();
        }
    }

    /// Begins a pause after a wrong result.
    pub(super) fn begin(&mut self, from: Option<IpAddr>) {
        let now = clock::now();
        let before = self.0.get(&from);
        let length = before.map_or(FIRST_PAUSE, |pause| (pause.length * 2).min(MAX_PAUSE));
        let until = now + length;
        self.0.insert(from, Pause { until, length });
        if self.0.len() > MAX_PAUSES {
            self.0.retain(|_, pause| pause.until > now);
        }
    }
}
