//! How jobs and trainings end.

use naschain_consensus::{Failure, Finding};

/// How a job has ended, or that it has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JobOutcome {
    /// It has not ended.
    Open,
    /// All answers agreed.
    Agreed,
    /// Some agreed; the others are not rewarded.
    Majority,
    /// The referee has decided.
    Disputed,
    /// The training itself failed.
    Failed,
    /// No answers agreed.
    Rejected,
    /// Too many leases ended without an answer.
    Abandoned,
}

impl JobOutcome {
    /// All, in the order of their numbers in [`crate::RecordColumns`].
    pub const ALL: [JobOutcome; 7] = [
        JobOutcome::Open,
        JobOutcome::Agreed,
        JobOutcome::Majority,
        JobOutcome::Disputed,
        JobOutcome::Failed,
        JobOutcome::Rejected,
        JobOutcome::Abandoned,
    ];

    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            JobOutcome::Open => "open",
            JobOutcome::Agreed => "agreed",
            JobOutcome::Majority => "majority",
            JobOutcome::Disputed => "disputed",
            JobOutcome::Failed => "failed",
            JobOutcome::Rejected => "rejected",
            JobOutcome::Abandoned => "abandoned",
        }
    }

    /// That of an ended job with these answers, each as whether it agreed and the finding on it.
    pub fn of<'a>(
        answers: impl Iterator<Item = (bool, &'a Finding)>,
        failure: Option<&Failure>,
    ) -> JobOutcome {
        match failure {
            Some(Failure::TrainingFailed { .. }) => return JobOutcome::Failed,
            Some(Failure::Abandoned { .. }) => return JobOutcome::Abandoned,
            Some(_) => return JobOutcome::Rejected,
            None => {}
        }
        let mut outcome = JobOutcome::Agreed;
        for (agreed, finding) in answers {
            if matches!(
                finding,
                Finding::Refuted | Finding::Silent | Finding::Contradicted
            ) {
                return JobOutcome::Disputed;
            }
            if !agreed {
                outcome = JobOutcome::Majority;
            }
        }
        outcome
    }
}

/// How a training at a seat has ended, or that it has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SeatOutcome {
    /// The miner trains.
    Training,
    /// It has answered; the job is open.
    Answered,
    /// Its answer is rewarded.
    Agreed,
    /// Its answer is not rewarded.
    Rejected,
    /// Its lease ran out.
    Expired,
    /// Its work was no longer needed, or the miner left.
    Released,
}

impl SeatOutcome {
    /// All, in the order of their numbers in [`crate::SeatColumns`].
    pub const ALL: [SeatOutcome; 6] = [
        SeatOutcome::Training,
        SeatOutcome::Answered,
        SeatOutcome::Agreed,
        SeatOutcome::Rejected,
        SeatOutcome::Expired,
        SeatOutcome::Released,
    ];

    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            SeatOutcome::Training => "training",
            SeatOutcome::Answered => "answered",
            SeatOutcome::Agreed => "agreed",
            SeatOutcome::Rejected => "rejected",
            SeatOutcome::Expired => "expired",
            SeatOutcome::Released => "released",
        }
    }
}
