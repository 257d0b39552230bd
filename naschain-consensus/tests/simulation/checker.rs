//! What must hold after every step, seen from outside: from events and actions alone.

use std::collections::BTreeMap;

use naschain_consensus::{
    Action, BatchId, Event, Grant, JobBoard, LeaseId, MinerId, Row, Rules, Scoreboard, judge,
};

/// A seat's answers and leases in the present dealing of a batch.
#[derive(Default)]
struct Seat {
    lease: Option<LeaseId>,
    answered: Option<(MinerId, Row)>,
}

#[derive(Default)]
struct Open {
    dealing: u32,
    seats: Vec<Seat>,
}

/// Follows a board and panics when it breaks a promise.
#[derive(Default)]
pub(crate) struct Checker {
    rules: Rules,
    owners: BTreeMap<MinerId, MinerId>,
    open: BTreeMap<BatchId, Open>,
    leases: BTreeMap<LeaseId, (MinerId, BatchId, usize)>,
    granted: u64,
    /// The row of the submission that is being followed.
    submitted: Option<Row>,
    pub(crate) scores: Scoreboard,
    pub(crate) opened: u64,
    pub(crate) closed: u64,
    pub(crate) failed: u64,
    pub(crate) redealt: u64,
    pub(crate) expired: u64,
}

impl Checker {
    pub(crate) fn new(rules: Rules) -> Self {
        Checker {
            rules,
            ..Checker::default()
        }
    }

    /// An event was accepted and had these consequences.
    pub(crate) fn step(&mut self, board: &JobBoard, event: &Event, actions: &[Action]) {
        match event {
            Event::Register {
                miner,
                owner: Some(owner),
                ..
            } => {
                self.owners.insert(miner.clone(), owner.clone());
            }
            Event::Open { .. } => self.opened += 1,
            Event::Submit { miner, lease, row } => {
                let held = self.leases.get(lease);
                assert!(
                    held.is_some_and(|(holder, ..)| holder == miner),
                    "an answer under {lease}, which {miner} does not hold, was counted"
                );
                self.submitted = Some(row.clone());
            }
            _ => {}
        }
        for action in actions {
            self.follow(action);
        }
        assert_eq!(board.open_batches(), self.open.len(), "a job was lost");
        assert_eq!(board.live_leases(), self.leases.len());
        assert_eq!(
            self.opened,
            self.open.len() as u64 + self.closed + self.failed
        );
        assert_eq!(
            board.next_deadline().is_none(),
            board.live_leases() == 0 && nobody(board)
        );
    }

    fn follow(&mut self, action: &Action) {
        match action {
            Action::Dealt { batch, miners } => {
                assert_eq!(miners.len(), self.rules.seats);
                self.deal(*batch, 0, miners);
            }
            Action::Leased {
                miner,
                batch,
                seat,
                lease,
                grant,
                ..
            } => self.leased(miner, *batch, *seat, *lease, grant),
            Action::Filled {
                miner,
                batch,
                seat,
                lease,
            } => {
                self.end_lease(*lease, miner, *batch, *seat);
                let row = self
                    .submitted
                    .take()
                    .expect("a seat filled without an answer");
                let seat = &mut self.open.get_mut(batch).unwrap().seats[*seat];
                assert!(seat.answered.is_none(), "a seat was answered twice");
                seat.answered = Some((miner.clone(), row));
            }
            Action::Expired {
                miner,
                batch,
                seat,
                lease,
            } => {
                self.expired += 1;
                self.end_lease(*lease, miner, *batch, *seat);
            }
            Action::Revoked {
                miner,
                batch,
                seat,
                lease,
            } => self.end_lease(*lease, miner, *batch, *seat),
            Action::Redealt {
                batch,
                dealing,
                verdict,
                miners,
            } => {
                self.redealt += 1;
                let rows = self.rows(*batch);
                let before = &self.open[batch];
                assert_eq!(
                    rows.len(),
                    before.seats.len(),
                    "dealt again before all answered"
                );
                assert_eq!(*dealing, before.dealing + 1);
                assert!(*dealing <= self.rules.max_dealings, "dealt too often");
                assert_eq!(verdict, &judge(&only_rows(&rows), &self.rules.agreement));
                assert!(verdict.consensus.is_none());
                self.deal(*batch, *dealing, miners);
            }
            Action::Closed {
                batch,
                rows,
                verdict,
            } => {
                assert_eq!(&self.rows(*batch), rows, "not the rows that were answered");
                assert_eq!(rows.len(), self.open[batch].seats.len());
                assert_eq!(verdict, &judge(&only_rows(rows), &self.rules.agreement));
                assert!(verdict.consensus.is_some(), "a reward without agreement");
                self.scores.record(rows, verdict);
                self.closed += 1;
                self.end_batch(*batch);
            }
            Action::Failed { batch, rows, .. } => {
                assert_eq!(&self.rows(*batch), rows);
                self.failed += 1;
                self.end_batch(*batch);
            }
            _ => {}
        }
    }

    fn deal(&mut self, batch: BatchId, dealing: u32, miners: &[Option<MinerId>]) {
        let mut owners: Vec<&MinerId> = miners.iter().flatten().map(|m| self.owner(m)).collect();
        owners.sort();
        assert!(
            owners.windows(2).all(|two| two[0] != two[1]),
            "an owner dealt two seats"
        );
        let seats = miners.iter().map(|_| Seat::default()).collect();
        self.open.insert(batch, Open { dealing, seats });
    }

    fn leased(
        &mut self,
        miner: &MinerId,
        batch: BatchId,
        seat: usize,
        lease: LeaseId,
        grant: &Grant,
    ) {
        self.granted += 1;
        assert_eq!(lease, LeaseId(self.granted), "a fencing token out of turn");
        if let Grant::Again { old } = grant {
            self.end_lease(*old, miner, batch, seat);
        }
        let owner = self.owner(miner).clone();
        let open = &self.open[&batch];
        for (index, other) in open.seats.iter().enumerate() {
            let at_work = other.lease.map(|lease| &self.leases[&lease].0);
            let done = other.answered.as_ref().map(|(miner, _)| miner);
            for holder in at_work.into_iter().chain(done) {
                assert_ne!(index, seat, "a seat was given twice");
                assert_ne!(
                    self.owner(holder),
                    &owner,
                    "{owner} holds two seats of {batch}"
                );
            }
        }
        self.leases.insert(lease, (miner.clone(), batch, seat));
        self.open.get_mut(&batch).unwrap().seats[seat].lease = Some(lease);
    }

    fn owner<'a>(&'a self, miner: &'a MinerId) -> &'a MinerId {
        self.owners.get(miner).unwrap_or(miner)
    }

    fn end_lease(&mut self, lease: LeaseId, miner: &MinerId, batch: BatchId, seat: usize) {
        let ended = self.leases.remove(&lease);
        assert_eq!(
            ended,
            Some((miner.clone(), batch, seat)),
            "{lease} ended and was not live"
        );
        self.open.get_mut(&batch).unwrap().seats[seat].lease = None;
    }

    fn end_batch(&mut self, batch: BatchId) {
        let ended = self.open.remove(&batch).expect("a batch ended twice");
        assert!(
            ended.seats.iter().all(|seat| seat.lease.is_none()),
            "a lease outlived its batch"
        );
    }

    fn rows(&self, batch: BatchId) -> Vec<(MinerId, Row)> {
        let open = self.open.get(&batch).expect("a batch ended twice");
        open.seats
            .iter()
            .filter_map(|seat| seat.answered.clone())
            .collect()
    }
}

fn only_rows(rows: &[(MinerId, Row)]) -> Vec<Row> {
    rows.iter().map(|(_, row)| row.clone()).collect()
}

fn nobody(board: &JobBoard) -> bool {
    board.miners().all(|(_, present, _)| !present)
}
