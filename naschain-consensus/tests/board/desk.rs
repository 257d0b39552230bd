//! A board on a desk: short words for what the tests do with it.

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

/// A board and a clock.
pub(crate) struct Desk {
    pub(crate) board: JobBoard,
    pub(crate) now: u64,
}

impl Desk {
    pub(crate) fn new(rules: Rules, miners: &[&str]) -> Desk {
        let board = JobBoard::new(rules, 3).unwrap();
        let mut desk = Desk { board, now: 0 };
        for miner in miners {
            desk.takes(Event::Join { miner: id(miner) });
            // As every miner does that means to work.
            desk.takes(Event::Request { miner: id(miner) });
        }
        desk
    }

    pub(crate) fn tries(&mut self, event: Event) -> Result<Vec<Action>, Rejected> {
        // A picture of a large board takes too long to draw each time.
        let small = self.board.open_jobs() < 20;
        let before = small.then(|| format!("{:?}", self.board));
        let result = self.board.handle(Millis(self.now), event);
        if let (Err(_), Some(before)) = (&result, before) {
            assert_eq!(before, format!("{:?}", self.board), "refused, yet changed");
        }
        result
    }

    pub(crate) fn takes(&mut self, event: Event) -> Vec<Action> {
        self.tries(event).unwrap()
    }

    pub(crate) fn opens(&mut self, job: u64) -> Vec<Option<MinerId>> {
        let job = JobId(job);
        match &self.takes(Event::Open { job, flops: 1_000 })[..] {
            [Action::Dealt { miners, .. }] => miners.clone(),
            other => panic!("{other:?}"),
        }
    }

    /// What a miner is given: job, lease and why.
    pub(crate) fn asks(&mut self, miner: &str) -> Option<(u64, LeaseId, Grant)> {
        let actions = self.takes(Event::Request { miner: id(miner) });
        actions.into_iter().find_map(|action| match action {
            Action::Leased {
                job, lease, grant, ..
            } => Some((job.0, lease, grant)),
            _ => None,
        })
    }

    pub(crate) fn answers(&mut self, miner: &str, lease: LeaseId, row: Row) -> Vec<Action> {
        self.takes(Event::Submit {
            miner: id(miner),
            lease,
            row,
        })
    }

    /// Asks and answers at once; returns the last action.
    pub(crate) fn does(&mut self, miner: &str, row: Row) -> Action {
        let (_, lease, _) = self
            .asks(miner)
            .unwrap_or_else(|| panic!("nothing for {miner}"));
        self.answers(miner, lease, row).pop().unwrap()
    }

    pub(crate) fn beats(
        &mut self,
        miner: &str,
        lease: LeaseId,
        epoch: u32,
    ) -> Result<Vec<Action>, Rejected> {
        self.tries(Event::Heartbeat {
            miner: id(miner),
            lease,
            epoch,
        })
    }

    /// What a miner is told that is given nothing.
    pub(crate) fn waits(&mut self, miner: &str) -> NoWork {
        match &self.takes(Event::Request { miner: id(miner) })[..] {
            [Action::Idle { why, .. }] => *why,
            other => panic!("{other:?}"),
        }
    }

    /// Has these miners, who are all that are present, train jobs for a second each until all
    /// of them have answered, so that the network's pace is known.
    pub(crate) fn warms_up(&mut self, miners: &[&str], from_job: u64) {
        let mut left: Vec<MinerId> = miners.iter().map(|miner| id(miner)).collect();
        for job in from_job.. {
            let dealt = self.opens(job);
            let leases = dealt.iter().flatten().map(|miner| {
                left.retain(|other| other != miner);
                (miner, self.asks(miner.as_str()).unwrap().1)
            });
            let leases: Vec<(&MinerId, LeaseId)> = leases.collect();
            self.now += 1_000;
            for (miner, lease) in leases {
                self.answers(miner.as_str(), lease, row(9_000));
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
