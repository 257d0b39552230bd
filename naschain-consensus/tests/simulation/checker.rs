//! The board's invariants, checked after every step from events and actions alone.

mod disputes;
mod handovers;
mod held_up;
mod late_answers;
mod totals;

use std::collections::{BTreeMap, BTreeSet};

use naschain_consensus::{
    Action, Ending, Event, Failure, Finding, Grant, JobBoard, JobId, LeaseId, MinerId, Row, Rules,
    Scoreboard,
};
use naschain_core::Measurement;

/// A seat's answer and leases in the present round of a job.
#[derive(Default)]
struct Seat {
    leases: Vec<LeaseId>,
    answered: Option<(MinerId, Row)>,
}

#[derive(Default)]
struct Open {
    round: u32,
    /// Number of its leases that ended without an answer.
    abandoned: u32,
    /// Leases, active or answered, of self-selected miners.
    self_selected: Vec<LeaseId>,
    seats: Vec<Seat>,
    /// Late answers.
    late: Vec<(MinerId, Row)>,
}

/// Follows a board and panics if an invariant is violated.
#[derive(Default)]
pub(crate) struct Checker {
    rules: Rules,
    owners: BTreeMap<MinerId, MinerId>,
    open: BTreeMap<JobId, Open>,
    leases: BTreeMap<LeaseId, (MinerId, JobId, usize)>,
    granted: u64,
    /// The answer of the submission that is being processed.
    submitted: Option<Row>,
    /// Late answers of the job that has just closed, which the board must compare with the
    /// consensus.
    to_check: Vec<(MinerId, Row)>,
    consensus: BTreeMap<JobId, Measurement>,
    /// Jobs that were disputed at some time.
    disputed: BTreeSet<JobId>,
    pub(crate) scores: Scoreboard,
    pub(crate) speculative: u64,
    pub(crate) escalated: u64,
    pub(crate) single: u64,
    pub(crate) wrong: u64,
    pub(crate) late_judged: u64,
    pub(crate) opened: u64,
    pub(crate) closed: u64,
    pub(crate) failed: u64,
    pub(crate) new_rounds: u64,
    pub(crate) expired: u64,
    pub(crate) reassigned: u64,
    pub(crate) given_up: u64,
    pub(crate) disputes: u64,
    pub(crate) added: u64,
    pub(crate) asked: u64,
    pub(crate) unanswered: u64,
    pub(crate) called: u64,
}

impl Checker {
    pub(crate) fn new(rules: Rules) -> Self {
        Checker {
            rules,
            ..Checker::default()
        }
    }

    /// Checks an accepted event and its actions.
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
        assert!(self.to_check.is_empty(), "a late answer was forgotten");
        assert!(self.submitted.is_none(), "an answer was forgotten");
        assert_eq!(board.open_jobs(), self.open.len(), "a job was lost");
        assert_eq!(
            board.active_leases(),
            self.leases.len(),
            "{event:?} {actions:?}"
        );
        assert_eq!(
            self.opened,
            self.open.len() as u64 + self.closed + self.failed
        );
        assert_eq!(
            board.next_deadline().is_none(),
            board.active_leases() == 0 && has_no_miner(board) && !board.has_open_questions()
        );
    }

    fn follow(&mut self, action: &Action) {
        match action {
            Action::Assigned { job, miners } => {
                let single = self.rules.trust.is_some() && miners.len() == 1;
                assert!(single || miners.len() == self.rules.seats);
                self.single += u64::from(single);
                self.start_round(*job, 0, miners);
            }
            Action::Leased {
                miner,
                job,
                seat,
                lease,
                grant,
                ..
            } => self.leased(miner, *job, *seat, *lease, grant),
            Action::Filled {
                miner,
                job,
                seat,
                lease,
            } => {
                self.end_lease(*lease, miner, *job, *seat);
                let row = self
                    .submitted
                    .take()
                    .expect("a seat filled without an answer");
                let seat = &mut self.open.get_mut(job).unwrap().seats[*seat];
                assert!(seat.answered.is_none(), "a seat was answered twice");
                seat.answered = Some((miner.clone(), row));
            }
            Action::Expired {
                miner,
                job,
                seat,
                lease,
                reason,
            } => {
                assert!(
                    matches!(reason, Ending::Silent | Ending::TooLong),
                    "{reason}"
                );
                self.expired += 1;
                self.abandoned(*job);
                self.end_unanswered(*lease, miner, *job, *seat);
            }
            Action::Revoked {
                miner,
                job,
                seat,
                lease,
                reason,
            } => {
                if matches!(reason, Ending::Left | Ending::Forgotten) {
                    self.abandoned(*job);
                }
                self.end_unanswered(*lease, miner, *job, *seat);
            }
            Action::Reassigned { job, seat, miner } => self.reassigned(*job, *seat, miner),
            Action::Late { .. }
            | Action::Moved { .. }
            | Action::Discarded { .. }
            | Action::LateJudged { .. } => self.follow_late_answer(action),
            Action::Escalated { .. } | Action::Widened { .. } | Action::NewRound { .. } => {
                self.follow_assignments(action);
            }
            Action::Closed { .. } | Action::Failed { .. } => self.follow_end(action),
            _ => self.follow_dispute(action),
        }
    }

    /// Follows the end of a job.
    fn follow_end(&mut self, action: &Action) {
        match action {
            Action::Closed { job, rows, verdict } => {
                assert_eq!(&self.rows(*job), rows, "not the rows that were answered");
                let open = &self.open[job];
                let given_up = open.abandoned > self.max_abandoned();
                let is_certain = || self.is_certain(rows, open);
                let is_disputed = self.disputed.contains(job);
                assert!(given_up || is_disputed || self.are_enough(rows, open) || is_certain());
                if rows.len() == 1 && !given_up {
                    assert!(self.rules.trust.is_some(), "a reward without agreement");
                    assert_eq!(verdict.findings, [Finding::Trusted]);
                } else {
                    self.check_verdict(*job, rows, verdict);
                }
                let consensus = verdict.consensus.expect("a reward without agreement");
                self.consensus.insert(*job, consensus);
                self.scores.record(rows, verdict);
                self.closed += 1;
                self.to_check = self.open[job].late.clone();
                self.end_job(*job);
            }
            Action::Failed {
                job, rows, failure, ..
            } => {
                assert_eq!(&self.rows(*job), rows);
                let open = &self.open[job];
                if let Failure::Abandoned { leases, .. } = failure {
                    // Those of miners without a good record do not count.
                    assert!(*leases <= open.abandoned);
                    assert!(self.rules.reputation.is_some() || *leases == open.abandoned);
                    assert!(*leases > self.max_abandoned());
                    let is_first = *leases == self.max_abandoned() + 1;
                    assert!(is_first || self.disputed.contains(job));
                    self.given_up += 1;
                } else {
                    let few = open.abandoned <= self.max_abandoned();
                    assert!(few || self.rules.reputation.is_some());
                }
                self.failed += 1;
                self.end_job(*job);
                let outlived = self.leases.values().any(|(_, other, _)| other == job);
                assert!(!outlived, "a lease outlived its failed job");
            }
            _ => {}
        }
    }

    /// Follows a job that gets additional seats or a new round.
    fn follow_assignments(&mut self, action: &Action) {
        match action {
            Action::Escalated {
                job,
                verdict,
                miners,
            } => {
                self.escalated += 1;
                let rows = self.rows(*job);
                let seats = self.open[job].seats.len();
                // A seat that was added after a dispute may still be open.
                assert!(rows.len() == seats || self.disputed.contains(job));
                self.check_verdict(*job, &rows, verdict);
                assert!(verdict.consensus.is_none());
                assert_eq!(seats + miners.len(), self.rules.escalate_to);
                self.add_seats(*job, miners);
            }
            Action::Widened { job, miners } => {
                assert!(self.rules.trust.is_some());
                assert_eq!(1 + miners.len(), self.rules.seats);
                self.add_seats(*job, miners);
            }
            Action::NewRound {
                job,
                round,
                verdict,
                miners,
            } => {
                self.new_rounds += 1;
                let rows = self.rows(*job);
                let before = &self.open[job];
                assert!(
                    self.are_enough(&rows, before),
                    "a new round before all answered"
                );
                assert_eq!(*round, before.round + 1);
                assert!(*round <= self.rules.max_new_rounds, "too many rounds");
                self.check_verdict(*job, &rows, verdict);
                assert!(verdict.consensus.is_none());
                assert!(before.seats.iter().all(|seat| seat.leases.is_empty()));
                self.start_round(*job, *round, miners);
            }
            _ => {}
        }
    }

    fn add_seats(&mut self, job: JobId, miners: &[Option<MinerId>]) {
        let open = &self.open[&job];
        for miner in miners.iter().flatten() {
            let of_owner = |held: &MinerId| self.owner(held) == self.owner(miner);
            let answered = open.seats.iter().filter_map(|seat| seat.answered.as_ref());
            assert!(
                !answered.map(|(held, _)| held).any(of_owner),
                "assigned a second seat"
            );
        }
        let seats = miners.iter().map(|_| Seat::default());
        self.open.get_mut(&job).unwrap().seats.extend(seats);
    }

    fn start_round(&mut self, job: JobId, round: u32, miners: &[Option<MinerId>]) {
        let mut owners: Vec<&MinerId> = miners.iter().flatten().map(|m| self.owner(m)).collect();
        owners.sort();
        let twice = owners.windows(2).any(|two| two[0] == two[1]);
        assert!(!twice, "an owner was assigned two seats");
        let abandoned = self.open.get(&job).map_or(0, |before| before.abandoned);
        let open = Open {
            round,
            abandoned,
            seats: miners.iter().map(|_| Seat::default()).collect(),
            ..Open::default()
        };
        self.open.insert(job, open);
    }

    fn leased(&mut self, miner: &MinerId, job: JobId, seat: usize, lease: LeaseId, grant: &Grant) {
        self.granted += 1;
        assert_eq!(lease, LeaseId(self.granted), "a fencing token out of turn");
        if let Grant::Reissued { old } = grant {
            self.end_lease(*old, miner, job, seat);
        }
        let is_speculative = matches!(grant, Grant::Speculative { .. });
        self.speculative += u64::from(is_speculative);
        self.count_self_selected(job, lease, grant);
        let owner = self.owner(miner).clone();
        let open = &self.open[&job];
        for (index, other) in open.seats.iter().enumerate() {
            let at_work = other.leases.iter().map(|lease| &self.leases[lease].0);
            let done = other.answered.as_ref().map(|(miner, _)| miner);
            if index == seat {
                assert!(done.is_none(), "an answered seat was given away");
                assert_eq!(
                    other.leases.len(),
                    usize::from(is_speculative),
                    "a seat was given twice"
                );
            }
            for holder in at_work.chain(done) {
                assert_ne!(
                    self.owner(holder),
                    &owner,
                    "{owner} holds two seats of {job}"
                );
            }
        }
        self.leases.insert(lease, (miner.clone(), job, seat));
        let open = self.open.get_mut(&job).unwrap();
        open.seats[seat].leases.push(lease);
    }

    fn owner<'a>(&'a self, miner: &'a MinerId) -> &'a MinerId {
        self.owners.get(miner).unwrap_or(miner)
    }

    fn end_lease(&mut self, lease: LeaseId, miner: &MinerId, job: JobId, seat: usize) {
        let ended = self.leases.remove(&lease);
        assert_eq!(
            ended,
            Some((miner.clone(), job, seat)),
            "{lease} ended and was not active"
        );
        if let Some(open) = self.open.get_mut(&job) {
            open.seats[seat].leases.retain(|active| *active != lease);
        }
    }

    fn end_job(&mut self, job: JobId) {
        let ended = self.open.remove(&job).expect("a job ended twice");
        for seat in ended.seats.iter().filter(|seat| seat.answered.is_none()) {
            assert!(seat.leases.is_empty(), "a lease outlived its job");
        }
    }

    fn rows(&self, job: JobId) -> Vec<(MinerId, Row)> {
        let open = self.open.get(&job).expect("a job ended twice");
        open.seats
            .iter()
            .filter_map(|seat| seat.answered.clone())
            .collect()
    }
}

fn only_rows(rows: &[(MinerId, Row)]) -> Vec<Row> {
    rows.iter().map(|(_, row)| row.clone()).collect()
}

fn has_no_miner(board: &JobBoard) -> bool {
    board.miners().all(|(_, present, _)| !present)
}
