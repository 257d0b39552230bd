//! The secret of a served run, which keeps its training seeds unknown until they are needed.
//!
//! Genomes, data and recipe of a run are public. If its seeds were too, anybody could train once and
//! answer under many names, or compute the whole search ahead. So a genomaster draws a secret,
//! publishes its hash in the run's specification, tells each miner the seed of its job, and reveals
//! the secret in the journal when the search is finished: nobody can compute ahead, and everybody can
//! recompute afterwards.

use naschain_consensus::JobId;
use naschain_core::{Digest, Genome, Recipe};

use crate::spec::RunSpec;

/// A run's secret: 32 random bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RunSecret(pub [u8; 32]);

/// Does not show the secret.
impl std::fmt::Debug for RunSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RunSecret({}...)", self.hash())
    }
}

impl RunSecret {
    /// The hash for [`crate::RunSpec::secret_hash`].
    pub fn hash(&self) -> Digest {
        Digest(blake3::derive_key("naschain run secret 1: hash", &self.0))
    }

    /// The seed of the training of this job. It does not reveal the secret or other seeds.
    pub fn training_seed(&self, job: JobId) -> u64 {
        let key = blake3::derive_key("naschain run secret 1: training seeds", &self.0);
        keyed_seed(&key, job.0)
    }
}

impl RunSecret {
    /// The seed of the training of a job of a run. With rungs it follows from the genome: the job that
    /// takes a network to the next rung continues the same training.
    pub fn seed_in(&self, spec: &RunSpec, job: JobId, genome: &Genome) -> u64 {
        if spec.search.rungs.is_empty() {
            return self.training_seed(job);
        }
        let key = blake3::derive_key("naschain run secret 1: training seeds by genome", &self.0);
        let hash = blake3::hash(genome.to_string().as_bytes());
        let (first, _) = hash.as_bytes().split_at(8);
        keyed_seed(
            &key,
            u64::from_le_bytes(first.try_into().expect("eight bytes")),
        )
    }
}

/// A seed that only those who know the key can compute: the first eight bytes of the keyed hash of
/// the number.
pub(crate) fn keyed_seed(key: &[u8; 32], number: u64) -> u64 {
    let hash = blake3::keyed_hash(key, &number.to_le_bytes());
    let (first, _) = hash.as_bytes().split_at(8);
    u64::from_le_bytes(first.try_into().expect("eight bytes"))
}

/// The recipe of a job with this training seed. Training and validation images are the same for all
/// jobs of a run: their accuracies are compared.
pub fn seeded_recipe(recipe: &Recipe, training_seed: u64) -> Recipe {
    let mut seeded = recipe.clone();
    seeded.split_seed = Some(recipe.split_seed.unwrap_or(recipe.seed));
    seeded.seed = training_seed;
    seeded
}

impl RunSpec {
    /// The recipe of a training with this seed; without one that of all trainings.
    pub fn seeded_recipe(&self, training_seed: Option<u64>) -> Recipe {
        let seeded = training_seed.map(|seed| seeded_recipe(&self.recipe, seed));
        seeded.unwrap_or_else(|| self.recipe.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_differ_by_job_and_secret_and_stay_the_same() {
        let (one, two) = (RunSecret([1; 32]), RunSecret([2; 32]));
        assert_ne!(one.hash(), two.hash());
        let seeds = [
            one.training_seed(JobId(0)),
            one.training_seed(JobId(1)),
            two.training_seed(JobId(0)),
        ];
        assert!(seeds[0] != seeds[1] && seeds[0] != seeds[2]);
        // Made by this function: a change would invalidate stored runs.
        assert_eq!(seeds[0], SEED_OF_JOB_0);
        assert!(!format!("{one:?}").contains("[1"));
    }

    const SEED_OF_JOB_0: u64 = 4_998_426_124_600_902_945;

    #[test]
    fn a_seeded_recipe_keeps_the_split() {
        let mut recipe = Recipe::default();
        recipe.seed = 7;
        let seeded = seeded_recipe(&recipe, 99);
        assert_eq!((seeded.seed, seeded.split_seed), (99, Some(7)));
        assert_eq!(seeded_recipe(&seeded, 5).split_seed, Some(7));
    }
}
