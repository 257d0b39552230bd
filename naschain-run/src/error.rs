//! The crate's error type.

use naschain_core::{Costs, Genome};

use crate::limits::CostLimits;

/// Why a run's specification or a stored state cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The search space or the recipe is invalid.
    #[error(transparent)]
    Core(#[from] naschain_core::Error),
    /// The rules of the job board are invalid.
    #[error(transparent)]
    Rules(#[from] naschain_consensus::Error),
    /// The configuration of the search is invalid.
    #[error(transparent)]
    Search(#[from] naschain_nsga::Error),
    /// The search and the space disagree on the length of a genome.
    #[error("the search's genomes have {search} bits; those of the search space have {space}")]
    GenomeLength {
        /// Bits of a genome of the search.
        search: usize,
        /// Bits of a genome of the space.
        space: usize,
    },
    /// The objectives are not those of a run.
    #[error("the objectives are {found}; they must be {right}")]
    Objectives {
        /// The first of those found.
        found: String,
        /// Those of the run.
        right: String,
    },
    /// A generation is too large to be followed.
    #[error("population is {found}; it must be at most {most} to be followed over the network")]
    Population {
        /// The population found.
        found: usize,
        /// The largest one.
        most: usize,
    },
    /// The referee has another number of steps than a training of the run.
    #[error("rules.referee.steps is {found}; a training of this run has {steps} steps")]
    RefereeSteps {
        /// The number found.
        found: u64,
        /// The steps of a training.
        steps: u64,
    },
    /// The job board counts other epochs than the trainings of a run with rungs have.
    #[error("rules.epochs is {found}; with rungs it must be {epochs}, the recipe's")]
    Epochs {
        /// The number found.
        found: u32,
        /// The recipe's.
        epochs: u32,
    },
    /// The search does not compare networks where their trainings are measured.
    #[error(
        "search.rungs is {found:?}; the trainings of this run are measured after epochs {measured:?}"
    )]
    Rungs {
        /// The rungs of the search.
        found: Vec<u32>,
        /// The epochs of the recipe.
        measured: Vec<u32>,
    },
    /// Miners with other bits cannot continue each other's trainings.
    #[error(
        "a run with rungs needs the exact rule of agreement (--agreement exact): a job continues from the state on which the miners of the one before agreed"
    )]
    InexactRungs,
    /// So few networks go on from each rung that none is trained to the end.
    #[error(
        "a search of {networks} networks with measurements after epochs {epochs:?} trains none to the end; search more networks, or use fewer rungs"
    )]
    NoneAtLastRung {
        /// The maximum number of networks.
        networks: usize,
        /// The epochs after which trainings are measured.
        epochs: Vec<u32>,
    },
    /// A search would choose its networks by their accuracy on the test images.
    #[error(
        "validation-images is 0 in a search of {networks} networks; it must be at least 1, so that they are not chosen by the test images"
    )]
    ChosenByTest {
        /// The maximum number of networks.
        networks: usize,
    },
    /// A network that must be allowed is not.
    #[error(
        "the limits allow too little ({}): the network of genome {genome}, which a search must be able to train, has {} parameters and {} FLOPs; allow at least as many, or choose a smaller space",
        limited(*limits),
        costs.params,
        costs.flops
    )]
    Limits {
        /// The genome: the smallest of the space, or one of those to start from.
        genome: Genome,
        /// The costs of its network.
        costs: Costs,
        /// The limits.
        limits: CostLimits,
    },
    /// Too few networks were measured to fit the latencies of their layers.
    #[error(
        "{found} networks were measured; it takes at least {least} to fit a table of latencies"
    )]
    TooFewLatencies {
        /// The number found.
        found: usize,
        /// The least number.
        least: usize,
    },
    /// A table of latencies has no layers of this kind.
    #[error("the table of latencies has no layer like {layer}; measure networks of this space")]
    UnknownLayer {
        /// The name of the layer.
        layer: String,
    },
    /// A table of latencies is too large.
    #[error("the table of latencies has {found} rows; it must have at most {most}")]
    LatencyRows {
        /// The number found.
        found: usize,
        /// The largest number.
        most: usize,
    },
    /// A table of latencies was measured for another space.
    #[error(
        "the table of latencies is of the space {found}; this run searches {space}: measure its networks with genomaster latency and the same flags"
    )]
    LatencySpace {
        /// The space of the table.
        found: String,
        /// The space of the run.
        space: String,
    },
    /// More genomes to start from than the first generation has.
    #[error("initial_genomes has {found} genomes; it must have at most {most}, the population")]
    InitialCount {
        /// The number found.
        found: usize,
        /// The population.
        most: usize,
    },
    /// Two of the genomes to start from are one network.
    #[error(
        "initial_genomes has {first} and {second}, which are the same network; it must have it once"
    )]
    InitialTwice {
        /// The first of them.
        first: Genome,
        /// The second.
        second: Genome,
    },
    /// This version does not know the requests of the run.
    #[error("request_version is {found}; this version supports 1 to {latest}")]
    RequestVersion {
        /// The version found.
        found: u32,
        /// The latest version supported.
        latest: u32,
    },
    /// An entrance examination is not one of the run, or costs too much.
    #[error("the entrance examination is invalid: {reason}")]
    Exam {
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// The bytes are not a stored state of this version.
    #[error("the stored state cannot be used: {reason}")]
    StoredState {
        /// What is wrong with them.
        reason: String,
    },
}

/// Limits as in `run.json`.
fn limited(limits: CostLimits) -> String {
    let one = |name: &str, most: Option<u64>| most.map(|most| format!("{name}: {most}"));
    let both = [
        one("max_params", limits.max_params),
        one("max_flops", limits.max_flops),
    ];
    both.into_iter().flatten().collect::<Vec<_>>().join(", ")
}
