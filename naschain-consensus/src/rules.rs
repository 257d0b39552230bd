use serde::{Deserialize, Serialize};

use crate::{Agreement, Error};

/// The rules of a job board. A board's behaviour is a function of its rules, its seed and its
/// events, so these belong beside the seed in whatever repeats a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// How many miners train each job, 2 to 64.
    pub seats: usize,
    /// When their rows agree.
    pub agreement: Agreement,
    /// A lease without a heartbeat ends after this long, in milliseconds.
    pub lease_ms: u64,
    /// A lease ends after this long whatever its heartbeats say, in milliseconds: nobody can
    /// hold a seat for ever.
    pub job_limit_ms: u64,
    /// A miner that holds no lease and says nothing for this long, in milliseconds, is away: the
    /// seats dealt to it are open to all.
    pub away_ms: u64,
    /// How often a rejected job is dealt anew before it is closed as failed.
    #[serde(rename = "max_dealings")]
    pub max_new_rounds: u32,
    /// When nobody agrees, a job first gets more seats up to so many, its rows being kept, if
    /// enough other miners are present; no more than [`Rules::seats`] means never.
    pub escalate_to: usize,
    /// Whether a miner without work takes over seats that others were dealt and have not started.
    #[serde(rename = "take_over")]
    pub work_stealing: bool,
    /// At most so many miners of a job were not drawn for their seats while those that were are
    /// present: they took over or work as second ones. Two seats make an agreement, so with one
    /// at most there is always a miner in it that was drawn at random.
    #[serde(rename = "max_taken_over")]
    pub max_self_selected: usize,
    /// No miner is believed to be more than so many percent as fast as the average: one that
    /// answers sooner, perhaps because it does not train, gets no seat that it was not drawn for
    /// until that speed would have been enough for all that it has been given.
    pub max_speed_percent: u32,
    /// So many leases of a job, for each of its seats, may end without an answer. With one more
    /// it ends: closed if those that have answered agree, else failed.
    pub max_retries: u32,
    /// Whether and when a seat that lags is given to a second miner.
    pub watchdog: Option<Watchdog>,
    /// Epochs of one training, so that heartbeats tell how far it is; 0 when unknown.
    pub epochs: u32,
    /// Whether and when a miner is checked less; nobody is by default.
    pub trust: Option<Trust>,
}

/// When a seat is given to a second miner while the first still works on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Watchdog {
    /// It lags when its estimated duration is more than this many percent of the network's
    /// average for a job of its size.
    pub lag_percent: u32,
    /// At most so many percent of all live leases are copies; one is always allowed.
    #[serde(rename = "max_copies_percent")]
    pub max_speculative_percent: u32,
    /// A lease ends, whatever its heartbeats say, when it has lasted this many percent of the
    /// average and longer than [`Rules::lease_ms`].
    pub stalled_percent: u32,
}

impl Default for Watchdog {
    /// Half as long again as the average, a tenth of all leases; ten times the average.
    fn default() -> Self {
        Watchdog {
            lag_percent: 150,
            max_speculative_percent: 10,
            stalled_percent: 1_000,
        }
    }
}

/// When a miner's jobs shrink to one seat: with probability 1 − 1/v after v ≥ `after_valid`
/// valid answers in a row. One invalid answer ends the run. (Anderson, "BOINC: A Platform for
/// Volunteer Computing", Journal of Grid Computing 18, 2020, calls this adaptive replication.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Trust {
    /// Valid answers in a row, at least 1.
    pub after_valid: u32,
}

impl Default for Trust {
    /// Ten valid answers.
    fn default() -> Self {
        Trust { after_valid: 10 }
    }
}

impl Default for Rules {
    /// The rules of the network: three seats, one percentage point, 60 seconds.
    fn default() -> Self {
        Rules {
            seats: 3,
            agreement: Agreement::default(),
            lease_ms: 60_000,
            job_limit_ms: 24 * 3_600_000,
            away_ms: 120_000,
            max_new_rounds: 3,
            escalate_to: 5,
            work_stealing: true,
            max_self_selected: 1,
            max_speed_percent: 200,
            max_retries: 5,
            watchdog: Some(Watchdog::default()),
            epochs: 0,
            trust: None,
        }
    }
}

impl Rules {
    /// Refuses rules that no board could keep.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] names the first field that is wrong.
    pub fn validate(&self) -> Result<(), Error> {
        if !(2..=64).contains(&self.seats) {
            return Err(Error::out_of_range("seats", self.seats, "2 to 64"));
        }
        if self.escalate_to > 64 {
            return Err(Error::out_of_range(
                "escalate_to",
                self.escalate_to,
                "at most 64",
            ));
        }
        let tolerance = self.agreement.tolerance_hundredths;
        if tolerance > 10_000 {
            return Err(Error::out_of_range(
                "tolerance_hundredths",
                tolerance,
                "at most 10,000",
            ));
        }
        for (name, ms) in [
            ("lease_ms", self.lease_ms),
            ("job_limit_ms", self.job_limit_ms),
            ("away_ms", self.away_ms),
        ] {
            if ms == 0 {
                return Err(Error::out_of_range(name, ms, "at least 1"));
            }
        }
        let stalled = self.watchdog.map(|watchdog| watchdog.stalled_percent);
        for (name, percent) in [
            ("max_speed_percent", Some(self.max_speed_percent)),
            ("stalled_percent", stalled),
        ] {
            if let Some(percent) = percent.filter(|percent| *percent < 100) {
                return Err(Error::out_of_range(name, percent, "at least 100"));
            }
        }
        if self.trust.is_some_and(|trust| trust.after_valid == 0) {
            return Err(Error::out_of_range("after_valid", 0, "at least 1"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_missing_fields_take_them() {
        Rules::default().validate().unwrap();
        let rules: Rules = serde_json::from_str(r#"{"seats": 5}"#).unwrap();
        assert_eq!(rules.seats, 5);
        assert_eq!(rules.lease_ms, Rules::default().lease_ms);
        assert!(serde_json::from_str::<Rules>(r#"{"seat": 5}"#).is_err());
    }

    #[test]
    fn impossible_rules_are_named() {
        let with = |change: fn(&mut Rules)| {
            let mut rules = Rules::default();
            change(&mut rules);
            rules.validate().unwrap_err().to_string()
        };
        assert_eq!(with(|r| r.seats = 1), "seats is 1; it must be 2 to 64");
        assert!(with(|r| r.lease_ms = 0).starts_with("lease_ms is 0"));
        assert!(with(|r| r.trust = Some(Trust { after_valid: 0 })).starts_with("after_valid is 0"));
        assert!(with(|r| r.max_speed_percent = 99).starts_with("max_speed_percent is 99"));
        let stalled = Watchdog {
            stalled_percent: 0,
            ..Watchdog::default()
        };
        let watched = Rules {
            watchdog: Some(stalled),
            ..Rules::default()
        };
        let error = watched.validate().unwrap_err().to_string();
        assert!(error.starts_with("stalled_percent is 0"), "{error}");
        assert!(with(|r| r.escalate_to = 65).starts_with("escalate_to is 65"));
        assert!(with(|r| r.agreement.tolerance_hundredths = 10_001).contains("10001"));
    }
}
