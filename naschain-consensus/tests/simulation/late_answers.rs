//! Invariants of late answers. A late answer is compared with the consensus of its job.

use naschain_consensus::{Action, Finding, judge_late};

use super::Checker;

impl Checker {
    /// Follows late, moved, discarded and compared answers.
    pub(super) fn follow_late_answer(&mut self, action: &Action) {
        match action {
            Action::Late {
                miner,
                job,
                seat,
                lease,
            } => {
                self.end_lease(*lease, miner, *job, *seat);
                let row = self.submitted.take().expect("late, without an answer");
                let open = self.open.get_mut(job).unwrap();
                assert!(
                    open.seats[*seat].answered.is_some(),
                    "late for an empty seat"
                );
                open.late.push((miner.clone(), row));
            }
            Action::Moved {
                miner,
                job,
                from,
                seat,
            } => {
                let open = self.open.get_mut(job).unwrap();
                assert!(open.seats[*from].answered.is_some());
                let at = open.late.iter().position(|(name, _)| name == miner);
                let row = open.late.remove(at.expect("moved, without a late answer"));
                let seat = &mut open.seats[*seat];
                assert!(seat.leases.is_empty());
                assert!(seat.answered.replace(row).is_none());
            }
            Action::Discarded {
                miner,
                job,
                seat,
                lease,
                row,
            } => {
                assert_eq!(self.submitted.take().as_ref(), Some(row));
                // Otherwise it was revoked in this step, because of leases that were due.
                if self.leases.contains_key(lease) {
                    self.end_unanswered(*lease, miner, *job, *seat);
                    assert!(row.measurement().is_none());
                    let others = self.open[job].seats[*seat].leases.len();
                    assert!(others == 1 || self.rules.reputation.is_some());
                }
            }
            Action::LateJudged {
                miner,
                job,
                row,
                finding,
                rewarded,
            } => {
                let found = judge_late(row, &self.consensus[job], &self.agreement());
                assert_eq!(found, *finding);
                if let Some(at) = self.to_check.iter().position(|(name, _)| name == miner) {
                    assert_eq!(&self.to_check.remove(at).1, row);
                    assert_eq!(*rewarded, (found == Finding::Agreed));
                    self.scores.record_late_answer(miner, *rewarded);
                } else {
                    assert_eq!(self.submitted.take().as_ref(), Some(row));
                    assert!(!rewarded, "rewarded after the consensus was public");
                    self.leases
                        .retain(|_, (name, of, _)| name != miner || of != job);
                }
                self.late_judged += 1;
            }
            _ => {}
        }
    }
}
