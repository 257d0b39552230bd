//! The ended jobs, chained by BLAKE3 and signed by the genomaster, so that a genomaster that
//! serves two different histories can be detected and proven.

use naschain_core::Digest;
use serde::{Deserialize, Serialize};

use crate::ended_job::EndedJob;
use naschain_identity::{Hotkey, is_signed_by, parse_signature};

/// The hash chain over the ended jobs of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryChain {
    run: Digest,
    /// The hash after each job: two chains are compared at any length.
    hashes: Vec<Digest>,
}

/// The head of the chain, signed by the genomaster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoryHead {
    /// The latest hash: BLAKE3 over the previous hash and the job's JSON, starting from the run's
    /// digest. Stored as `link`.
    #[serde(rename = "link")]
    pub hash: Digest,
    /// The genomaster's address, if it has one.
    pub hotkey: Option<String>,
    /// Its signature under four lines: `naschain/batches/1`, the run's digest, the number of
    /// jobs, and the hash; in hexadecimal after `0x`.
    pub signature: Option<String>,
}

impl HistoryChain {
    /// The chain of a run without ended jobs.
    pub fn new(run: Digest) -> HistoryChain {
        let hashes = Vec::new();
        HistoryChain { run, hashes }
    }

    /// Number of jobs in the chain.
    pub fn length(&self) -> usize {
        self.hashes.len()
    }

    /// The hash after this number of jobs, if there are as many.
    pub fn hash_at(&self, length: usize) -> Option<Digest> {
        match length.checked_sub(1) {
            None => Some(self.run),
            Some(last) => self.hashes.get(last).copied(),
        }
    }

    fn hash(&self) -> Digest {
        self.hashes.last().copied().unwrap_or(self.run)
    }

    /// Appends the jobs of `ended` that are not in the chain yet. `ended` contains all
    /// ended jobs in the order in which they ended.
    pub fn follow(&mut self, ended: &[EndedJob]) {
        self.extend(ended.get(self.length()..).unwrap_or_default());
    }

    /// Appends the jobs that ended next.
    pub fn extend(&mut self, next: &[EndedJob]) {
        for job in next {
            self.hashes.push(next_job_hash(self.hash(), job));
        }
    }

    /// The text that a genomaster signs.
    fn statement(&self) -> String {
        statement(self.run, self.length(), self.hash())
    }

    /// The head, signed if there is a hotkey.
    pub fn head(&self, hotkey: Option<&Hotkey>) -> HistoryHead {
        self.head_with(self.length(), self.hash(), hotkey)
    }

    /// The head after this number of jobs; `None` if there are fewer.
    pub fn head_at(&self, length: usize, hotkey: Option<&Hotkey>) -> Option<HistoryHead> {
        let hash = self.hash_at(length)?;
        Some(self.head_with(length, hash, hotkey))
    }

    fn head_with(&self, length: usize, hash: Digest, hotkey: Option<&Hotkey>) -> HistoryHead {
        let statement = statement(self.run, length, hash);
        let sign = |key: &Hotkey| hex::encode(key.sign(statement.as_bytes()));
        HistoryHead {
            hash,
            hotkey: hotkey.map(|key| key.address().to_owned()),
            signature: hotkey.map(|key| format!("0x{}", sign(key))),
        }
    }

    /// Compares a received head with this chain; returns what is wrong with it, or `None`.
    pub fn problem(&self, head: &HistoryHead, genomaster: Option<&str>) -> Option<String> {
        if head.hash != self.hash() {
            return Some(format!(
                "the hash of its {} jobs is {}, but must be {}",
                self.length(),
                head.hash,
                self.hash()
            ));
        }
        let genomaster = genomaster?;
        let signed = head.signature.as_deref().and_then(parse_signature);
        // Under another name the head would be of no use as a proof.
        let is_named = head.hotkey.as_deref() == Some(genomaster);
        let is_valid = is_named
            && signed
                .is_some_and(|bytes| is_signed_by(genomaster, self.statement().as_bytes(), &bytes));
        (!is_valid).then(|| format!("its history is not signed by {genomaster}"))
    }
}

/// The hash after one more job.
pub(crate) fn next_job_hash(before: Digest, job: &EndedJob) -> Digest {
    let json = serde_json::to_vec(job).expect("a job is plain data");
    let mut hasher = blake3::Hasher::new();
    hasher.update(&before.0).update(&json);
    Digest(*hasher.finalize().as_bytes())
}

/// The text that a genomaster signs for a history of this length.
pub(crate) fn statement(run: Digest, length: usize, hash: Digest) -> String {
    format!("naschain/batches/1\n{run}\n{length}\n{hash}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use naschain_consensus::{JobId, Row, judge};

    fn jobs() -> Vec<EndedJob> {
        let job = |number| {
            let rows = vec![("a".parse().unwrap(), Row::Failed("x".to_owned()))];
            EndedJob {
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
    fn changed_histories_are_detected() {
        let (key, other) = (Hotkey::from_seed(&[1; 32]), Hotkey::from_seed(&[2; 32]));
        let chain = |jobs: &[EndedJob]| {
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
        let half = chain(&jobs[..2]);
        let earlier = whole.head_at(2, Some(&key)).unwrap();
        assert_eq!(half.problem(&earlier, Some(key.address())), None);
        assert_eq!(whole.head_at(5, None), None);
        assert_eq!(whole.problem(&head, Some(key.address())), None);
        let wrong_signer = whole.problem(&head, Some(other.address())).unwrap();
        assert!(wrong_signer.contains("not signed by"), "{wrong_signer}");
        let mut renamed = head.clone();
        renamed.hotkey = Some(other.address().to_owned());
        let problem = whole.problem(&renamed, Some(key.address())).unwrap();
        assert!(problem.contains("not signed by"), "{problem}");
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
