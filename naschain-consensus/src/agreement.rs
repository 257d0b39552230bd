use std::fmt;
use std::str::FromStr;

use naschain_core::Measurement;
use serde::{Deserialize, Serialize};

use crate::Error;

/// When two miners' rows agree, and what follows from pairs for the whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// Parameters and FLOPs are equal and the accuracies within the tolerance; rewarded is the
    /// largest set of rows that all agree pairwise.
    #[default]
    Tolerance,
    /// As tolerance, and the training digests are equal too.
    Exact,
    /// The rule of the reference implementation: a row is rewarded when it agrees, as under
    /// tolerance, with any other row. Agreement chains, so 90.0, 90.9 and 91.8 are all rewarded.
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

/// The rule of a network and its tolerance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Agreement {
    /// Which rule.
    pub rule: Rule,
    /// Accuracies this far apart still agree, in hundredths of a percentage point.
    pub tolerance_hundredths: u32,
}

impl Default for Agreement {
    /// Tolerance of one percentage point.
    fn default() -> Self {
        Agreement {
            rule: Rule::Tolerance,
            tolerance_hundredths: 100,
        }
    }
}

impl Agreement {
    /// Whether two measurements agree as a pair.
    pub fn pair_agrees(&self, a: &Measurement, b: &Measurement) -> bool {
        let apart = a.accuracy.hundredths().abs_diff(b.accuracy.hundredths());
        a.params == b.params
            && a.flops == b.flops
            && apart <= self.tolerance_hundredths
            && (self.rule != Rule::Exact || a.digest == b.digest)
    }
}

/// What one miner answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Row {
    /// The training ended with these numbers.
    Measured(Measurement),
    /// The miner says that the training failed, and how.
    Failed(String),
    /// The answer could not be read, and why.
    Malformed(String),
}

impl Row {
    /// The measurement, if there is one.
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
    fn rules_have_names() {
        for (name, rule) in Rule::NAMES {
            assert_eq!(name.parse::<Rule>().unwrap(), rule);
            assert_eq!(rule.to_string(), name);
            assert_eq!(serde_json::to_value(rule).unwrap(), name);
        }
        let error = "strict".parse::<Rule>().unwrap_err();
        assert!(error.to_string().contains("tolerance, exact, chained"));
    }
}
