//! Verdicts compared with an exhaustive search of subsets, and their invariants.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use naschain_consensus::{Agreement, Finding, Row, Rule, judge, judge_with_costs};
use naschain_core::{Accuracy, Costs, Digest, Measurement};
use proptest::prelude::*;

fn measured(hundredths: u32, params: u64, flops: u64, digest: u8) -> Row {
    Row::Measured(Measurement {
        accuracy: Accuracy::from_hundredths(hundredths).unwrap(),
        params,
        flops,
        digest: Digest([digest; 32]),
    })
}

/// Answers that are often equal, at the limit of the tolerance, or unreadable.
fn any_row() -> impl Strategy<Value = Row> {
    prop_oneof![
        12 => (0u32..8, 0u64..5, 0u64..5, 0u8..3).prop_map(|(step, params, flops, digest)| {
            measured(9000 + 50 * step, 10 + params / 4, 20 + flops / 4, digest)
        }),
        1 => Just(Row::Malformed("x".into())),
        1 => Just(Row::Failed("y".into())),
    ]
}

fn any_agreement() -> impl Strategy<Value = Agreement> {
    let rule = prop_oneof![
        Just(Rule::Tolerance),
        Just(Rule::Exact),
        Just(Rule::Chained)
    ];
    (
        rule,
        prop_oneof![Just(100u32), Just(99), Just(0), Just(500)],
    )
        .prop_map(|(rule, tolerance)| {
            let mut agreement = Agreement::new(rule);
            agreement.tolerance_hundredths = tolerance;
            agreement
        })
}

fn pair_agrees(a: &Row, b: &Row, agreement: &Agreement) -> bool {
    match (a.measurement(), b.measurement()) {
        (Some(a), Some(b)) => agreement.pair_agrees(a, b),
        _ => false,
    }
}

fn paid_kinds(rows: &[Row], agreed: &[bool]) -> Vec<String> {
    let paid = rows.iter().zip(agreed).filter(|(_, paid)| **paid);
    let mut kinds: Vec<String> = paid.map(|(row, _)| format!("{row:?}")).collect();
    kinds.sort();
    kinds
}

fn members(rows: &[Row], mask: u32) -> Vec<usize> {
    (0..rows.len()).filter(|i| mask >> i & 1 == 1).collect()
}

/// The rewarded answers, by exhaustive search of all subsets.
fn exhaustive(rows: &[Row], agreement: &Agreement) -> Vec<bool> {
    if agreement.rule == Rule::Chained {
        let agrees = |i: usize, j: usize| i != j && pair_agrees(&rows[i], &rows[j], agreement);
        return (0..rows.len())
            .map(|i| (0..rows.len()).any(|j| agrees(i, j)))
            .collect();
    }
    let best = (0u32..1 << rows.len())
        .map(|mask| members(rows, mask))
        .filter(|set| set.len() >= 2)
        .filter(|set| {
            set.iter().all(|&i| {
                set.iter()
                    .all(|&j| i == j || pair_agrees(&rows[i], &rows[j], agreement))
            })
        })
        .max_by_key(|set| {
            let own = |i: &usize| *rows[*i].measurement().unwrap();
            let mut digests = BTreeMap::new();
            for i in set {
                *digests.entry(own(i).digest).or_insert(0) += 1;
            }
            let accuracies = set.iter().map(|i| own(i).accuracy.hundredths());
            let spread = accuracies.clone().max().unwrap() - accuracies.min().unwrap();
            let equal_digests = digests.into_values().max().unwrap();
            (
                set.len(),
                equal_digests,
                Reverse(spread),
                Reverse(set.clone()),
            )
        });
    let best = best.unwrap_or_default();
    (0..rows.len()).map(|i| best.contains(&i)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn judging_equals_an_exhaustive_search(
        rows in prop::collection::vec(any_row(), 0..9),
        agreement in any_agreement(),
    ) {
        let verdict = judge(&rows, &agreement);
        prop_assert_eq!(&verdict.agreed, &exhaustive(&rows, &agreement));
        prop_assert_eq!(verdict.consensus.is_some(), verdict.agreed.contains(&true));
        for (index, finding) in verdict.findings.iter().enumerate() {
            prop_assert_eq!(verdict.agreed[index], *finding == Finding::Agreed);
            if let Finding::AccuracyOff { by_hundredths } = finding {
                prop_assert!(*by_hundredths > agreement.tolerance_hundredths);
            }
        }
        if let Some(kept) = verdict.consensus {
            let of = |row: &Row| row.measurement() == Some(&kept);
            prop_assert!(rows.iter().zip(&verdict.agreed).any(|(row, paid)| *paid && of(row)));
        }
    }

    #[test]
    fn the_consensus_is_the_lower_median(
        rows in prop::collection::vec(any_row(), 2..9),
        rule in prop_oneof![Just(Rule::Tolerance), Just(Rule::Exact)],
    ) {
        let verdict = judge(&rows, &Agreement::new(rule));
        let mut paid: Vec<Accuracy> = rows
            .iter()
            .zip(&verdict.agreed)
            .filter(|(_, paid)| **paid)
            .filter_map(|(row, _)| Some(row.measurement()?.accuracy))
            .collect();
        paid.sort();
        let middle = (!paid.is_empty()).then(|| paid[(paid.len() - 1) / 2]);
        prop_assert_eq!(verdict.consensus.map(|kept| kept.accuracy), middle);
    }

    /// Equal answers are interchangeable, so the number of rewarded answers of each kind is
    /// compared. The order may decide only between sets of equal size, digests and spread.
    #[test]
    fn the_order_of_rows_decides_only_between_equal_sets(
        (rows, shuffled) in prop::collection::vec(any_row(), 0..8)
            .prop_flat_map(|rows| (Just(rows.clone()), Just(rows).prop_shuffle())),
        agreement in any_agreement(),
    ) {
        let (one, other) = (judge(&rows, &agreement), judge(&shuffled, &agreement));
        let describe = |rows: &[Row], agreed: &[bool]| {
            let paid: Vec<Measurement> = rows
                .iter()
                .zip(agreed)
                .filter(|(_, paid)| **paid)
                .filter_map(|(row, _)| row.measurement().copied())
                .collect();
            let accuracies = paid.iter().map(|own| own.accuracy.hundredths());
            let mut digests = BTreeMap::new();
            for own in &paid {
                *digests.entry(own.digest).or_insert(0) += 1;
            }
            let spread = accuracies.clone().max().unwrap_or(0) - accuracies.min().unwrap_or(0);
            (paid.len(), digests.into_values().max(), spread)
        };
        prop_assert_eq!(describe(&rows, &one.agreed), describe(&shuffled, &other.agreed));
        if agreement.rule == Rule::Chained {
            prop_assert_eq!(paid_kinds(&rows, &one.agreed), paid_kinds(&shuffled, &other.agreed));
        }
    }

    #[test]
    fn an_unreadable_row_changes_nothing_for_the_others(
        rows in prop::collection::vec(any_row(), 0..8),
        agreement in any_agreement(),
        at in 0usize..9,
        failed in any::<bool>(),
    ) {
        let at = at.min(rows.len());
        let mut more = rows.clone();
        let unreadable = if failed { Row::Failed("f".into()) } else { Row::Malformed("m".into()) };
        more.insert(at, unreadable);
        let (before, mut after) = (judge(&rows, &agreement), judge(&more, &agreement));
        prop_assert!(!after.agreed.remove(at));
        after.findings.remove(at);
        prop_assert_eq!(before, after);
    }

    #[test]
    fn an_honest_majority_is_found(
        honest in prop::collection::vec(0u32..=100, 2..6),
        liars in prop::collection::vec(any_row(), 0..5),
        rule in prop_oneof![Just(Rule::Tolerance), Just(Rule::Exact), Just(Rule::Chained)],
    ) {
        // Honest answers have a digest of their own, and accuracies far from the liars'.
        prop_assume!(liars.len() < honest.len());
        let mut rows: Vec<Row> = honest.iter().map(|more| measured(2000 + more, 10, 20, 9)).collect();
        rows.extend(liars);
        let verdict = judge(&rows, &Agreement::new(rule));
        prop_assert!(verdict.agreed[..honest.len()].iter().all(|paid| *paid));
        if rule != Rule::Chained {
            prop_assert!(!verdict.agreed[honest.len()..].contains(&true));
        }
    }
}

#[test]
fn ten_thousand_answers_are_judged_quickly() {
    // Every accuracy of 100 windows that tie; a quadratic search would take too long.
    let rows: Vec<Row> = (0..10_000u32)
        .map(|i| measured(i % 10_000, 10, 20, (i % 7) as u8))
        .collect();
    let verdict = judge(&rows, &Agreement::default());
    assert_eq!(verdict.agreed.iter().filter(|paid| **paid).count(), 101);
}

/// Three hotkeys that agree on a network with one parameter win without the costs, and nothing with
/// them; the honest answers are judged as if they were alone.
#[test]
fn answers_with_other_costs_are_malformed() {
    let fake = measured(10_000, 1, 1, 7);
    let rows = [
        fake.clone(),
        measured(9_000, 10, 20, 1),
        fake.clone(),
        measured(9_000, 10, 20, 1),
        fake,
    ];
    for rule in [Rule::Tolerance, Rule::Exact, Rule::Chained] {
        let agreement = Agreement::new(rule);
        assert_eq!(
            judge_with_costs(&rows, None, &agreement),
            judge(&rows, &agreement)
        );
        assert_eq!(judge(&rows, &agreement).consensus.unwrap().params, 1);
        let costs = Costs {
            params: 10,
            flops: 20,
        };
        let verdict = judge_with_costs(&rows, Some(&costs), &agreement);
        assert_eq!(verdict.agreed, [false, true, false, true, false]);
        assert_eq!(verdict.findings[0], Finding::Malformed);
        let other = Costs {
            params: 10,
            flops: 21,
        };
        assert_eq!(
            judge_with_costs(&rows, Some(&other), &agreement).consensus,
            None
        );
    }
}
