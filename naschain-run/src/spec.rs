//! `run.json`: everything needed to repeat a run.

use std::collections::BTreeMap;

use naschain_consensus::{Rule, Rules};
use naschain_core::{Costs, Digest, Genome, Measurement, Recipe, SearchSpace};
use naschain_nsga::{Objective, SearchConfig};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::latency::LatencyTable;
use crate::limits::CostLimits;
use crate::proof::RequestRules;

/// Everything that determines the results of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RunSpec {
    /// Versions of the parts that decide results.
    pub versions: BTreeMap<String, String>,
    /// The search space.
    pub space: SearchSpace,
    /// How each network is trained.
    pub recipe: Recipe,
    /// The data set.
    pub data: DataSpec,
    /// The search algorithm's configuration.
    pub search: SearchConfig,
    /// Genomes that are evaluated first, in this order; the rest of the first generation is drawn at
    /// random. At most as many as the population, each of another network. Omitted if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub initial_genomes: Vec<Genome>,
    /// What networks may cost at most. Omitted if there are no limits.
    #[serde(default, skip_serializing_if = "CostLimits::are_none")]
    pub limits: CostLimits,
    /// The latencies of the layers, where predicted latency takes the place of FLOPs among the objectives.
    /// Omitted if it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<LatencyTable>,
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
    /// Whether the miners that agreed about a network of the front deliver its weights. Runs of earlier
    /// versions do not store it; there the genomaster trains these networks again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub collects_models: bool,
    /// The version of the requests that miners sign. In version 1, which is not written, joins,
    /// requests for work and heartbeats do not name their run; in version 2 they do.
    #[serde(default = "first_version", skip_serializing_if = "is_first_version")]
    pub request_version: u32,
}

/// The version of the requests of new runs.
const REQUEST_VERSION: u32 = 2;

/// Maximum population of a run that somebody else specifies. With the longest genomes, those of 4,970
/// bits, its first generation takes about 70 MiB and ten seconds.
const MAX_RECEIVED_POPULATION: usize = 20_000;

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

/// The objectives of a run without a table of latencies, in this order.
pub fn objectives() -> Vec<Objective> {
    vec![
        Objective::maximize("accuracy"),
        Objective::minimize("params"),
        Objective::minimize("flops"),
    ]
}

impl RunSpec {
    /// A run with the defaults of the libraries; every field may be assigned afterwards.
    pub fn new(space: impl Into<SearchSpace>, data: DataSpec) -> RunSpec {
        let space = space.into();
        RunSpec {
            versions: BTreeMap::new(),
            recipe: Recipe::default(),
            data,
            search: SearchConfig::new(space.genome_len(), objectives()),
            initial_genomes: Vec::new(),
            limits: CostLimits::default(),
            latency: None,
            rules: Rules::default(),
            space,
            checks_costs: true,
            secret_hash: None,
            collects_models: false,
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
        if let Some(referee) = self.rules.referee
            && referee.steps != self.training_steps()
        {
            return Err(Error::RefereeSteps {
                found: referee.steps,
                steps: self.training_steps(),
            });
        }
        self.search.validate()?;
        let measured: Vec<u32> = self.recipe.measured_epochs().collect();
        let has_rungs = !self.search.rungs.is_empty() || !self.recipe.rungs.is_empty();
        if has_rungs && self.rules.epochs != self.recipe.epochs {
            return Err(Error::Epochs {
                found: self.rules.epochs,
                epochs: self.recipe.epochs,
            });
        }
        if has_rungs && self.search.rungs != measured {
            let found = self.search.rungs.clone();
            return Err(Error::Rungs { found, measured });
        }
        if has_rungs && self.rules.agreement.rule != Rule::Exact {
            return Err(Error::InexactRungs);
        }
        if self.search.candidates_by_rung().contains(&0) {
            return Err(Error::NoneAtLastRung {
                networks: self.max_networks(),
                epochs: measured,
            });
        }
        let (search, space) = (self.search.genome_len, self.space.genome_len());
        if search != space {
            return Err(Error::GenomeLength { search, space });
        }
        if let Some(table) = &self.latency {
            table.check(&self.space)?;
        }
        if self.search.objectives != self.objectives() {
            return Err(Error::Objectives {
                found: shown(&self.search.objectives),
                right: shown(&self.objectives()),
            });
        }
        let networks = self.search.max_candidates();
        if self.recipe.is_measured_on_test() && networks > 1 {
            return Err(Error::ChosenByTest { networks });
        }
        self.validate_limits()?;
        self.validate_initial_genomes()
    }

    /// The smallest network, and those to start from, must be within the limits.
    fn validate_limits(&self) -> Result<(), Error> {
        let smallest = self.space.smallest_genome()?;
        for genome in std::iter::once(&smallest).chain(&self.initial_genomes) {
            let costs = self.space.decode(genome)?.costs()?;
            if !self.limits.allow(costs) {
                return Err(Error::Limits {
                    genome: genome.clone(),
                    costs,
                    limits: self.limits,
                });
            }
        }
        Ok(())
    }

    fn validate_initial_genomes(&self) -> Result<(), Error> {
        let (found, most) = (self.initial_genomes.len(), self.search.population);
        if found > most {
            return Err(Error::InitialCount { found, most });
        }
        let mut seen = BTreeMap::new();
        for second in &self.initial_genomes {
            let canonical = self.space.canonical(second)?;
            if let Some(first) = seen.insert(canonical, second) {
                return Err(Error::InitialTwice {
                    first: first.clone(),
                    second: second.clone(),
                });
            }
        }
        Ok(())
    }

    /// Checks a specification that somebody else has sent: that it is valid, and that its first
    /// generation, which is made at once, fits in memory.
    ///
    /// # Errors
    /// As [`RunSpec::validate`], and [`Error::Population`].
    pub fn validate_received(&self) -> Result<(), Error> {
        self.validate()?;
        let found = self.search.population;
        if found > MAX_RECEIVED_POPULATION {
            return Err(Error::Population {
                found,
                most: MAX_RECEIVED_POPULATION,
            });
        }
        Ok(())
    }

    /// The maximum number of jobs, unless the search is extended: one for each network, and with rungs
    /// one more for each that goes on from a rung.
    pub fn max_jobs(&self) -> usize {
        self.search.candidates_by_rung().iter().sum()
    }

    /// The maximum number of networks, unless the search is extended.
    pub fn max_networks(&self) -> usize {
        self.search.max_candidates()
    }

    /// BLAKE3 of its JSON: the run's identity, and the start of its journal's hash chain.
    pub fn digest(&self) -> Digest {
        let json = serde_json::to_vec(self).expect("a run specification is plain data");
        Digest(*blake3::hash(&json).as_bytes())
    }

    /// The number of epochs that a network is trained for on average: fewer than the recipe's where
    /// networks are stopped at rungs.
    pub fn mean_epochs(&self) -> f64 {
        let counts = self.search.candidates_by_rung();
        let mut before = 0;
        let mut sum = 0.0;
        for (count, epochs) in counts.iter().zip(self.recipe.measured_epochs()) {
            sum += *count as f64 * f64::from(epochs - before);
            before = epochs;
        }
        if self.search.rungs.is_empty() {
            return f64::from(self.recipe.epochs);
        }
        sum / counts.first().copied().unwrap_or(1).max(1) as f64
    }

    /// FLOPs of the forward and backward passes over all images of a genome's training; backward
    /// counts twice forward. 0 for a genome of another space.
    pub fn training_flops(&self, genome: &Genome) -> u64 {
        self.flops_of_epochs(genome, self.recipe.epochs)
    }

    /// The same for so many epochs of the training.
    pub fn flops_of_epochs(&self, genome: &Genome, epochs: u32) -> u64 {
        let images = self.recipe.train_images as u64 * u64::from(epochs);
        let costs = self.costs_of(genome);
        costs.map_or(0, |costs| costs.flops.saturating_mul(3 * images))
    }

    /// The number of steps of a training.
    pub fn training_steps(&self) -> u64 {
        let images = self.recipe.train_images as u64;
        u64::from(self.recipe.epochs) * images.div_ceil(self.recipe.batch_size as u64)
    }

    /// The objectives of the run, in this order: accuracy, parameters, and FLOPs or the predicted latency.
    pub fn objectives(&self) -> Vec<Objective> {
        let mut all = objectives();
        if self.latency.is_some() {
            all[2] = Objective::minimize("latency_us");
        }
        all
    }

    /// The predicted latency of a genome's network in microseconds, if the run searches by it.
    pub fn latency_us_of(&self, genome: &Genome) -> Option<u64> {
        let table = self.latency.as_ref()?;
        table.latency_us(&self.space.decode(genome).ok()?).ok()
    }

    /// The values of the objectives of a genome whose network was measured.
    pub fn objective_values(&self, genome: &Genome, measured: &Measurement) -> [f64; 3] {
        let third = match self.latency {
            Some(_) => self.latency_us_of(genome).unwrap_or(u64::MAX),
            None => measured.flops,
        };
        let accuracy = measured.accuracy.percent();
        [accuracy, measured.params as f64, third as f64]
    }

    /// The costs of a genome; `None` if it is not one of the space.
    pub fn costs_of(&self, genome: &Genome) -> Option<Costs> {
        self.space.decode(genome).ok()?.costs().ok()
    }

    /// What a signed request of this run must contain.
    pub fn request_rules(&self) -> RequestRules {
        RequestRules::new(self.digest(), self.request_version >= 2)
    }
}

/// Objectives for an error, in at most 100 characters: their names are of any length.
fn shown(objectives: &[Objective]) -> String {
    let names = objectives.iter().take(4);
    let names: Vec<_> = names
        .map(|goal| format!("{} ({:?})", goal.name, goal.direction))
        .collect();
    names.join(", ").chars().take(100).collect()
}

#[cfg(test)]
mod tests;
