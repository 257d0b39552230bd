//! The batches that have ended, chained by BLAKE3 and signed by their genomaster, so that a
//! validator notices when a genomaster tells two histories.

use naschain_core::Digest;
use serde::{Deserialize, Serialize};

use crate::closed_batch::ClosedBatch;
use naschain_identity::{Hotkey, is_signed_by, parse_signature};

/// The links of a run's batches, so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchChain {
    run: Digest,
    length: usize,
    link: Digest,
}

/// The end of a chain, as the genomaster vouches for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// The latest link: BLAKE3 of the one before and the batch's JSON; the first one before is
    /// the run's digest.
    pub link: Digest,
    /// The genomaster's address, if it has one.
    pub hotkey: Option<String>,
    /// Its signature under four lines: `naschain/batches/1`, the run's digest, the number of
    /// batches, and the link; in hexadecimal after `0x`.
    pub signature: Option<String>,
}

impl BatchChain {
    /// The chain of a run in which nothing has ended.
    pub fn new(run: Digest) -> BatchChain {
        let (length, link) = (0, run);
        BatchChain { run, length, link }
    }

    /// Adds those of `closed`, all that have ended in order, that are not in it yet.
    pub fn follow(&mut self, closed: &[ClosedBatch]) {
        for batch in closed.iter().skip(self.length) {
            let json = serde_json::to_vec(batch).expect("a batch is plain data");
            let mut hasher = blake3::Hasher::new();
            hasher.update(&self.link.0).update(&json);
            self.link = Digest(*hasher.finalize().as_bytes());
            self.length += 1;
        }
    }

    /// What a genomaster signs of it.
    fn statement(&self) -> String {
        format!(
            "naschain/batches/1\n{}\n{}\n{}",
            self.run, self.length, self.link
        )
    }

    /// Its end, signed.
    pub fn head(&self, hotkey: Option<&Hotkey>) -> Head {
        let sign = |key: &Hotkey| hex::encode(key.sign(self.statement().as_bytes()));
        Head {
            link: self.link,
            hotkey: hotkey.map(|key| key.address().to_owned()),
            signature: hotkey.map(|key| format!("0x{}", sign(key))),
        }
    }

    /// What is wrong with a head that a genomaster with this address gives for the same batches.
    pub fn problem(&self, head: &Head, genomaster: Option<&str>) -> Option<String> {
        if head.link != self.link {
            return Some(format!(
                "the link of its {} batches is {}, but {} follows from them",
                self.length, head.link, self.link
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
    use naschain_consensus::{BatchId, Row, judge};

    fn batches() -> Vec<ClosedBatch> {
        let batch = |number| {
            let rows = vec![("a".parse().unwrap(), Row::Failed("x".to_owned()))];
            ClosedBatch {
                batch: BatchId(number),
                genome: "01".parse().unwrap(),
                verdict: judge(&[rows[0].1.clone()], &Default::default()),
                rows,
                failure: None,
                proofs: Vec::new(),
            }
        };
        (0..4).map(batch).collect()
    }

    #[test]
    fn another_history_is_noticed() {
        let (key, other) = (Hotkey::from_seed(&[1; 32]), Hotkey::from_seed(&[2; 32]));
        let chain = |batches: &[ClosedBatch]| {
            let mut chain = BatchChain::new(Digest([9; 32]));
            chain.follow(batches);
            chain
        };
        let mut batches = batches();
        let whole = chain(&batches);
        let mut grown = chain(&batches[..2]);
        grown.follow(&batches);
        assert_eq!(grown, whole);
        let head = whole.head(Some(&key));
        assert_eq!(whole.problem(&head, Some(key.address())), None);
        let stranger = whole.problem(&head, Some(other.address())).unwrap();
        assert!(stranger.contains("not signed by"), "{stranger}");
        let unsigned = whole.head(None);
        assert_eq!(whole.problem(&unsigned, None), None);
        assert!(whole.problem(&unsigned, Some(key.address())).is_some());
        batches.swap(1, 2);
        assert!(
            chain(&batches)
                .problem(&head, Some(key.address()))
                .is_some()
        );
        assert!(
            chain(&batches[..3])
                .problem(&head, Some(key.address()))
                .is_some()
        );
    }
}
