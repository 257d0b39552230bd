use naschain_core::{Genome, MacroSpace};

use crate::Space;

/// The macro space, for three objectives in this order: one that is evaluated (such as the accuracy),
/// the number of parameters, and the FLOPs.
///
/// Genomes of the same network are the same candidate ([`MacroSpace::canonical`]), and parameters and
/// FLOPs are known without evaluation. The search's `genome_len` must be [`MacroSpace::genome_len`],
/// and the space must be valid. A genome without a canonical form counts as one of its own, and the
/// costs of a genome that cannot be decoded count as unknown.
///
/// Feature `macro-space`, on by default.
impl Space for MacroSpace {
    type Genome = Genome;

    fn canonical(&self, genome: &Genome) -> Genome {
        let canonical = MacroSpace::canonical(self, genome);
        canonical.unwrap_or_else(|_| genome.clone())
    }

    fn known_objectives(&self, genome: &Genome) -> Vec<Option<f64>> {
        let costs = self.decode(genome).and_then(|network| network.costs());
        match costs {
            Ok(costs) => vec![None, Some(costs.params as f64), Some(costs.flops as f64)],
            Err(_) => Vec::new(),
        }
    }
}
