//! A board with a clock, and short methods for what the tests do with it.

use naschain_consensus::{
    Action, Event, Grant, JobBoard, JobId, LeaseId, Millis, MinerId, NoWork, Rejected, Row, Rule,
    Rules,
};
use naschain_core::{Accuracy, Digest, Measurement};

pub(crate) fn id(name: &str) -> MinerId {
    name.parse().unwrap()
}

pub(crate) fn measured(hundredths: u32) -> Measurement {
    Measurement {
        accuracy: Accuracy::from_hundredths(hundredths).unwrap(),
        params: 10,
        flops: 20,
        digest: Digest([(hundredths % 251) as u8; 32]),
    }
}

pub(crate) fn row(hundredths: u32) -> Row {
    Row::Measured(measured(hundredths))
}

/// A board and its clock.
pub(crate) struct Harness {
    pub(crate) board: JobBoard,
    pub(crate) now: u64,
}

impl Harness {
    /// Under the rules of a run from before there were records of miners.
    pub(crate) fn new(mut rules: Rules, miners: &[&str]) -> Harness {
        rules.reputation = None;
        Harness::with_records(rules, miners)
    }

    pub(crate) fn with_records(rules: Rules, miners: &[&str]) -> Harness {
        let board = JobBoard::new(rules, 3).unwrap();
        let mut harness = Harness { board, now: 0 };
        for miner in miners {
            harness.handle(Event::Join { miner: id(miner) });
            // As every miner does after joining.
            harness.handle(Event::Request { miner: id(miner) });
        }
        harness
    }

    pub(crate) fn try_handle(&mut self, event: Event) -> Result<Vec<Action>, Rejected> {
        // Formatting a large board each time takes too long.
        let small = self.board.open_jobs() < 20;
        let before = small.then(|| format!("{:?}", self.board));
        let result = self.board.handle(Millis(self.now), event);
        if let (Err(_), Some(before)) = (&result, before) {
            assert_eq!(before, format!("{:?}", self.board), "rejected, yet changed");
        }
        result
    }

    pub(crate) fn handle(&mut self, event: Event) -> Vec<Action> {
        self.try_handle(event).unwrap()
    }

    pub(crate) fn open(&mut self, job: u64) -> Vec<Option<MinerId>> {
        let job = JobId(job);
        match &self.handle(Event::Open { job, flops: 1_000 })[..] {
            [Action::Assigned { miners, .. }] => miners.clone(),
            other => panic!("{other:?}"),
        }
    }

    /// Requests work; returns the job, lease and grant.
    pub(crate) fn request(&mut self, miner: &str) -> Option<(u64, LeaseId, Grant)> {
        let actions = self.handle(Event::Request { miner: id(miner) });
        actions.into_iter().find_map(|action| match action {
            Action::Leased {
                job, lease, grant, ..
            } => Some((job.0, lease, grant)),
            _ => None,
        })
    }

    pub(crate) fn submit(&mut self, miner: &str, lease: LeaseId, row: Row) -> Vec<Action> {
        self.handle(Event::Submit {
            miner: id(miner),
            lease,
            row,
        })
    }

    /// Requests work and answers at once; returns the last action.
    pub(crate) fn complete(&mut self, miner: &str, row: Row) -> Action {
        let (_, lease, _) = self
            .request(miner)
            .unwrap_or_else(|| panic!("nothing for {miner}"));
        self.submit(miner, lease, row).pop().unwrap()
    }

    pub(crate) fn heartbeat(
        &mut self,
        miner: &str,
        lease: LeaseId,
        epoch: u32,
    ) -> Result<Vec<Action>, Rejected> {
        self.try_handle(Event::Heartbeat {
            miner: id(miner),
            lease,
            epoch,
        })
    }

    /// Requests work for a miner that gets none, and returns the reason.
    pub(crate) fn idle_reason(&mut self, miner: &str) -> NoWork {
        match &self.handle(Event::Request { miner: id(miner) })[..] {
            [Action::Idle { reason, .. }] => *reason,
            other => panic!("{other:?}"),
        }
    }

    /// Lets these miners, who are all that are present, train jobs of one second until all of them
    /// have answered, so that the network's pace is known.
    pub(crate) fn warm_up(&mut self, miners: &[&str], from_job: u64) {
        let mut left: Vec<MinerId> = miners.iter().map(|miner| id(miner)).collect();
        for job in from_job.. {
            let assigned = self.open(job);
            let leases = assigned.iter().flatten().map(|miner| {
                left.retain(|other| other != miner);
                (miner, self.request(miner.as_str()).unwrap().1)
            });
            let leases: Vec<(&MinerId, LeaseId)> = leases.collect();
            self.now += 1_000;
            for (miner, lease) in leases {
                self.submit(miner.as_str(), lease, row(9_000));
            }
            if left.is_empty() {
                break;
            }
        }
    }

    pub(crate) fn points(&self, miner: &str) -> u64 {
        let mut miners = self.board.miners();
        miners
            .find(|(name, ..)| **name == id(miner))
            .unwrap()
            .2
            .points
    }
}

pub(crate) fn exact() -> Rules {
    let mut rules = Rules::default();
    rules.agreement.rule = Rule::Exact;
    rules
}

/// Rules with a change.
pub(crate) fn with(mut rules: Rules, change: impl FnOnce(&mut Rules)) -> Rules {
    change(&mut rules);
    rules
}
