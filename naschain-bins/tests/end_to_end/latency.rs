//! Searching by predicted latency.

use std::process::Command;

use serde_json::Value;

use crate::programs::{folder, genomaster, read, refused, search, succeeded};

fn latency(args: &[&str]) -> Command {
    let mut command = genomaster();
    command.args(["latency", "--measure=24"]).args(args);
    command
}

#[test]
fn a_search_goes_by_the_latency_that_was_measured_here() {
    let dir = folder("latency");
    let (file, run) = (dir.join("table.json"), dir.join("run"));
    let out = format!("--out={}", file.display());
    // The sizes of `search`'s networks.
    let sizes = [
        "--data=digits",
        "--phases=2",
        "--nodes=3",
        "--init-channels=4",
    ];
    let printed = succeeded(latency(&[&sizes[..], &[&out]].concat()).output().unwrap());
    assert!(
        printed.contains("measured 24 networks of the macro space"),
        "{printed}"
    );
    let table: Value = serde_json::from_str(&read(&file)).unwrap();
    assert_eq!(table["networks"], 24);
    assert!(
        table["rank_correlation"].as_f64().unwrap() > 0.3,
        "{printed}"
    );
    let objective = format!("--objective=latency:{}", file.display());
    let printed = succeeded(search(&run, &[&objective]).output().unwrap());
    let spec: Value = serde_json::from_str(&read(run.join("run.json"))).unwrap();
    assert_eq!(spec["search"]["objectives"][2]["name"], "latency_us");
    assert_eq!(spec["latency"], table);
    let front: Vec<Value> = serde_json::from_str(&read(run.join("front.json"))).unwrap();
    assert!(
        front
            .iter()
            .all(|model| model["latency_us"].as_u64().unwrap() > 0)
    );
    assert!(read(run.join("front.svg")).contains("predicted latency"));
    // The networks of this short search are not better than guessing, so there is no table of them.
    assert!(printed.contains("better than guessing"), "{printed}");
    let error = refused(&mut search(&run, &[]));
    assert!(error.contains("--objective"), "{error}");
    succeeded(genomaster().arg("audit").arg(&run).output().unwrap());
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_table_of_another_space_is_refused() {
    let dir = folder("latency-space");
    let file = dir.join("table.json");
    let out = format!("--out={}", file.display());
    let flags = [
        "--space=micro",
        "--blocks=1",
        "--layers=1",
        "--init-channels=2",
    ];
    succeeded(latency(&[&flags[..], &[&out]].concat()).output().unwrap());
    let objective = format!("--objective=latency:{}", file.display());
    let error = refused(&mut search(&dir.join("run"), &[&objective]));
    assert!(
        error.contains("the table of latencies is of the space"),
        "{error}"
    );
    let error = refused(&mut search(&dir.join("run"), &["--objective=flops"]));
    assert!(error.contains("it must be latency:FILE"), "{error}");
    std::fs::write(&file, "{}").unwrap();
    let error = refused(&mut search(&dir.join("run"), &[&objective]));
    assert!(
        error.contains("is not a table that genomaster latency wrote"),
        "{error}"
    );
    std::fs::remove_dir_all(dir).unwrap();
}
