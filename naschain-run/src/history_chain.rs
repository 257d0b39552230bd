//! The jobs that have ended, chained by BLAKE3 and signed by their genomaster, so that a
//! validator notices when a genomaster tells two histories.

use naschain_core::Digest;
use serde::{Deserialize, Serialize};

use crate::closed_job::ClosedJob;
use naschain_identity::{Hotkey, is_signed_by, parse_signature};

/// The links of a run's jobs, so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryChain {
    run: Digest,
    length: usize,
    hash: Digest,
}

/// The end of a chain, as the genomaster vouches for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoryHead {
    /// The latest link: BLAKE3 of the one before and the job's JSON; the first one before is
    /// the run's digest.
    #[serde(rename = "link")]
    pub hash: Digest,
    /// The genomaster's address, if it has one.
    pub hotkey: Option<String>,
    /// Its signature under four lines: `naschain/batches/1`, the run's digest, the number of
    /// jobs, and the link; in hexadecimal after `0x`.
    pub signature: Option<String>,
}

impl HistoryChain {
    /// The chain of a run in which nothing has ended.
    pub fn new(run: Digest) -> HistoryChain {
        let (length, hash) = (0, run);
        HistoryChain { run, length, hash }
    }

    /// Adds those of `closed`, all that have ended in order, that are not in it yet.
    pub fn follow(&mut self, closed: &[ClosedJob]) {
        for job in closed.iter().skip(self.length) {
            let json = serde_json::to_vec(job).expect("a job is plain data");
            let mut hasher = blake3::Hasher::new();
            hasher.update(&self.hash.0).update(&json);
            self.hash = Digest(*hasher.finalize().as_bytes());
            self.length += 1;
        }
    }

    /// What a genomaster signs of it.
    fn statement(&self) -> String {
        format!(
            "naschain/batches/1\n{}\n{}\n{}",
            self.run, self.length, self.hash
        )
    }

    /// Its end, signed.
    pub fn head(&self, hotkey: Option<&Hotkey>) -> HistoryHead {
        let sign = |key: &Hotkey| hex::encode(key.sign(self.statement().as_bytes()));
        HistoryHead {
            hash: self.hash,
            hotkey: hotkey.map(|key| key.address().to_owned()),
            signature: hotkey.map(|key| format!("0x{}", sign(key))),
        }
    }

    /// What is wrong with a head that a genomaster with this address gives for the same jobs.
    pub fn problem(&self, head: &HistoryHead, genomaster: Option<&str>) -> Option<String> {
        if head.hash != self.hash {
            return Some(format!(
                "the link of its {} jobs is {}, but {} follows from them",
                self.length, head.hash, self.hash
            ));
        }
        let genomaster = genomaster?;
        let signed = head.signature.as_deref().and_then(parse_signature);
        let holds = signed
            .is_some_and(|bytes| is_signed_by(genomaster, self.statement().as_bytes(), &bytes));
        (!holds).then(|| format!("its history is not signed by {genomaster}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use naschain_consensus::{JobId, Row, judge};

    fn jobs() -> Vec<ClosedJob> {
        let job = |number| {
            let rows = vec![("a".parse().unwrap(), Row::Failed("x".to_owned()))];
            ClosedJob {
                job: JobId(number),
                genome: "01".parse().unwrap(),
                verdict: judge(&[rows[0].1.clone()], &Default::default()),
                rows,
                failure: None,
                proofs: Vec::new(),
            }
        };
        (0..4).map(job).collect()
    }

    #[test]
    fn another_history_is_noticed() {
        let (key, other) = (Hotkey::from_seed(&[1; 32]), Hotkey::from_seed(&[2; 32]));
        let chain = |jobs: &[ClosedJob]| {
            let mut chain = HistoryChain::new(Digest([9; 32]));
            chain.follow(jobs);
            chain
        };
        let mut jobs = jobs();
        let whole = chain(&jobs);
        let mut grown = chain(&jobs[..2]);
        grown.follow(&jobs);
        assert_eq!(grown, whole);
        let head = whole.head(Some(&key));
        assert_eq!(whole.problem(&head, Some(key.address())), None);
        let stranger = whole.problem(&head, Some(other.address())).unwrap();
        assert!(stranger.contains("not signed by"), "{stranger}");
        let unsigned = whole.head(None);
        assert_eq!(whole.problem(&unsigned, None), None);
        assert!(whole.problem(&unsigned, Some(key.address())).is_some());
        jobs.swap(1, 2);
        assert!(chain(&jobs).problem(&head, Some(key.address())).is_some());
        assert!(
            chain(&jobs[..3])
                .problem(&head, Some(key.address()))
                .is_some()
        );
    }
}
