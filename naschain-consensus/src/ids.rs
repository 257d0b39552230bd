//! Identifiers of jobs, leases and miners, and the time of a run.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Error;

/// A time in milliseconds since an origin that the caller chooses; the board has no clock.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Millis(pub u64);

impl Millis {
    /// This time plus `ms` milliseconds, saturating.
    pub fn plus(self, ms: u64) -> Self {
        Millis(self.0.saturating_add(ms))
    }

    /// Milliseconds since `earlier`; 0 if that is later.
    pub fn since(self, earlier: Millis) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0)
    }
}

/// The id of a job: a genome to be trained by several miners. The caller chooses the ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(pub u64);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "job {}", self.0)
    }
}

/// The id of a lease, which is the right to answer for one seat.
///
/// It serves as a fencing token: the board numbers its leases from 1, so no two are equal and a
/// later one is always greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LeaseId(pub u64);

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lease {}", self.0)
    }
}

/// The id of a question to a miner. The board numbers its questions from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct QuestionId(pub u64);

impl fmt::Display for QuestionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "question {}", self.0)
    }
}

/// The name of a miner: a hotkey or another name of 1 to 64 characters of `A-Z a-z 0-9 . _ -`.
///
/// ```
/// let miner: naschain_consensus::MinerId = "miner-1".parse()?;
/// assert_eq!(miner.as_str(), "miner-1");
/// assert!("two words".parse::<naschain_consensus::MinerId>().is_err());
/// # Ok::<(), naschain_consensus::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MinerId(Arc<str>);

impl MinerId {
    /// Creates the id of a miner.
    ///
    /// # Errors
    /// [`Error::Name`] if the name is empty, too long or has other characters.
    pub fn new(name: impl AsRef<str>) -> Result<Self, Error> {
        let name = name.as_ref();
        let right = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if (1..=64).contains(&name.len()) && name.bytes().all(right) {
            return Ok(MinerId(name.into()));
        }
        Err(Error::Name {
            found: name.chars().take(80).collect(),
        })
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of the miner of the reference network with this uid: `uid-N`.
    pub fn from_uid(uid: u32) -> Self {
        MinerId(format!("uid-{uid}").into())
    }

    /// The uid of a miner of the reference network, which is named `uid-N`; `None` for any other.
    pub fn uid(&self) -> Option<u32> {
        let digits = self.0.strip_prefix("uid-")?;
        let uid: u32 = digits.parse().ok()?;
        (uid.to_string() == digits).then_some(uid)
    }
}

impl fmt::Display for MinerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for MinerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MinerId({})", self.0)
    }
}

impl FromStr for MinerId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        MinerId::new(text)
    }
}

impl Serialize for MinerId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for MinerId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_1_to_64_plain_characters() {
        for right in [
            "a",
            "5F3sa2TJAWMqDhXG6jhV4N8ko9SxwGy8TpaNS1repo5EYjQX",
            "A.b_c-9",
        ] {
            assert_eq!(right.parse::<MinerId>().unwrap().to_string(), right);
        }
        for wrong in ["", "a b", "é", "a/b", "a\n", &"x".repeat(65)] {
            assert!(wrong.parse::<MinerId>().is_err(), "{wrong:?}");
            assert!(serde_json::from_value::<MinerId>(wrong.into()).is_err());
        }
        assert!("x".repeat(64).parse::<MinerId>().is_ok());
    }

    #[test]
    fn time_saturates() {
        assert_eq!(Millis(5).plus(u64::MAX), Millis(u64::MAX));
        assert_eq!(Millis(5).since(Millis(7)), 0);
    }
}
