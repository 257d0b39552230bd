//! `run.json`: everything needed to repeat a run.

use std::collections::{BTreeMap, BTreeSet};

use naschain_consensus::Rules;
use naschain_core::{Costs, Digest, Genome, MacroSpace, Recipe};
use naschain_nsga::{Objective, SearchConfig};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::proof::RequestRules;

/// Everything that determines the results of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RunSpec {
    /// Versions of the parts that decide results.
    pub versions: BTreeMap<String, String>,
    /// The search space.
    pub space: MacroSpace,
    /// How each network is trained.
    pub recipe: Recipe,
    /// The data set.
    pub data: DataSpec,
    /// The search algorithm's configuration.
    pub search: SearchConfig,
    /// The rules of the job board: assignment and agreement.
    pub rules: Rules,
    /// Whether an answer whose parameters or FLOPs are not those of its network is malformed. Runs of
    /// earlier versions, which do not store it, compared the answers only with each other.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub checks_costs: bool,
    /// The hash of the run's secret ([`crate::RunSecret`]), if its training seeds are secret until
    /// they are needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_hash: Option<Digest>,
    /// The version of the requests that miners sign. In version 1, which is not written, joins,
    /// requests for work and heartbeats do not name their run; in version 2 they do.
    #[serde(default = "first_version", skip_serializing_if = "is_first_version")]
    pub request_version: u32,
}

/// The version of the requests of new runs.
const REQUEST_VERSION: u32 = 2;

/// Settings that runs of earlier versions lack; in those runs they have their former meaning.
const ADDED_LATER: [&str; 4] = [
    "checks_costs",
    "request_version",
    "rules.reputation",
    "rules.silent_uids",
];

fn first_version() -> u32 {
    1
}

fn is_first_version(version: &u32) -> bool {
    *version == first_version()
}

/// A data set by name and content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct DataSpec {
    /// The name of the data set.
    pub name: String,
    /// The digest of its content.
    pub digest: Digest,
}

impl DataSpec {
    /// The data set with this name and this digest.
    pub fn new(name: impl Into<String>, digest: Digest) -> DataSpec {
        DataSpec {
            name: name.into(),
            digest,
        }
    }
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
            checks_costs: true,
            secret_hash: None,
            request_version: REQUEST_VERSION,
        }
    }

    /// Checks every part and that they fit each other.
    ///
    /// # Errors
    /// Returns the error of the first invalid part.
    pub fn validate(&self) -> Result<(), Error> {
        self.space.validate()?;
        self.recipe.validate()?;
        self.rules.validate()?;
        if !(1..=REQUEST_VERSION).contains(&self.request_version) {
            return Err(Error::RequestVersion {
                found: self.request_version,
                latest: REQUEST_VERSION,
            });
        }
        naschain_nsga::Search::new(self.search.clone())?;
        let (search, space) = (self.search.genome_len, self.space.genome_len());
        if search != space {
            return Err(Error::GenomeLength { search, space });
        }
        Ok(())
    }

    /// BLAKE3 of its JSON: the run's identity, and the start of its journal's hash chain.
    pub fn digest(&self) -> Digest {
        let json = serde_json::to_vec(self).expect("a run specification is plain data");
        Digest(*blake3::hash(&json).as_bytes())
    }

    /// FLOPs of the forward and backward passes over all images of a genome's training; backward
    /// counts twice forward. 0 for a genome of another space.
    pub fn training_flops(&self, genome: &Genome) -> u64 {
        let images = self.recipe.train_images as u64 * u64::from(self.recipe.epochs);
        let costs = self.costs_of(genome);
        costs.map_or(0, |costs| costs.flops.saturating_mul(3 * images))
    }

    /// The costs of a genome; `None` if it is not one of the space.
    pub fn costs_of(&self, genome: &Genome) -> Option<Costs> {
        self.space.decode(genome).ok()?.costs().ok()
    }

    /// What signed requests of this run have to say.
    pub fn request_rules(&self) -> RequestRules {
        RequestRules {
            run: self.digest(),
            must_name_run: self.request_version >= 2,
        }
    }

    /// The values in which `other` differs from this specification, as `name is old, not new`;
    /// empty where they are equal. A setting that is newer than this run is not compared: the run
    /// goes on without it.
    pub fn differences(&self, other: &RunSpec) -> Vec<String> {
        let json = |spec: &RunSpec| serde_json::to_value(spec).expect("a specification is data");
        let mut found = Vec::new();
        compare("", &json(self), &json(other), &mut found);
        found
    }
}

fn compare(
    name: &str,
    current: &serde_json::Value,
    requested: &serde_json::Value,
    found: &mut Vec<String>,
) {
    match (current.as_object(), requested.as_object()) {
        (Some(current), Some(requested)) => {
            let keys: BTreeSet<_> = current.keys().chain(requested.keys()).collect();
            for key in keys {
                let name = if name.is_empty() {
                    key.clone()
                } else {
                    format!("{name}.{key}")
                };
                if ADDED_LATER.contains(&name.as_str()) && !current.contains_key(key) {
                    continue;
                }
                let null = serde_json::Value::Null;
                let (current, requested) = (current.get(key), requested.get(key));
                compare(
                    &name,
                    current.unwrap_or(&null),
                    requested.unwrap_or(&null),
                    found,
                );
            }
        }
        _ if current != requested => found.push(format!("{name} is {current}, not {requested}")),
        _ => {}
    }
}
