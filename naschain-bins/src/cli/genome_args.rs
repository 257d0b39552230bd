//! The flags that choose a network of a run.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use clap::Args;
use naschain_run::FrontMember;

use crate::artifacts::choice::Choice;
use crate::artifacts::results::Results;

/// Which network of a run to use.
#[derive(Args, Debug)]
pub(crate) struct GenomeArgs {
    /// Network: best (highest validation accuracy), knee (where more parameters gain little),
    /// smallest, or the bits of a genome that the run evaluated, where - may separate phases
    #[arg(long, value_name = "best|knee|smallest|BITS", default_value = "best")]
    pub(crate) genome: String,
    /// Choose among networks of at most this many parameters
    #[arg(long, value_name = "N")]
    pub(crate) max_params: Option<u64>,
}

impl GenomeArgs {
    /// The bits of the genome that the flags choose in the run in `dir`.
    pub(crate) fn choose(&self, dir: &Path) -> Result<String> {
        let Some(choice) = Choice::named(&self.genome) else {
            ensure!(
                self.max_params.is_none(),
                "--max-params chooses among networks, but --genome {} names one; use best, knee or smallest",
                self.genome
            );
            return Ok(self.genome.clone());
        };
        let results = Results::read(dir)?;
        let front = results.useful_front();
        let limit = self.max_params.unwrap_or(u64::MAX);
        let fits = |member: &&FrontMember| member.measurement.params <= limit;
        let fitting: Vec<&FrontMember> = front.iter().copied().filter(fits).collect();
        let smallest = front.iter().map(|member| member.measurement.params).min();
        let chosen = choice.pick(&fitting).with_context(|| match smallest {
            Some(smallest) => format!(
                "no network of {} has at most {limit} parameters; the smallest has {smallest}",
                dir.display()
            ),
            None => format!(
                "no network of {} is better than guessing (above {:.2} % validation accuracy); search longer, or name a genome with --genome BITS",
                dir.display(),
                results.guessing_limit()
            ),
        })?;
        Ok(chosen.genome.to_string())
    }
}
