//! When the answers of two miners agree.

use std::fmt;
use std::str::FromStr;

use naschain_core::Measurement;
use serde::{Deserialize, Serialize};

use crate::Error;

/// When the answers of two miners agree, and which answers are rewarded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Rule {
    /// Two answers agree if parameters and FLOPs are equal and the accuracies differ by at most
    /// the tolerance. The largest set of answers that agree pairwise is rewarded.
    #[default]
    Tolerance,
    /// As [`Rule::Tolerance`], and the training digests must be equal.
    Exact,
    /// The rule of the reference network: an answer is rewarded if it agrees, as under
    /// [`Rule::Tolerance`], with any other answer. Agreement is transitive, so 90.0, 90.9 and 91.8
    /// are all rewarded.
    Chained,
}

impl Rule {
    const NAMES: [(&'static str, Rule); 3] = [
        ("tolerance", Rule::Tolerance),
        ("exact", Rule::Exact),
        ("chained", Rule::Chained),
    ];
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Rule::NAMES.iter().find(|(_, rule)| rule == self);
        f.pad(name.map_or("", |(name, _)| name))
    }
}

impl FromStr for Rule {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let rule = Rule::NAMES.iter().find(|(name, _)| *name == text);
        rule.map(|(_, rule)| *rule)
            .ok_or_else(|| Error::UnknownRule {
                found: text.to_owned(),
            })
    }
}

/// An agreement rule and its tolerance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Agreement {
    /// The rule.
    pub rule: Rule,
    /// Maximum difference of two accuracies that agree, in hundredths of a percentage point.
    pub tolerance_hundredths: u32,
}

impl Default for Agreement {
    /// [`Rule::Tolerance`] with a tolerance of one percentage point.
    fn default() -> Self {
        Agreement::new(Rule::Tolerance)
    }
}

impl Agreement {
    /// A rule with a tolerance of one percentage point.
    pub fn new(rule: Rule) -> Self {
        Agreement {
            rule,
            tolerance_hundredths: 100,
        }
    }

    /// Whether two measurements agree as a pair.
    pub fn pair_agrees(&self, a: &Measurement, b: &Measurement) -> bool {
        let apart = a.accuracy.hundredths().abs_diff(b.accuracy.hundredths());
        a.params == b.params
            && a.flops == b.flops
            && apart <= self.tolerance_hundredths
            && (self.rule != Rule::Exact || a.digest == b.digest)
    }
}

/// The answer of one miner to a job.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Row {
    /// The training succeeded with this result.
    Measured(Measurement),
    /// The training failed, for the reason that the miner reports.
    Failed(String),
    /// The answer could not be read, for this reason.
    Malformed(String),
}

impl Row {
    /// The measurement of a successful training.
    pub fn measurement(&self) -> Option<&Measurement> {
        match self {
            Row::Measured(measurement) => Some(measurement),
            Row::Failed(_) | Row::Malformed(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_parse_by_name() {
        for (name, rule) in Rule::NAMES {
            assert_eq!(name.parse::<Rule>().unwrap(), rule);
            assert_eq!(rule.to_string(), name);
            assert_eq!(serde_json::to_value(rule).unwrap(), name);
        }
        let error = "strict".parse::<Rule>().unwrap_err();
        assert!(error.to_string().contains("tolerance, exact or chained"));
    }
}
