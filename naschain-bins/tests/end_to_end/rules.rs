//! `--rule` and `--pace`: what the libraries offer and the programs let their users choose.

use serde_json::Value;

use crate::programs::{folder, read, search, succeeded, text};

#[test]
fn rules_of_the_job_board_are_set_by_name() {
    let dir = folder("rules");
    let run = dir.join("run");
    let rules = [
        "--rule=max_retries=8",
        "--rule=watchdog.lag_percent=300",
        "--rule=trust=on",
        "--rule=trust.after_valid=2",
    ];
    succeeded(search(&run, &rules).output().unwrap());
    let spec: Value = serde_json::from_str(&read(run.join("run.json"))).unwrap();
    let rules = &spec["rules"];
    assert_eq!(rules["max_retries"], 8);
    assert_eq!(rules["watchdog"]["lag_percent"], 300);
    assert_eq!(rules["trust"]["after_valid"], 2);
    // After two valid answers in a row a miner's jobs may have one seat.
    let history = read(run.join("history.jsonl"));
    let rows = |line: &str| -> usize {
        let job: Value = serde_json::from_str(line).unwrap();
        job["rows"].as_array().unwrap().len()
    };
    assert_eq!(history.lines().count(), 12);
    assert!(history.lines().any(|line| rows(line) == 1), "{history}");
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_wrong_rule_is_named_and_the_right_ones_are_listed() {
    let dir = folder("wrong-rules");
    for (flag, expected) in [
        ("--rule=max_retrys=8", "max_retries"),
        ("--rule=max_retries", "NAME=VALUE"),
        ("--rule=max_retries=many", "many"),
        ("--rule=seats=0", "seats is 0"),
        ("--pace=slow", "generational or steady"),
    ] {
        let output = search(&dir.join("run"), &[flag]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{flag}");
        let error = text(&output.stderr);
        assert!(error.contains(expected), "{flag}: {error}");
    }
    assert!(!dir.join("run").exists());
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_steady_search_evaluates_as_many_genomes_and_passes_the_audit() {
    let dir = folder("steady");
    let run = dir.join("run");
    succeeded(search(&run, &["--pace=steady"]).output().unwrap());
    assert_eq!(read(run.join("history.jsonl")).lines().count(), 12);
    let mut audit = crate::programs::genomaster();
    audit.arg("audit").arg(&run).arg("--json");
    let report: Value = serde_json::from_str(&succeeded(audit.output().unwrap())).unwrap();
    assert_eq!(report["faults"], Value::Array(Vec::new()));
    assert_eq!(report["finished"], true);
    std::fs::remove_dir_all(dir).unwrap();
}
