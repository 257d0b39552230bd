//! Invariants of disputes, from events and actions alone.

use naschain_consensus::{Action, Agreement, Finding, JobId, MinerId, Row, Verdict, judge};

use super::{Checker, Seat, only_rows};

impl Checker {
    /// When answers agree: where there is a referee, only if they are equal.
    pub(super) fn agreement(&self) -> Agreement {
        let mut agreement = self.rules.agreement;
        if self.rules.referee.is_some() {
            agreement.tolerance_hundredths = 0;
        }
        agreement
    }

    /// Asserts that a verdict follows from the answers, as far as they decide.
    pub(super) fn check_verdict(&self, job: JobId, rows: &[(MinerId, Row)], verdict: &Verdict) {
        if !self.disputed.contains(&job) {
            assert_eq!(verdict, &judge(&only_rows(rows), &self.agreement()));
            return;
        }
        let judged = verdict.agreed.iter().zip(&verdict.findings);
        for ((_, row), (agreed, finding)) in rows.iter().zip(judged) {
            assert_eq!(*agreed, *finding == Finding::Agreed);
            assert!(!agreed || row.measurement() == verdict.consensus.as_ref());
            let is_measured = row.measurement().is_some();
            let is_decided = *agreed || has_lost(*finding);
            assert!(verdict.consensus.is_none() || !is_measured || is_decided);
        }
    }

    pub(super) fn follow_dispute(&mut self, action: &Action) {
        match action {
            Action::Disputed { job, claims } => {
                self.disputes += 1;
                assert!(claims.len() > 1 && claims.iter().all(|claim| !claim.is_empty()));
                self.disputed.insert(*job);
            }
            Action::SeatAdded { job, seat, .. } => {
                let seats = &mut self.open.get_mut(job).unwrap().seats;
                assert_eq!(seats.len(), *seat);
                seats.push(Seat::default());
                self.added += 1;
            }
            Action::Asked { .. } => self.asked += 1,
            Action::Unanswered { .. } => self.unanswered += 1,
            Action::RefereeCalled { .. } => self.called += 1,
            Action::Ruled { refuted, .. } => assert!(!refuted.is_empty()),
            _ => {}
        }
    }
}

fn has_lost(finding: Finding) -> bool {
    matches!(
        finding,
        Finding::Refuted | Finding::Silent | Finding::Contradicted
    )
}
