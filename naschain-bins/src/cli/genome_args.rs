//! The flags that choose a network of a run.

use std::path::Path;
use std::str::FromStr;

use anyhow::{Context, Error, Result, bail, ensure};
use clap::Args;
use naschain_run::FrontMember;

use crate::artifacts::choice::Choice;
use crate::artifacts::history::not_evaluated;
use crate::artifacts::results::Results;
use crate::cli::suggesting::Suggesting;

/// Which network of a run to use.
#[derive(Args, Debug)]
pub(crate) struct GenomeArgs {
    /// Network: best (highest validation accuracy), knee (where more parameters gain little),
    /// smallest, or the bits of a genome that the run evaluated, where - may separate its parts
    #[arg(long, value_name = "best|knee|smallest|BITS", default_value = "best", value_parser = genome_parser(), hide_possible_values = true)]
    pub(crate) genome: GenomeChoice,
    /// Choose among networks of at most this many parameters
    #[arg(long, value_name = "N")]
    pub(crate) max_params: Option<u64>,
}

/// A network by name or by its genome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum GenomeChoice {
    Named(Choice),
    /// The text of a genome; whether it is one depends on the run.
    Bits(String),
}

impl FromStr for GenomeChoice {
    type Err = Error;

    fn from_str(text: &str) -> Result<GenomeChoice> {
        if let Some(choice) = Choice::named(&text.to_ascii_lowercase()) {
            return Ok(GenomeChoice::Named(choice));
        }
        let is_bits = text.chars().all(|c| matches!(c, '0' | '1' | '-'));
        if is_bits && !text.is_empty() {
            return Ok(GenomeChoice::Bits(text.to_owned()));
        }
        let hint = Choice::similar(text);
        let hint = hint.map(|choice| format!("did you mean {}? ", choice.name()));
        bail!(
            "{}use best, knee, smallest, or the bits of a genome, such as 1101010-1001001",
            hint.unwrap_or_default()
        )
    }
}

/// Parses `--genome`, and lets shells complete the names.
fn genome_parser() -> Suggesting<GenomeChoice> {
    Suggesting::new(Choice::ALL.map(|choice| choice.name().to_owned()))
}

impl GenomeArgs {
    /// The flags as they can follow another command for the same network, each after a space; empty
    /// for the best network.
    pub(crate) fn repeated(&self) -> String {
        let mut flags = match &self.genome {
            GenomeChoice::Named(Choice::Best) => String::new(),
            GenomeChoice::Named(choice) => format!(" --genome {}", choice.name()),
            GenomeChoice::Bits(bits) => format!(" --genome {bits}"),
        };
        if let Some(limit) = self.max_params {
            flags += &format!(" --max-params {limit}");
        }
        flags
    }

    /// The bits of the genome that the flags choose in the run in `dir`.
    pub(crate) fn choose(&self, dir: &Path) -> Result<String> {
        let choice = match &self.genome {
            GenomeChoice::Named(choice) => *choice,
            GenomeChoice::Bits(bits) => {
                ensure!(
                    self.max_params.is_none(),
                    "--max-params chooses among networks, but --genome {bits} names one; use best, knee or smallest"
                );
                return Ok(bits.clone());
            }
        };
        let results = Results::read(dir)?;
        ensure!(!results.ended.is_empty(), not_evaluated(dir));
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
            None if results.front.is_empty() => format!(
                "none of the {} networks of {} has a result",
                results.ended.len(),
                dir.display()
            ),
            None => results.none_useful(
                &format!(" of {}", dir.display()),
                "search longer, or name a genome with --genome BITS",
            ),
        })?;
        Ok(chosen.genome.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_repeated_unless_they_are_defaults() {
        let repeated = |genome: &str, max_params| {
            let genome = genome.parse().unwrap();
            GenomeArgs { genome, max_params }.repeated()
        };
        assert_eq!(repeated("best", None), "");
        assert_eq!(repeated("best", Some(900)), " --max-params 900");
        assert_eq!(repeated("knee", None), " --genome knee");
        assert_eq!(repeated("01-1", None), " --genome 01-1");
    }

    #[test]
    fn a_mistyped_name_gets_a_hint() {
        let error = |text: &str| text.parse::<GenomeChoice>().unwrap_err().to_string();
        for (wrong, right) in [
            ("nee", "knee"),
            ("Bests", "best"),
            ("smalest", "smallest"),
            ("small", "smallest"),
        ] {
            let error = error(wrong);
            let hint = format!("did you mean {right}? use best, knee, smallest, or");
            assert!(error.starts_with(&hint), "{wrong}: {error}");
        }
        for wrong in ["", "102", "network", "fronts"] {
            assert!(error(wrong).starts_with("use best"), "{wrong}");
        }
        let knee = GenomeChoice::Named(Choice::Knee);
        assert_eq!("Knee".parse::<GenomeChoice>().unwrap(), knee);
        let bits = GenomeChoice::Bits("01-1".to_owned());
        assert_eq!("01-1".parse::<GenomeChoice>().unwrap(), bits);
    }
}
