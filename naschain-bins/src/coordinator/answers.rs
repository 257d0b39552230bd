//! The latest answers, so that a repeated answer can be distinguished from a different answer under
//! the same lease.

use std::collections::BTreeMap;

use naschain_consensus::{Event, LeaseId, Row};

/// Number of answers that are remembered; a miner repeats an answer within minutes.
const MAX_ANSWERS: usize = 50_000;

/// Digests of the latest answers by lease.
#[derive(Default)]
pub(crate) struct Answers(BTreeMap<LeaseId, blake3::Hash>);

impl Answers {
    /// Remembers the answer in an event that was applied, if it is one.
    pub(crate) fn remember(&mut self, event: &Event) {
        if let Event::Submit { lease, row, .. } = event {
            self.0.insert(*lease, digest(row));
            if self.0.len() > MAX_ANSWERS {
                self.0.pop_first();
            }
        }
    }

    /// Whether another answer is known under this lease.
    pub(crate) fn differs(&self, lease: LeaseId, row: &Row) -> bool {
        self.0
            .get(&lease)
            .is_some_and(|known| *known != digest(row))
    }
}

fn digest(row: &Row) -> blake3::Hash {
    blake3::hash(&serde_json::to_vec(row).expect("a row is plain data"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn submit(lease: u64, text: &str) -> Event {
        Event::Submit {
            miner: "ada".parse().unwrap(),
            lease: LeaseId(lease),
            row: Row::Failed(text.to_owned()),
        }
    }

    #[test]
    fn different_answers_are_distinguished_from_repeats_and_memory_is_bounded() {
        let mut answers = Answers::default();
        answers.remember(&submit(1, "a"));
        let row = |text: &str| Row::Failed(text.to_owned());
        assert!(!answers.differs(LeaseId(1), &row("a")) && answers.differs(LeaseId(1), &row("b")));
        assert!(!answers.differs(LeaseId(2), &row("b")));
        for lease in 2..=MAX_ANSWERS as u64 + 10 {
            answers.remember(&submit(lease, "a"));
        }
        assert_eq!(answers.0.len(), MAX_ANSWERS);
    }
}
