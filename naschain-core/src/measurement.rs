//! The result of a training.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Error;

/// An accuracy as a whole number of hundredths of a percentage point, so that comparisons such as
/// "within ±1 %" are exact.
///
/// ```
/// use naschain_core::Accuracy;
/// let accuracy = Accuracy::from_counts(2, 3).unwrap();
/// assert_eq!(accuracy.hundredths(), 6667);
/// assert_eq!(accuracy.to_string(), "66.67");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Accuracy(u16);

impl Accuracy {
    /// An accuracy of `hundredths` of a percentage point, 0 to 10,000.
    ///
    /// # Errors
    /// [`Error::Accuracy`] above 10,000.
    pub fn from_hundredths(hundredths: u32) -> Result<Self, Error> {
        match u16::try_from(hundredths) {
            Ok(value) if value <= 10_000 => Ok(Accuracy(value)),
            _ => Err(Error::Accuracy {
                found: format!("{}.{:02}", hundredths / 100, hundredths % 100),
            }),
        }
    }

    /// The accuracy of `correct` out of `total` samples, rounded half to even.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] if `total` is 0 or less than `correct`.
    pub fn from_counts(correct: u64, total: u64) -> Result<Self, Error> {
        if total == 0 || correct > total {
            return Err(Error::out_of_range(
                "correct samples",
                format_args!("{correct} of {total}"),
                "at most the number of samples, which must be at least 1",
            ));
        }
        let scaled = u128::from(correct) * 10_000;
        let (quotient, remainder) = (scaled / u128::from(total), scaled % u128::from(total));
        let round_up = match (remainder * 2).cmp(&u128::from(total)) {
            std::cmp::Ordering::Less => false,
            std::cmp::Ordering::Equal => quotient % 2 == 1,
            std::cmp::Ordering::Greater => true,
        };
        Ok(Accuracy(quotient as u16 + u16::from(round_up)))
    }

    /// An accuracy from a percentage such as 97.35, the form used in JSON.
    ///
    /// # Errors
    /// [`Error::Accuracy`] if it is not a number between 0 and 100 with at most two decimals.
    pub fn from_percent(percent: f64) -> Result<Self, Error> {
        let hundredths = (percent * 100.0).round();
        // The error of a double that represents a number with two decimals is far smaller.
        let exact = (percent * 100.0 - hundredths).abs() < 1e-6;
        if exact && (0.0..=10_000.0).contains(&hundredths) {
            return Ok(Accuracy(hundredths as u16));
        }
        Err(Error::Accuracy {
            found: percent.to_string(),
        })
    }

    /// The accuracy in hundredths of a percentage point, 0 to 10,000.
    pub fn hundredths(self) -> u32 {
        u32::from(self.0)
    }

    /// The accuracy in percent.
    pub fn percent(self) -> f64 {
        f64::from(self.0) / 100.0
    }
}

impl fmt::Display for Accuracy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}.{:02}", self.0 / 100, self.0 % 100))
    }
}

impl Serialize for Accuracy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.percent())
    }
}

impl<'de> Deserialize<'de> for Accuracy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Accuracy::from_percent(f64::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// A BLAKE3 digest, written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl FromStr for Digest {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = || Error::Digest {
            found: text.to_owned(),
        };
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        let mut bytes = [0; 32];
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).map_err(|_| wrong())?;
        }
        Ok(Digest(bytes))
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// The result of a training that a miner reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measurement {
    /// Validation accuracy; in JSON a percentage with two decimals.
    pub accuracy: Accuracy,
    /// Number of trainable parameters.
    pub params: u64,
    /// Floating-point operations of one forward pass of one image, multiply-adds counted once.
    pub flops: u64,
    /// The digest of the training: the last entry of its hash chain.
    pub digest: Digest,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn halves_are_rounded_to_even() {
        // 1/800 = 0.125 % and 3/800 = 0.375 % lie half-way between two hundredths.
        assert_eq!(Accuracy::from_counts(1, 800).unwrap().hundredths(), 12);
        assert_eq!(Accuracy::from_counts(3, 800).unwrap().hundredths(), 38);
        assert_eq!(Accuracy::from_counts(5, 5).unwrap().hundredths(), 10_000);
    }

    #[test]
    fn invalid_accuracies_are_rejected() {
        assert!(Accuracy::from_counts(0, 0).is_err());
        assert!(Accuracy::from_counts(2, 1).is_err());
        assert!(Accuracy::from_hundredths(10_001).is_err());
        for percent in [f64::NAN, f64::INFINITY, -0.01, 100.01, 97.355] {
            assert!(Accuracy::from_percent(percent).is_err(), "{percent}");
        }
    }

    #[test]
    fn every_accuracy_round_trips_through_json() {
        for hundredths in 0..=10_000 {
            let accuracy = Accuracy::from_hundredths(hundredths).unwrap();
            let json = serde_json::to_string(&accuracy).unwrap();
            assert_eq!(serde_json::from_str::<Accuracy>(&json).unwrap(), accuracy);
        }
    }

    #[test]
    fn digests_are_64_hexadecimal_digits() {
        let text = "0123456789abcdef".repeat(4);
        assert_eq!(text.parse::<Digest>().unwrap().to_string(), text);
        for wrong in ["", "12", &"g".repeat(64), &"é".repeat(32)] {
            assert!(wrong.parse::<Digest>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn the_rounding_of_counts_is_exact(total in 1u64..100_000, part in 0.0..=1.0) {
            let correct = (total as f64 * part) as u64;
            let got = u64::from(Accuracy::from_counts(correct, total).unwrap().hundredths());
            // |got/10000 - correct/total| <= 1/20000, in whole numbers.
            prop_assert!((got * total).abs_diff(correct * 10_000) * 2 <= total);
        }
    }
}
