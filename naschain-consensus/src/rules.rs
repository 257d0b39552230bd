//! The rules of a job board, and their ranges.

use serde::{Deserialize, Serialize};

use crate::{Agreement, Error, Referee, Reputation};

/// Maximum number of seats of a job.
const MAX_SEATS: usize = 64;

/// The rules of a job board.
///
/// A board's behaviour is a function of its rules, its seed and its events, so a run that is to be
/// reproducible stores its rules beside its seed. [`Rules::set`] sets a rule by the name of its
/// field.
///
/// ```
/// use naschain_consensus::{JobBoard, Rules};
/// let mut rules = Rules::default();
/// rules.seats = 5;
/// rules.set("watchdog.lag_percent", "200")?;
/// let board = JobBoard::new(rules, 7)?;
/// # Ok::<(), naschain_consensus::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Rules {
    /// Number of miners that train each job, 1 to 64. With one nothing is compared: for runs in which
    /// all miners are trusted.
    pub seats: usize,
    /// When two answers agree.
    pub agreement: Agreement,
    /// A lease expires after this many milliseconds without a heartbeat.
    pub lease_ms: u64,
    /// A lease ends after this many milliseconds even if heartbeats arrive, so that no miner can
    /// hold a seat for ever.
    pub job_limit_ms: u64,
    /// A miner without a lease counts as away after this many milliseconds without a message; the
    /// seats assigned to it go to other miners.
    pub away_ms: u64,
    /// Maximum number of additional rounds, each with other miners, for a job whose answers do not
    /// agree; after those it fails.
    #[serde(rename = "max_dealings")]
    pub max_new_rounds: u32,
    /// A job whose answers do not agree first gets additional seats up to this number; its answers
    /// are kept. It does not when too few other miners are present, or when this is not above
    /// [`Rules::seats`]. At most 64.
    pub escalate_to: usize,
    /// Work stealing: whether an idle miner takes a seat that is assigned to another miner and not
    /// started.
    #[serde(rename = "take_over")]
    pub work_stealing: bool,
    /// Maximum number of self-selected miners of a job: those that stole their seat or train it
    /// speculatively, rather than having been drawn at random. Two answers make an agreement, so
    /// with a maximum of 1 every agreement includes a miner drawn at random.
    ///
    /// Miners that do not train are always idle first. Without this limit and that of
    /// [`Rules::max_speed_percent`] a coalition of a tenth of the miners wins every job, with both
    /// 8 %; the makespan is 1.03 of its lower bound instead of 1.00 (docs/consensus.md).
    #[serde(rename = "max_taken_over")]
    pub max_self_selected: usize,
    /// Highest plausible speed of a miner, in percent of the average. A miner that answers faster,
    /// perhaps because it does not train, gets only seats assigned to it until a miner of this
    /// speed could have trained all that it was given. At least 100.
    pub max_speed_percent: u32,
    /// Maximum number of leases that may end without an answer, for each seat of a job. With one
    /// more the job ends: closed if its answers agree, else failed.
    pub max_retries: u32,
    /// Speculative execution of stragglers and the time limit for stalled leases; `None` for
    /// neither.
    pub watchdog: Option<Watchdog>,
    /// Epochs of a training, from which heartbeats give the progress; 0 if unknown.
    pub epochs: u32,
    /// Adaptive replication; `None`, the default, checks every miner in every job.
    pub trust: Option<Trust>,
    /// Limits on miners without a record. Stored rules without it are those of a run from before it,
    /// which replays as it was.
    #[serde(default = "no_reputation", skip_serializing_if = "Option::is_none")]
    pub reputation: Option<Reputation>,
    /// Whether miners of the reference network, `uid-N`, send no heartbeats: their leases last for
    /// [`Rules::job_limit_ms`], or until the miner requests work again. Not stored when it is off, as
    /// in the runs of earlier versions, which journaled heartbeats in these miners' names.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub silent_uids: bool,
    /// Decides between answers that differ; `None`, the default, leaves that to the majority. Not
    /// stored when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub referee: Option<Referee>,
}

fn no_reputation() -> Option<Reputation> {
    None
}

/// When the seat of a straggler is given to a speculative miner as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Watchdog {
    /// A seat is a straggler when its estimated duration is above this percentage of the network's
    /// average for a job of its size.
    pub lag_percent: u32,
    /// Maximum percentage of active leases that are speculative; one is always allowed.
    #[serde(rename = "max_copies_percent")]
    pub max_speculative_percent: u32,
    /// A lease ends, even if heartbeats arrive, when it has lasted longer than this percentage of
    /// the average and longer than [`Rules::lease_ms`]. At least 100.
    pub stalled_percent: u32,
}

impl Default for Watchdog {
    /// Stragglers from 150 % of the average on, at most 10 % of leases speculative, stalled at
    /// 1,000 % of the average.
    fn default() -> Self {
        Watchdog {
            lag_percent: 150,
            max_speculative_percent: 10,
            stalled_percent: 1_000,
        }
    }
}

/// Adaptive replication: when the jobs of a miner shrink to one seat.
///
/// After v ≥ `after_valid` valid answers in a row they do with probability 1 − 1/v; one invalid
/// answer resets v to 0. (Anderson, "BOINC: A Platform for Volunteer Computing", Journal of Grid
/// Computing 18, 2020.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Trust {
    /// Number of valid answers in a row, at least 1.
    pub after_valid: u32,
}

impl Trust {
    /// Trust after this many valid answers in a row.
    pub fn new(after_valid: u32) -> Self {
        Trust { after_valid }
    }
}

impl Default for Trust {
    /// Ten valid answers.
    fn default() -> Self {
        Trust::new(10)
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
            reputation: Some(Reputation::default()),
            silent_uids: false,
            referee: None,
        }
    }
}

impl Rules {
    /// Checks that every rule is in its range.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] with the first rule that is not.
    pub fn validate(&self) -> Result<(), Error> {
        if !(1..=MAX_SEATS).contains(&self.seats) {
            return Err(Error::out_of_range("seats", self.seats, "1 to 64"));
        }
        if self.escalate_to > MAX_SEATS {
            let found = self.escalate_to;
            return Err(Error::out_of_range("escalate_to", found, "at most 64"));
        }
        let tolerance = self.agreement.tolerance_hundredths;
        if tolerance > 10_000 {
            return Err(Error::out_of_range(
                "agreement.tolerance_hundredths",
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
            ("watchdog.stalled_percent", stalled),
        ] {
            if let Some(percent) = percent.filter(|percent| *percent < 100) {
                return Err(Error::out_of_range(name, percent, "at least 100"));
            }
        }
        if self.trust.is_some_and(|trust| trust.after_valid == 0) {
            return Err(Error::out_of_range("trust.after_valid", 0, "at least 1"));
        }
        if let Some(referee) = self.referee {
            referee.validate(self.seats, &self.agreement)?;
        }
        self.reputation.map_or(Ok(()), |rules| rules.validate())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_fill_missing_fields() {
        Rules::default().validate().unwrap();
        let rules: Rules = serde_json::from_str(r#"{"seats": 5}"#).unwrap();
        assert_eq!(rules.seats, 5);
        assert_eq!(rules.lease_ms, Rules::default().lease_ms);
        assert!(serde_json::from_str::<Rules>(r#"{"seat": 5}"#).is_err());
    }

    #[test]
    fn the_error_names_the_rule_out_of_range() {
        let with = |change: fn(&mut Rules)| {
            let mut rules = Rules::default();
            change(&mut rules);
            rules.validate().unwrap_err().to_string()
        };
        assert_eq!(with(|r| r.seats = 0), "seats is 0; it must be 1 to 64");
        assert!(with(|r| r.lease_ms = 0).starts_with("lease_ms is 0"));
        assert!(with(|r| r.trust = Some(Trust::new(0))).starts_with("trust.after_valid is 0"));
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
        assert!(
            error.starts_with("watchdog.stalled_percent is 0"),
            "{error}"
        );
        assert!(with(|r| r.escalate_to = 65).starts_with("escalate_to is 65"));
        let error = with(|r| r.agreement.tolerance_hundredths = 10_001);
        assert!(
            error.starts_with("agreement.tolerance_hundredths is 10001"),
            "{error}"
        );
        let refereed = |change: fn(&mut Rules)| {
            let mut rules = Rules::default();
            rules.agreement.rule = crate::Rule::Exact;
            rules.referee = Some(Referee::new(1));
            rules.validate().unwrap();
            change(&mut rules);
            rules.validate().unwrap_err().to_string()
        };
        let error = refereed(|r| r.agreement.rule = crate::Rule::Tolerance);
        assert_eq!(
            error,
            "agreement.rule is tolerance; it must be exact where there is a referee"
        );
        let error = refereed(|r| r.seats = 1);
        assert!(
            error.starts_with("seats is 1; it must be at least 2"),
            "{error}"
        );
        let error = refereed(|r| r.referee.as_mut().unwrap().answer_ms = 0);
        assert!(error.starts_with("referee.answer_ms is 0"), "{error}");
        let error = with(|r| r.reputation.as_mut().unwrap().place_ms = 0);
        assert!(error.starts_with("reputation.place_ms is 0"), "{error}");
    }
}
