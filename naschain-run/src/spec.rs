//! `run.json`: everything needed to repeat a run.

use std::collections::{BTreeMap, BTreeSet};

use naschain_consensus::Rules;
use naschain_core::{Digest, MacroSpace, Recipe};
use naschain_nsga::{Objective, SearchConfig};
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// What a run searches, trains and agrees on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RunSpec {
    /// Versions of the parts that decide results.
    pub versions: BTreeMap<String, String>,
    /// Which networks there are.
    pub space: MacroSpace,
    /// How each is trained.
    pub recipe: Recipe,
    /// On what.
    pub data: DataSpec,
    /// How the next ones are chosen.
    pub search: SearchConfig,
    /// How miners share and agree.
    pub rules: Rules,
}

/// A data set by name and content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSpec {
    /// Which data set.
    pub name: String,
    /// What it must hold.
    pub digest: Digest,
}

/// The objectives of every run, in this order.
pub fn objectives() -> Vec<Objective> {
    vec![
        Objective::maximize("accuracy"),
        Objective::minimize("params"),
        Objective::minimize("flops"),
    ]
}

impl RunSpec {
    /// A run with the defaults of the libraries; every field may be assigned afterwards.
    pub fn new(space: MacroSpace, data: DataSpec) -> RunSpec {
        RunSpec {
            versions: BTreeMap::new(),
            recipe: Recipe::default(),
            data,
            search: SearchConfig::new(space.genome_len(), objectives()),
            rules: Rules::default(),
            space,
        }
    }

    /// Checks every part and that they fit each other.
    ///
    /// # Errors
    /// The first part that is wrong.
    pub fn validate(&self) -> Result<(), Error> {
        self.space.validate()?;
        self.recipe.validate()?;
        self.rules.validate()?;
        naschain_nsga::Search::new(self.search.clone())?;
        let (search, space) = (self.search.genome_len, self.space.genome_len());
        if search != space {
            return Err(Error::GenomeLength { search, space });
        }
        Ok(())
    }

    /// BLAKE3 of its JSON: the run's identity, and the first link of its journal.
    pub fn digest(&self) -> Digest {
        let json = serde_json::to_vec(self).expect("a run specification is plain data");
        Digest(*blake3::hash(&json).as_bytes())
    }

    /// The values in which `other` differs from this specification, as `name is old, not new`;
    /// empty where they are equal.
    pub fn differences(&self, other: &RunSpec) -> Vec<String> {
        let json = |spec: &RunSpec| serde_json::to_value(spec).expect("a specification is data");
        let mut found = Vec::new();
        compare("", &json(self), &json(other), &mut found);
        found
    }
}

fn compare(
    name: &str,
    there: &serde_json::Value,
    asked: &serde_json::Value,
    found: &mut Vec<String>,
) {
    match (there.as_object(), asked.as_object()) {
        (Some(there), Some(asked)) => {
            let keys: BTreeSet<_> = there.keys().chain(asked.keys()).collect();
            for key in keys {
                let name = if name.is_empty() {
                    key.clone()
                } else {
                    format!("{name}.{key}")
                };
                let null = serde_json::Value::Null;
                let (there, asked) = (there.get(key), asked.get(key));
                compare(&name, there.unwrap_or(&null), asked.unwrap_or(&null), found);
            }
        }
        _ if there != asked => found.push(format!("{name} is {there}, not {asked}")),
        _ => {}
    }
}
