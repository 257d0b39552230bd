//! The crate's error type.

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
    /// This version does not know the requests of the run.
    #[error("request_version is {found}; this version supports 1 to {latest}")]
    RequestVersion {
        /// The version found.
        found: u32,
        /// The latest version supported.
        latest: u32,
    },
    /// The bytes are not a stored state of this version.
    #[error("the stored state cannot be used: {reason}")]
    StoredState {
        /// What is wrong with them.
        reason: String,
    },
}
