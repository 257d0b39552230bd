//! Verdicts of the text tables in `testdata`.

use naschain_consensus::{Agreement, Row, judge};
use naschain_core::{Accuracy, Digest, Measurement};

fn accuracy(text: &str) -> Accuracy {
    Accuracy::from_percent(text.parse().unwrap()).unwrap()
}

fn digest(letter: &str) -> Digest {
    assert_eq!(letter.len(), 1, "a digest is one letter, not {letter:?}");
    Digest([letter.as_bytes()[0]; 32])
}

fn row(text: &str) -> Row {
    let fields: Vec<&str> = text.split_whitespace().collect();
    match fields[..] {
        ["malformed"] => Row::Malformed("not four fields".into()),
        ["failed"] => Row::Failed("out of memory".into()),
        [percent, params, flops, letter] => Row::Measured(Measurement {
            accuracy: accuracy(percent),
            params: params.parse().unwrap(),
            flops: flops.parse().unwrap(),
            digest: digest(letter),
        }),
        _ => panic!("no row: {text:?}"),
    }
}

/// Judges one block and compares the verdict with it.
fn check(block: &str) {
    let lines: Vec<&str> = block
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    let (case, rule) = (lines[0], lines[1]);
    let (name, tolerance) = rule.strip_prefix("rule ").unwrap().split_once(' ').unwrap();
    let mut agreement = Agreement::new(name.parse().unwrap());
    agreement.tolerance_hundredths = accuracy(tolerance).hundredths();
    let (answers, result) = lines[2..].split_at(lines.len() - 3);
    let parts: Vec<(&str, &str)> = answers
        .iter()
        .map(|line| {
            line.split_once("->")
                .unwrap_or_else(|| panic!("{case}: {line}"))
        })
        .collect();
    let rows: Vec<Row> = parts.iter().map(|(answer, _)| row(answer)).collect();
    let verdict = judge(&rows, &agreement);
    for (index, (answer, expected)) in parts.iter().enumerate() {
        let (paid, reason) = expected.trim().split_once(' ').unwrap();
        assert_eq!(
            verdict.findings[index].to_string(),
            reason.trim(),
            "{case}: {answer}"
        );
        assert_eq!(verdict.agreed[index], paid == "paid", "{case}: {answer}");
        assert!(["paid", "unpaid"].contains(&paid), "{case}: {paid}");
    }
    let kept = verdict.consensus.map_or("rejected".to_owned(), |kept| {
        let letter = char::from(kept.digest.0[0]);
        format!("result {} {letter}", kept.accuracy)
    });
    assert_eq!(kept, result[0], "{case}");
}

fn check_table(table: &str, cases: usize) {
    let blocks: Vec<&str> = table
        .split("\n\n")
        .filter(|block| block.lines().any(|line| line.starts_with("case ")))
        .collect();
    // A parsing error must not pass as a table without cases.
    assert_eq!(blocks.len(), cases);
    blocks.into_iter().for_each(check);
}

#[test]
fn tolerance() {
    check_table(include_str!("testdata/tolerance.txt"), 27);
}

#[test]
fn exact() {
    check_table(include_str!("testdata/exact.txt"), 12);
}

#[test]
fn chained() {
    check_table(include_str!("testdata/chained.txt"), 8);
}
