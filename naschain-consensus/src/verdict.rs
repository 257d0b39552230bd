//! The verdict of a job: which answers agree and which are rewarded.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;

use naschain_core::{Costs, Digest, Measurement};
use serde::{Deserialize, Serialize};

use crate::{Agreement, Row, Rule};

/// Why an answer is rewarded or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Finding {
    /// It belongs to the agreeing set.
    Agreed,
    /// Its accuracy differs too much: from the farthest of the agreeing set or, if there is none,
    /// from the nearest of all.
    AccuracyOff {
        /// The difference in hundredths of a percentage point, which is above the tolerance.
        by_hundredths: u32,
    },
    /// Its number of parameters differs.
    ParamsDiffer,
    /// Its parameters are equal, its FLOPs differ.
    FlopsDiffer,
    /// Parameters and FLOPs are equal, its training digest differs (exact rule only).
    DigestDiffers,
    /// There is no other measurement.
    Alone,
    /// The miner was trusted with the job alone, so there was no other answer.
    Trusted,
    /// It could not be read.
    Malformed,
    /// It reports a failed training.
    Failed,
    /// The referee computed another state or accuracy.
    Refuted,
    /// Its miner did not answer a question about it in time.
    Silent,
    /// What its miner answered to a question contradicts it, or is incomplete.
    Contradicted,
}

impl Finding {
    /// Whether the answer has lost a dispute.
    pub(crate) fn is_lost(self) -> bool {
        matches!(
            self,
            Finding::Refuted | Finding::Silent | Finding::Contradicted
        )
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finding::Agreed => f.pad("agreed"),
            Finding::AccuracyOff { by_hundredths: by } => {
                f.pad(&format!("accuracy off by {}.{:02}", by / 100, by % 100))
            }
            Finding::ParamsDiffer => f.pad("params differ"),
            Finding::FlopsDiffer => f.pad("flops differ"),
            Finding::DigestDiffers => f.pad("digest differs"),
            Finding::Alone => f.pad("alone"),
            Finding::Trusted => f.pad("trusted"),
            Finding::Malformed => f.pad("malformed"),
            Finding::Failed => f.pad("failed"),
            Finding::Refuted => f.pad("refuted by the referee"),
            Finding::Silent => f.pad("did not answer a question"),
            Finding::Contradicted => f.pad("contradicts itself"),
        }
    }
}

/// The verdict on the answers of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// Whether each answer is rewarded.
    pub agreed: Vec<bool>,
    /// The finding on each answer.
    #[serde(rename = "reasons")]
    pub findings: Vec<Finding>,
    /// The member of the agreeing set with the median accuracy, the lower one of two; `None` if no
    /// answers agree and the job is rejected.
    pub consensus: Option<Measurement>,
}

/// Judges the answers of a job: finds the set that agrees and its consensus.
///
/// Under [`Rule::Tolerance`] and [`Rule::Exact`] that is the largest set of at least two answers
/// that agree pairwise. Ties are broken by the number of members with one digest, then by the
/// smaller spread of accuracy, then by the earlier answers. Malformed and failed answers agree with
/// none and do not affect the others.
///
/// Answers that agree pairwise have equal parameters and FLOPs, and their accuracies lie in a
/// window as wide as the tolerance. So sorting finds the set: n answers take O(n log n), and
/// O(n² log n) only if many sets tie.
///
/// ```
/// use naschain_consensus::{judge, Agreement, Finding, Row};
/// use naschain_core::{Accuracy, Digest, Measurement};
/// let row = |hundredths| Row::Measured(Measurement {
///     accuracy: Accuracy::from_hundredths(hundredths).unwrap(),
///     params: 583_102,
///     flops: 224_629_920,
///     digest: Digest([0; 32]),
/// });
/// let verdict = judge(&[row(9000), row(9080), row(8000)], &Agreement::default());
/// assert_eq!(verdict.agreed, [true, true, false]);
/// assert_eq!(verdict.findings[2], Finding::AccuracyOff { by_hundredths: 1080 });
/// assert_eq!(verdict.consensus.unwrap().accuracy.to_string(), "90.00");
/// ```
pub fn judge(rows: &[Row], agreement: &Agreement) -> Verdict {
    let measured: Vec<(usize, &Measurement)> = rows
        .iter()
        .enumerate()
        .filter_map(|(index, row)| Some((index, row.measurement()?)))
        .collect();
    let candidates = agreeing_sets(&measured, agreement);
    let best = best_set(&candidates);
    let rewarded: Vec<usize> = match agreement.rule {
        Rule::Chained => candidates.iter().flatten().map(|(i, _)| *i).collect(),
        Rule::Tolerance | Rule::Exact => best
            .iter()
            .flat_map(|set| set.iter().map(|(i, _)| *i))
            .collect(),
    };
    let mut agreed = vec![false; rows.len()];
    for index in rewarded {
        agreed[index] = true;
    }
    let findings = rows
        .iter()
        .enumerate()
        .map(|(index, row)| match row {
            Row::Malformed(_) => Finding::Malformed,
            Row::Failed(_) => Finding::Failed,
            Row::Measured(_) if agreed[index] => Finding::Agreed,
            Row::Measured(own) => match best {
                Some(set) if agreement.rule != Rule::Chained => against_set(own, set, agreement),
                _ => against_nearest(index, own, &measured, agreement),
            },
        })
        .collect();
    Verdict {
        agreed,
        findings,
        consensus: best.map(|set| median(set)),
    }
}

/// As [`judge`], where the costs of the network are known exactly: an answer with other parameters
/// or FLOPs is malformed. `None` for problems whose costs are measured.
pub fn judge_with_costs(rows: &[Row], costs: Option<&Costs>, agreement: &Agreement) -> Verdict {
    let Some(costs) = costs else {
        return judge(rows, agreement);
    };
    let checked = rows.iter().map(|row| check_costs(row.clone(), costs));
    judge(&checked.collect::<Vec<Row>>(), agreement)
}

/// An answer as it counts where the costs of the network are known: malformed if its parameters or
/// FLOPs differ from them.
pub fn check_costs(row: Row, costs: &Costs) -> Row {
    match row {
        Row::Measured(found) if (found.params, found.flops) != (costs.params, costs.flops) => {
            Row::Malformed(format!(
                "params {} and flops {} are those of another network; this one has {} and {}",
                found.params, found.flops, costs.params, costs.flops
            ))
        }
        row => row,
    }
}

/// Compares a late answer, which had no part in the verdict, with the consensus of its job. It
/// [agrees](Finding::Agreed) if the two agree as a pair.
pub fn judge_late(row: &Row, consensus: &Measurement, agreement: &Agreement) -> Finding {
    match row {
        Row::Malformed(_) => Finding::Malformed,
        Row::Failed(_) => Finding::Failed,
        Row::Measured(own) if agreement.pair_agrees(own, consensus) => Finding::Agreed,
        Row::Measured(own) => difference(own, consensus, agreement),
    }
}

type Set<'a> = Vec<(usize, &'a Measurement)>;

/// All candidates for the agreeing set, of at least two members: under the chained rule the chains,
/// otherwise the windows of accuracy. The largest set is always a whole window.
fn agreeing_sets<'a>(measured: &[(usize, &'a Measurement)], agreement: &Agreement) -> Vec<Set<'a>> {
    let mut groups: BTreeMap<(u64, u64, Option<Digest>), Set<'a>> = BTreeMap::new();
    for &(index, own) in measured {
        let digest = (agreement.rule == Rule::Exact).then_some(own.digest);
        let group = groups.entry((own.params, own.flops, digest)).or_default();
        group.push((index, own));
    }
    let mut sets = Vec::new();
    let mut largest = 2;
    for mut group in groups.into_values() {
        group.sort_by_key(|(index, own)| (own.accuracy, *index));
        let accuracy = |at: usize| group[at].1.accuracy.hundredths();
        let mut end = 0;
        for start in 0..group.len() {
            let chained = agreement.rule == Rule::Chained;
            if (chained && start < end)
                || (!chained && start > 0 && accuracy(start) == accuracy(start - 1))
            {
                continue;
            }
            end = end.max(start + 1);
            while end < group.len() {
                let from = if chained { end - 1 } else { start };
                if accuracy(end) - accuracy(from) > agreement.tolerance_hundredths {
                    break;
                }
                end += 1;
            }
            // Smaller windows than the largest so far cannot win; every chain is rewarded.
            if end - start >= if chained { 2 } else { largest } {
                largest = largest.max(end - start);
                sets.push(group[start..end].to_vec());
            }
        }
    }
    sets
}

fn best_set<'s, 'a>(sets: &'s [Set<'a>]) -> Option<&'s Set<'a>> {
    let largest = sets.iter().map(Vec::len).max()?;
    sets.iter()
        .filter(|set| set.len() == largest)
        .max_by_key(|set| {
            let mut digests: BTreeMap<Digest, usize> = BTreeMap::new();
            for (_, own) in set.iter() {
                *digests.entry(own.digest).or_default() += 1;
            }
            let spread =
                set[set.len() - 1].1.accuracy.hundredths() - set[0].1.accuracy.hundredths();
            let mut order: Vec<usize> = set.iter().map(|(index, _)| *index).collect();
            order.sort_unstable();
            (digests.into_values().max(), Reverse(spread), Reverse(order))
        })
}

/// The lower median by accuracy. Ties are broken by digest, so that the order of the answers does
/// not matter.
fn median(set: &Set<'_>) -> Measurement {
    let mut members: Vec<&Measurement> = set.iter().map(|(_, own)| *own).collect();
    members.sort_by_key(|own| (own.accuracy, own.digest));
    *members[(members.len() - 1) / 2]
}

fn apart(a: &Measurement, b: &Measurement) -> u32 {
    a.accuracy.hundredths().abs_diff(b.accuracy.hundredths())
}

fn against_set(own: &Measurement, set: &Set<'_>, agreement: &Agreement) -> Finding {
    let farthest = set.iter().max_by_key(|(_, other)| apart(own, other));
    farthest.map_or(Finding::Alone, |(_, other)| {
        difference(own, other, agreement)
    })
}

fn against_nearest(
    index: usize,
    own: &Measurement,
    measured: &[(usize, &Measurement)],
    agreement: &Agreement,
) -> Finding {
    let others = measured.iter().filter(|(other, _)| *other != index);
    let nearest = others.min_by_key(|(_, other)| {
        let same_params = own.params == other.params;
        let same_costs = same_params && own.flops == other.flops;
        (!same_params, !same_costs, apart(own, other))
    });
    nearest.map_or(Finding::Alone, |(_, other)| {
        difference(own, other, agreement)
    })
}

/// Why two measurements do not agree.
fn difference(own: &Measurement, other: &Measurement, agreement: &Agreement) -> Finding {
    if own.params != other.params {
        Finding::ParamsDiffer
    } else if own.flops != other.flops {
        Finding::FlopsDiffer
    } else if agreement.rule == Rule::Exact && own.digest != other.digest {
        Finding::DigestDiffers
    } else {
        Finding::AccuracyOff {
            by_hundredths: apart(own, other),
        }
    }
}
