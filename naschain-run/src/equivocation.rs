//! A genomaster's signed heads, and the proof that it has signed two histories of one run.

use naschain_core::Digest;
use serde::{Deserialize, Serialize};

use crate::ended_job::EndedJob;
use crate::history_chain::{HistoryChain, HistoryHead, next_job_hash, statement};
use naschain_identity::{is_signed_by, parse_signature};

/// A genomaster's signature under its history of a run, as validators exchange it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedHead {
    /// The run.
    pub run: Digest,
    /// Number of jobs of the history.
    #[serde(rename = "batches")]
    pub jobs: usize,
    /// Its hash.
    #[serde(rename = "link")]
    pub hash: Digest,
    /// The genomaster's address.
    pub hotkey: String,
    /// Its signature; see [`HistoryHead`].
    pub signature: String,
}

impl SignedHead {
    /// The head of a run's history of this length, if it is signed.
    pub fn new(run: Digest, jobs: usize, head: &HistoryHead) -> Option<SignedHead> {
        Some(SignedHead {
            run,
            jobs,
            hash: head.hash,
            hotkey: head.hotkey.clone()?,
            signature: head.signature.clone()?,
        })
    }

    /// Whether the signature is that of `hotkey`.
    pub fn is_signed(&self) -> bool {
        let statement = statement(self.run, self.jobs, self.hash);
        parse_signature(&self.signature)
            .is_some_and(|bytes| is_signed_by(&self.hotkey, statement.as_bytes(), &bytes))
    }
}

/// The proof that a genomaster has signed two histories of one run: two heads, of which the later one
/// does not continue the earlier one. Anybody can check it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Equivocation {
    /// The head of the shorter history.
    pub first: SignedHead,
    /// The head of the other history, which is at least as long.
    pub second: SignedHead,
    /// The hash of the other history at the length of the shorter one.
    #[serde(rename = "link")]
    pub hash: Digest,
    /// The jobs of the other history from there on. Empty if both are of the same length.
    #[serde(rename = "batches")]
    pub jobs: Vec<EndedJob>,
}

/// Why two heads do not prove two histories.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoEquivocation {
    /// They are of different runs or genomasters.
    #[error("the heads are of different runs or genomasters")]
    Different,
    /// A signature is invalid.
    #[error("the head of {jobs} jobs is not signed by {hotkey}")]
    Unsigned {
        /// Number of jobs.
        jobs: usize,
        /// The address that should have signed.
        hotkey: String,
    },
    /// The later history continues the earlier one.
    #[error("the history of {second} jobs continues that of {first}")]
    Continues {
        /// Length of the first history.
        first: usize,
        /// Length of the second one.
        second: usize,
    },
    /// The jobs do not lead to the second head.
    #[error("the jobs do not lead to the head of {jobs} jobs")]
    Broken {
        /// Length of the second history.
        jobs: usize,
    },
}

impl Equivocation {
    /// Compares a head with a later one of the history `ended`, whose chain is `chain`. `None` if
    /// the history continues the head, or if this does not prove anything.
    pub fn find(
        head: &SignedHead,
        later: &SignedHead,
        chain: &HistoryChain,
        ended: &[EndedJob],
    ) -> Option<Equivocation> {
        // First the cheap checks: heads come from anybody, and a history may be long.
        if chain.hash_at(head.jobs)? == head.hash || !head.is_signed() {
            return None;
        }
        let found = Equivocation {
            first: head.clone(),
            second: later.clone(),
            hash: chain.hash_at(head.jobs)?,
            jobs: ended.get(head.jobs..later.jobs)?.to_vec(),
        };
        found.check().is_ok().then_some(found)
    }

    /// Verifies the proof.
    ///
    /// # Errors
    /// [`NoEquivocation`] if it does not prove that one genomaster has signed two histories.
    pub fn check(&self) -> Result<(), NoEquivocation> {
        let (first, second) = (&self.first, &self.second);
        if first.run != second.run || first.hotkey != second.hotkey {
            return Err(NoEquivocation::Different);
        }
        for head in [first, second] {
            if !head.is_signed() {
                return Err(NoEquivocation::Unsigned {
                    jobs: head.jobs,
                    hotkey: head.hotkey.clone(),
                });
            }
        }
        if first.hash == self.hash {
            return Err(NoEquivocation::Continues {
                first: first.jobs,
                second: second.jobs,
            });
        }
        let leads_to = self.jobs.iter().fold(self.hash, next_job_hash);
        if first.jobs.checked_add(self.jobs.len()) != Some(second.jobs) || leads_to != second.hash {
            return Err(NoEquivocation::Broken { jobs: second.jobs });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use naschain_consensus::{JobId, Row, judge};
    use naschain_identity::Hotkey;

    const RUN: Digest = Digest([9; 32]);

    /// A history whose jobs from `forked` on differ from those of another fork.
    fn history(length: u64, forked: u64, fork: &str) -> (Vec<EndedJob>, HistoryChain) {
        let job = |number| {
            let reason = if number < forked { "same" } else { fork };
            let row = Row::Failed(reason.to_owned());
            EndedJob {
                job: JobId(number),
                genome: "01".parse().unwrap(),
                verdict: judge(std::slice::from_ref(&row), &Default::default()),
                rows: vec![("a".parse().unwrap(), row)],
                failure: None,
                proofs: Vec::new(),
            }
        };
        let jobs: Vec<_> = (0..length).map(job).collect();
        let mut chain = HistoryChain::new(RUN);
        chain.follow(&jobs);
        (jobs, chain)
    }

    fn signed(chain: &HistoryChain, seed: u8) -> SignedHead {
        let head = chain.head(Some(&Hotkey::from_seed(&[seed; 32])));
        SignedHead::new(RUN, chain.length(), &head).unwrap()
    }

    #[test]
    fn two_histories_are_proven_at_equal_and_at_different_lengths() {
        let (_, short) = history(3, 2, "left");
        for length in [3, 5] {
            let (jobs, long) = history(length, 2, "right");
            let found = Equivocation::find(&signed(&short, 1), &signed(&long, 1), &long, &jobs);
            let found = found.unwrap();
            assert_eq!(found.jobs.len(), length as usize - 3);
            let text = serde_json::to_string(&found).unwrap();
            assert_eq!(serde_json::from_str::<Equivocation>(&text).unwrap(), found);
        }
    }

    #[test]
    fn an_honest_or_a_foreign_head_proves_nothing() {
        let (jobs, long) = history(5, 2, "right");
        let (_, same) = history(2, 2, "left");
        let (_, other) = history(3, 2, "left");
        let later = signed(&long, 1);
        let find = |head: &SignedHead| Equivocation::find(head, &later, &long, &jobs);
        assert_eq!(find(&signed(&same, 1)), None);
        assert_eq!(find(&signed(&other, 2)), None);
        let mut forged = signed(&other, 2);
        forged.hotkey = later.hotkey.clone();
        assert_eq!(find(&forged), None);
        let (_, ahead) = history(9, 2, "left");
        assert_eq!(find(&signed(&ahead, 1)), None);
    }

    #[test]
    fn a_changed_proof_is_refused() {
        let (_, short) = history(3, 2, "left");
        let (jobs, long) = history(5, 2, "right");
        let found = Equivocation::find(&signed(&short, 1), &signed(&long, 1), &long, &jobs);
        let found = found.unwrap();
        let broken = |change: &dyn Fn(&mut Equivocation)| {
            let mut proof = found.clone();
            change(&mut proof);
            proof.check().unwrap_err()
        };
        // An invented hash would make any honest history look like a second one.
        let other_hash = broken(&|proof| proof.hash = Digest([0; 32]));
        assert_eq!(other_hash, NoEquivocation::Broken { jobs: 5 });
        let fewer = broken(&|proof| drop(proof.jobs.pop()));
        assert_eq!(fewer, NoEquivocation::Broken { jobs: 5 });
        let unsigned = broken(&|proof| proof.first.jobs = 4);
        assert!(matches!(unsigned, NoEquivocation::Unsigned { jobs: 4, .. }));
        let other_run = broken(&|proof| proof.second.run = Digest([1; 32]));
        assert_eq!(other_run, NoEquivocation::Different);
    }
}
