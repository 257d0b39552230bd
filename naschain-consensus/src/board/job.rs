//! A job, its seats and their states.

use serde::{Deserialize, Serialize};

use naschain_core::Measurement;

use super::dispute::{DisputableSteps, Dispute};
use super::roster::{MinerIndex, OwnerIndex};
use crate::{Finding, JobId, LeaseId, Row, Rules, TrainingPart};

/// An open job.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct OpenJob {
    pub(super) id: JobId,
    pub(super) flops: u64,
    /// Counted from 0.
    pub(super) round: u32,
    pub(super) seats: Vec<Seat>,
    /// Number of times that one of its seats was reassigned.
    pub(super) reassignments: u32,
    /// Number of miners of this round that were not drawn for their seats: they stole them or train
    /// them speculatively.
    pub(super) self_selected: usize,
    /// Its ticket in the queue of jobs with a seat that may be stolen.
    pub(super) stealable: Option<u64>,
    /// Number of its leases that ended without an answer, in all rounds.
    pub(super) abandoned: u32,
    /// Owners that had a seat in an earlier round, or abandoned one.
    pub(super) former_owners: Vec<OwnerIndex>,
    /// The epochs that it trains; `None` for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) part: Option<TrainingPart>,
    /// Miners that are preferred for the first seats but the last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) preferred: Vec<MinerIndex>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) dispute: Option<Box<Dispute>>,
}

impl OpenJob {
    /// Number of epochs that it trains.
    pub(super) fn epochs(&self, rules: &Rules) -> u32 {
        let part = self
            .part
            .map(|part| part.until_epoch.saturating_sub(part.from_epoch));
        part.unwrap_or(rules.epochs)
    }

    /// FLOPs of its training from the start.
    pub(super) fn flops_from_start(&self) -> u64 {
        self.part.map_or(self.flops, |part| {
            let own = u128::from(part.until_epoch.saturating_sub(part.from_epoch).max(1));
            let flops = u128::from(self.flops) * u128::from(part.until_epoch) / own;
            u64::try_from(flops).unwrap_or(u64::MAX)
        })
    }

    /// The steps of its training that answers can part at; both ends are 0 without a referee.
    pub(super) fn disputable(&self, rules: &Rules) -> DisputableSteps {
        let all = rules.referee.map_or(0, |referee| referee.steps);
        let each = all / u64::from(rules.epochs.max(1));
        let Some(part) = self.part else {
            return DisputableSteps::of_whole_training(all);
        };
        DisputableSteps {
            first: each * u64::from(part.from_epoch),
            last: each * u64::from(part.until_epoch),
            first_state: part.from_state,
            pauses: part.until_epoch < rules.epochs,
        }
    }

    /// The measurements that have not lost a dispute, with their seats.
    pub(super) fn standing(&self) -> impl Iterator<Item = (usize, Measurement)> {
        let measured = |(seat, state): (usize, &Seat)| {
            let (_, row) = state.answer()?;
            Some((seat, *row.measurement()?))
        };
        let seats = self.seats.iter().enumerate().filter_map(measured);
        seats.filter(|(seat, _)| self.has_lost(*seat).is_none())
    }

    /// The different measurements that have not lost a dispute, each with its seats, in the order of
    /// seats.
    pub(super) fn claims(&self) -> Vec<(Measurement, Vec<usize>)> {
        let mut claims: Vec<(Measurement, Vec<usize>)> = Vec::new();
        for (seat, own) in self.standing() {
            match claims.iter_mut().find(|(found, _)| *found == own) {
                Some((_, seats)) => seats.push(seat),
                None => claims.push((own, vec![seat])),
            }
        }
        claims
    }

    /// Why the answer of a seat has lost a dispute, if it has.
    pub(super) fn has_lost(&self, seat: usize) -> Option<Finding> {
        self.dispute.as_ref()?.lost.get(&seat).copied()
    }

    /// Whether a dispute is under way.
    pub(super) fn is_disputed(&self) -> bool {
        let dispute = self.dispute.as_ref();
        dispute.is_some_and(|dispute| dispute.sides.is_some())
    }

    /// Whether a miner may steal one of its seats or train one speculatively. Not where a referee has
    /// the job checked by an additional miner, which has to be drawn at random.
    pub(super) fn may_be_self_selected(&self, rules: &Rules) -> bool {
        let is_checked = rules.referee.is_some() && self.seats.len() > rules.seats;
        self.self_selected < rules.max_self_selected && !is_checked
    }

    /// The reasons of the failed trainings among the answers.
    pub(super) fn failure_reasons(&self) -> Vec<String> {
        let rows = self.seats.iter().filter_map(Seat::answer);
        let reasons = rows.filter_map(|(_, row)| match row {
            Row::Failed(reason) => Some(reason.clone()),
            Row::Measured(_) | Row::Malformed(_) => None,
        });
        reasons.collect()
    }
}

/// The state of a seat.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Seat {
    /// No miner could be drawn for it. The ticket is its position in the queue of open seats.
    Open { ticket: u64 },
    /// A miner was drawn for it and has not started.
    Assigned { to: MinerIndex },
    /// A miner trains, and perhaps a second one speculatively.
    Leased {
        worker: Worker,
        speculative: Option<Worker>,
    },
    /// A miner has answered; the other one that trained for the seat, if any, is late.
    Answered {
        miner: MinerIndex,
        row: Box<Row>,
        late: Option<Box<Late>>,
    },
}

/// A miner that trains, and its lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Worker {
    pub(super) miner: MinerIndex,
    pub(super) lease: LeaseId,
}

/// The second answer for a seat, which is compared with the consensus.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Late {
    Training(Worker),
    Answered { miner: MinerIndex, row: Row },
}

impl Seat {
    /// The miners that hold the seat, whether assigned, training or done: up to two.
    pub(super) fn holders(&self) -> impl Iterator<Item = MinerIndex> {
        let (first, second) = match self {
            Seat::Open { .. } => (None, None),
            Seat::Assigned { to } => (Some(*to), None),
            Seat::Leased {
                worker,
                speculative,
            } => (
                Some(worker.miner),
                speculative.map(|speculative| speculative.miner),
            ),
            Seat::Answered { miner, late, .. } => {
                let late = late.as_deref().map(|late| match late {
                    Late::Training(worker) => worker.miner,
                    Late::Answered { miner, .. } => *miner,
                });
                (Some(*miner), late)
            }
        };
        first.into_iter().chain(second)
    }

    pub(super) fn is_assigned(&self) -> bool {
        matches!(self, Seat::Assigned { .. })
    }

    pub(super) fn is_leased(&self) -> bool {
        matches!(self, Seat::Leased { .. })
    }

    /// The answer that fills the seat.
    pub(super) fn answer(&self) -> Option<(MinerIndex, &Row)> {
        match self {
            Seat::Answered { miner, row, .. } => Some((*miner, row)),
            Seat::Open { .. } | Seat::Assigned { .. } | Seat::Leased { .. } => None,
        }
    }
}
