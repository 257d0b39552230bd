//! The queries of the dashboard in deploy/ are about metrics and labels that a genomaster shows.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::programs::{Server, call, folder, read};

/// Words of PromQL and of its clauses, which are no metrics or labels.
fn metrics_and_labels(query: &str) -> (Vec<&str>, Vec<&str>) {
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let words = query.split(|letter| !is_word(letter));
    let metrics = words.filter(|word| word.starts_with("naschain_"));
    let labels = query.split("by (").skip(1);
    let labels = labels.filter_map(|rest| rest.split(')').next());
    let labels = labels.flat_map(|list| list.split(',')).map(str::trim);
    (metrics.collect(), labels.collect())
}

#[test]
fn the_dashboard_asks_for_metrics_that_a_genomaster_shows() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/grafana.json");
    let dashboard: Value = serde_json::from_str(&read(path)).unwrap();
    let dir = folder("grafana");
    let server = Server::start_with(&dir.join("run"), 0, &[]);
    let _miner = server.miner("ada");
    let metrics = || call(&server, "GET", "/metrics", "", "").body;
    crate::programs::wait_until("ada has a lease", || {
        metrics().contains("naschain_actions_total{kind=\"leased\"}")
    });
    let shown = metrics();
    let mut asked = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            let query = target["expr"].as_str().unwrap();
            let (names, labels) = metrics_and_labels(query);
            assert!(!names.is_empty(), "{query}");
            for name in names {
                let base = name.strip_suffix("_bucket").unwrap_or(name);
                assert!(
                    shown.contains(&format!("# TYPE {base} ")),
                    "{name} in {query}"
                );
                let lines: Vec<&str> = shown
                    .lines()
                    .filter(|line| line.starts_with(name))
                    .collect();
                for label in &labels {
                    let shows = |line: &&str| line.contains(&format!("{label}=\""));
                    // Tallies by miner have lines only when jobs have ended.
                    assert!(
                        lines.is_empty() || lines.iter().any(shows),
                        "{label} in {query}"
                    );
                }
                asked.insert(base.to_owned());
            }
        }
    }
    assert!(asked.len() > 10, "{asked:?}");
    drop(server);
    std::fs::remove_dir_all(dir).unwrap();
}
