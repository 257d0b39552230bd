//! Which runs the reference network's miners can take part in.

use anyhow::{Result, bail, ensure};
use naschain_consensus::Rule;
use naschain_core::SearchSpace;
use naschain_run::RunSpec;

/// What the reference network's miner trains, whatever it is told.
const DATA: &str = "cifar10";
const PHASES: usize = 3;

/// Refuses runs that such miners cannot take part in: they have no training digests, and a genome
/// for other data or with other phases kills the thread in which they train.
pub(crate) fn check_run(spec: &RunSpec) -> Result<()> {
    ensure!(
        spec.rules.agreement.rule != Rule::Exact,
        "--legacy needs --agreement tolerance or chained: miners of the reference network have no training digests"
    );
    let data = &spec.data.name;
    let (fits, found) = match &spec.space {
        SearchSpace::Macro(space) => {
            let phases = space.phases;
            (phases == PHASES, format!(" and --phases {phases}"))
        }
        SearchSpace::Micro(_) => (true, String::new()),
        other => (false, format!(" and --space {other}")),
    };
    if data != DATA || !fits {
        bail!(
            "--legacy needs --data {DATA} and --phases {PHASES}, or --space micro, and this run has --data {data}{found}: the reference network's miner trains nothing else"
        );
    }
    Ok(())
}

/// How answers agree in this run, compared with the reference network, for the log at the start.
pub(crate) fn describe_rule(rule: Rule) -> &'static str {
    match rule {
        Rule::Chained => {
            "--legacy: answers agree by chaining, as in the reference network's validator: 70.0, 70.9 and 71.8 % agree"
        }
        _ => {
            "--legacy: answers agree pairwise: of 70.0, 70.9 and 71.8 % only two agree, where the reference network's validator pays all three; --agreement chained selects its rule"
        }
    }
}
