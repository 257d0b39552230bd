//! Which jobs a validator trains again. The sample is unpredictable until the job has ended.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use naschain_consensus::JobId;
use naschain_core::Digest;

/// A share of all jobs, such as 1/50.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    chosen: u32,
    of: NonZeroU32,
}

/// A validator's secret that draws its sample.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SampleSecret(pub [u8; 32]);

/// Does not show the secret.
impl fmt::Debug for SampleSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SampleSecret(...)")
    }
}

impl Sample {
    /// Whether the job belongs to the sample. `history` is the hash of the genomaster's history up
    /// to and including the job: a genomaster that does not know the secret cannot choose jobs, and a
    /// validator that restarts draws the same sample.
    pub fn includes(&self, secret: &SampleSecret, job: JobId, history: Digest) -> bool {
        let key = blake3::derive_key("naschain validator 1: sample of jobs", &secret.0);
        let mut hasher = blake3::Hasher::new_keyed(&key);
        hasher.update(&history.0).update(&job.0.to_le_bytes());
        let mut drawn = [0; 8];
        hasher.finalize_xof().fill(&mut drawn);
        u64::from_le_bytes(drawn) % u64::from(self.of.get()) < u64::from(self.chosen)
    }
}

impl FromStr for Sample {
    type Err = String;

    fn from_str(text: &str) -> Result<Sample, String> {
        let wrong = || format!("{text:?} is not a share of the jobs, such as 1/50 or 1/1");
        let (chosen, of) = text.split_once('/').ok_or_else(wrong)?;
        let chosen: u32 = chosen.parse().map_err(|_| wrong())?;
        let of: NonZeroU32 = of.parse().map_err(|_| wrong())?;
        if chosen == 0 || chosen > of.get() {
            return Err(wrong());
        }
        Ok(Sample { chosen, of })
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.chosen, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampled(sample: &str, secret: u8, history: u8) -> Vec<u64> {
        let sample: Sample = sample.parse().unwrap();
        let secret = SampleSecret([secret; 32]);
        let history = Digest([history; 32]);
        let jobs = 0..10_000;
        jobs.filter(|job| sample.includes(&secret, JobId(*job), history))
            .collect()
    }

    #[test]
    fn the_share_is_kept_and_the_sample_depends_on_secret_and_history() {
        let first = sampled("1/50", 1, 1);
        assert!((150..250).contains(&first.len()), "{}", first.len());
        assert_eq!(first, sampled("1/50", 1, 1));
        assert_ne!(first, sampled("1/50", 2, 1));
        assert_ne!(first, sampled("1/50", 1, 2));
        assert_eq!(sampled("1/1", 1, 1).len(), 10_000);
    }

    #[test]
    fn wrong_shares_are_refused() {
        for wrong in [
            "",
            "1",
            "0/5",
            "6/5",
            "1/0",
            "-1/5",
            "1/5/5",
            "a/b",
            "1/4294967296",
        ] {
            assert!(wrong.parse::<Sample>().is_err(), "{wrong}");
        }
        assert_eq!("3/50".parse::<Sample>().unwrap().to_string(), "3/50");
    }
}
