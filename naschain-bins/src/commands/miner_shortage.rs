//! Warns while a served run has fewer miners than each network needs.

use std::time::{Duration, Instant};

use crate::clock;
use crate::coordinator::Coordinator;
use crate::printable::counted;
use crate::server::index::present_miners;

/// Time between two looks at the miners.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// Time that the missing miners have before the first warning.
const PATIENCE: Duration = Duration::from_secs(30);
/// Time between two warnings.
const WARNING_INTERVAL: Duration = Duration::from_secs(60);

/// Since when miners are missing, and when that was said.
#[derive(Default)]
struct Shortage {
    since: Option<Instant>,
    warned: Option<Instant>,
}

impl Shortage {
    /// Whether a warning is due, if miners are missing `now`.
    fn is_due(&mut self, now: Instant, missing: bool) -> bool {
        if !missing {
            *self = Shortage::default();
            return false;
        }
        let since = *self.since.get_or_insert(now);
        let is_due = match self.warned {
            Some(warned) => now.duration_since(warned) >= WARNING_INTERVAL,
            None => now.duration_since(since) >= PATIENCE,
        };
        if is_due {
            self.warned = Some(now);
        }
        is_due
    }
}

/// Says how many miners each network of a run needs, and warns while some, but not enough, are
/// there; never ends.
pub(crate) async fn warn_of_shortage(coordinator: &Coordinator) {
    let seats = coordinator.spec().rules.seats;
    tracing::info!(
        "each network is trained by {} (--replication); a network needs as many different miners",
        counted(seats, "miner")
    );
    let mut shortage = Shortage::default();
    loop {
        tokio::time::sleep(LOOK_INTERVAL).await;
        let present = coordinator.with_state(present_miners).await;
        let text = waiting_for(present, seats);
        if shortage.is_due(clock::now(), text.is_some()) {
            tracing::warn!("{}", text.unwrap_or_default());
        }
    }
}

/// Says how many miners are missing, if some are. Without any miner nobody waits.
fn waiting_for(present: usize, seats: usize) -> Option<String> {
    let are = if present == 1 { "is" } else { "are" };
    (1..seats).contains(&present).then(|| {
        format!(
            "{} {are} here, each network needs {seats}: waiting for {} more",
            counted(present, "miner"),
            seats - present
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_miners_are_counted() {
        let text = |present| waiting_for(present, 3);
        assert_eq!(
            text(2).unwrap(),
            "2 miners are here, each network needs 3: waiting for 1 more"
        );
        assert_eq!(
            text(1).unwrap(),
            "1 miner is here, each network needs 3: waiting for 2 more"
        );
        assert_eq!([text(0), text(3), text(4)], [None, None, None]);
    }

    #[test]
    fn a_warning_comes_after_a_while_and_then_once_a_minute() {
        let started = clock::now();
        let at = |seconds| started + Duration::from_secs(seconds);
        let mut shortage = Shortage::default();
        for (seconds, missing, expected) in [
            (0, true, false),
            (29, true, false),
            (30, true, true),
            (89, true, false),
            (90, true, true),
            (95, false, false),
            (100, true, false),
            (130, true, true),
        ] {
            let is_due = shortage.is_due(at(seconds), missing);
            assert_eq!(is_due, expected, "after {seconds} s");
        }
    }
}
