//! What a run leaves for people: table, report, drawings, lists and comparisons.

use std::path::{Path, PathBuf};

use crate::programs::{folder, genomaster, read, refused, search, succeeded};
use serde_json::Value;

fn call(dir: &Path, args: &[&str]) -> String {
    let mut command = genomaster();
    succeeded(command.current_dir(dir).args(args).output().unwrap())
}

fn refuse(dir: &Path, args: &[&str]) -> String {
    refused(genomaster().current_dir(dir).args(args))
}

/// A folder with the finished run `runs/a`, and what its search printed.
fn finished(test: &str) -> (PathBuf, String) {
    let dir = folder(test);
    let run = dir.join("runs/a");
    // Enough epochs for a front that has learnt something.
    let printed = succeeded(search(&run, &["--epochs=6"]).output().unwrap());
    (dir, printed)
}

#[test]
fn a_network_is_chosen_by_name() {
    let (dir, table) = finished("choice");
    let line = |name: &str| {
        let lines = table.lines().filter(|line| line.contains(name));
        let line = lines.collect::<Vec<_>>();
        assert_eq!(line.len(), 1, "{name}: {table}");
        line[0]
            .split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let exported = |flags: &[&str]| {
        let out = ["export", "runs/a", "--out=x.safetensors"];
        call(&dir, &[&out, flags].concat());
        let description: Value = serde_json::from_str(&read(dir.join("x.json"))).unwrap();
        description["genome"].as_str().unwrap().to_owned()
    };
    for name in ["best", "knee", "smallest"] {
        let genome = line(name)[0].replace('-', "");
        assert_eq!(exported(&["--genome", name]), genome, "{table}");
    }
    let smallest = line("smallest");
    assert_eq!(exported(&[]), line("best")[0].replace('-', ""));
    let params = smallest[3].replace(',', "");
    let limit = ["--max-params", &params];
    assert_eq!(exported(&limit), smallest[0].replace('-', ""));
    let error = refuse(&dir, &["export", "runs/a", "--max-params=1"]);
    assert!(
        error.contains(&format!("the smallest has {params}")),
        "{error}"
    );
    let named = ["export", "runs/a", "--max-params=9", "--genome", "0"];
    assert!(refuse(&dir, &named).contains("use best, knee or smallest"));
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
#[ignore = "takes 10 to 20 seconds; .ci/run runs it"]
fn the_ending_of_the_file_decides_the_format() {
    let (dir, _) = finished("ending");
    let export = |flags: &[&str]| call(&dir, &[&["export", "runs/a"], flags].concat());
    assert!(export(&["--out=x.onnx"]).contains("pixels [images, 1, 8, 8]"));
    let binary = ["--out=x.bin", "--format=safetensors"];
    assert!(export(&binary).contains("x.bin and x.json"));
    let printed = export(&["--out=x.int8.onnx", "--int8"]);
    assert!(
        printed.contains(" % in eight bits, ") && printed.contains(" % before, on 400 images"),
        "{printed}"
    );
    let small = std::fs::read(dir.join("x.int8.onnx")).unwrap();
    assert!(small.len() < std::fs::read(dir.join("x.onnx")).unwrap().len());
    export(&["--out=again", "--int8"]);
    assert_eq!(std::fs::read(dir.join("again")).unwrap(), small);
    let wrong = |flags: &[&str]| refuse(&dir, &[&["export", "runs/a"], flags].concat());
    let error = wrong(&["--out=x.onnx", "--format=safetensors"]);
    assert!(error.contains("of format onnx"), "{error}");
    assert!(wrong(&["--out=x.safetensors", "--int8"]).contains("ask for onnx"));
    assert!(wrong(&["--out=x", "--format=safetensors", "--int8"]).contains("--int8 is for"));
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
#[ignore = "takes 10 to 20 seconds; .ci/run runs it"]
fn networks_are_shown_and_runs_listed_and_compared() {
    let (dir, table) = finished("shown");
    let shown = call(&dir, &["show", "runs/a", "--genome=smallest"]);
    let line = table
        .lines()
        .find(|line| line.contains("smallest"))
        .unwrap();
    let cells: Vec<&str> = line.split_whitespace().collect();
    let total = shown
        .lines()
        .find(|line| line.starts_with("total"))
        .unwrap();
    let sums: Vec<&str> = total.split_whitespace().skip(1).collect();
    assert_eq!(sums, cells[3..5], "{shown}");
    assert!(
        shown.contains(&format!("test        {} %", cells[2])),
        "{shown}"
    );
    let drawing = dir.join("runs/a/models").join(cells[0].replace('-', ""));
    assert!(read(drawing.join("network.svg")).contains("</svg>"));

    let other = search(&dir.join("runs/b"), &["--seed=6", "--epochs=6"]);
    succeeded({ other }.output().unwrap());
    std::fs::create_dir_all(dir.join("runs/other")).unwrap();
    let listed = call(&dir, &["runs"]);
    let lines: Vec<&str> = listed.lines().collect();
    assert_eq!(lines.len(), 3, "{listed}");
    for (line, name) in lines[1..].iter().zip(["a", "b"]) {
        assert!(
            line.starts_with(name) && line.contains("finished"),
            "{listed}"
        );
        assert!(line.contains("  12  ") && line.ends_with('s'), "{listed}");
    }
    let compared = call(&dir, &["compare", "runs/a", "runs/b", "--out=both.svg"]);
    let svg = read(dir.join("both.svg"));
    for run in ["runs/a", "runs/b"] {
        let line = compared.lines().find(|line| line.starts_with(run)).unwrap();
        let share = line.split_whitespace().last().unwrap();
        let number: f64 = share.parse().unwrap();
        assert!(number > 0.0 && number < 1.0, "{compared}");
        assert!(
            svg.contains(&format!("{run}, hypervolume {share}")),
            "{line}"
        );
    }
    assert!(refuse(&dir, &["compare", "runs/a"]).contains("RUN"));
    assert!(refuse(&dir, &["runs", "none"]).contains("there is no folder none"));
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn the_report_needs_no_other_file() {
    let (dir, _) = finished("report");
    let report = read(dir.join("runs/a/report.html"));
    let inside = |id: &str| -> Value {
        let (_, data) = report.split_once(&format!("id=\"{id}\">")).unwrap();
        let (data, _) = data.split_once("</script>").unwrap();
        serde_json::from_str(data).unwrap()
    };
    let (record, details) = (inside("record"), inside("details"));
    assert_eq!(record["candidates"]["job"].as_array().unwrap().len(), 12);
    assert_eq!(record["facts"]["has_times"], false);
    assert!(!record["front"]["entered"].as_array().unwrap().is_empty());
    let details = details.as_object().unwrap();
    assert_eq!(details.len(), 12);
    let best = details
        .values()
        .find(|n| n["picks"].as_str().unwrap().contains("best"));
    let best = best.unwrap();
    assert_eq!(best["curve"].as_array().unwrap().len(), 6);
    assert_eq!(best["answers"].as_array().unwrap().len(), 3);
    assert!(best["svg"].as_str().unwrap().contains("</svg>"));
    // Nothing is loaded: no source, style sheet or import by address.
    let (page, _) = report.split_once("<script").unwrap();
    for loaded in ["src=\"", "@import", "<link", "url(http"] {
        assert!(!page.contains(loaded), "{loaded}");
    }
    assert!(!report.contains("<script src") && !report.contains("<link "));
    let svg = read(dir.join("runs/a/front.svg"));
    for text in ["prefers-color-scheme", "test accuracy", "knee"] {
        assert!(svg.contains(text), "{text}");
    }
    std::fs::remove_dir_all(dir).unwrap();
}
