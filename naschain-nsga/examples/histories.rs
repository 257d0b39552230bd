//! Compares runs of `genomaster search` by the hypervolume of all networks that each of them trained
//! (error, parameters, FLOPs), with each objective scaled to the range of all given runs and the worst
//! point as the reference point.
//!
//! cargo run --release -p naschain-nsga --example histories -- RUN/history.jsonl ...

use std::error::Error;

use naschain_nsga::hypervolume;
use serde_json::Value;

/// Error in percent, parameters and FLOPs of each network with an accepted result.
fn rows(path: &str) -> Result<Vec<[f64; 3]>, Box<dyn Error>> {
    let mut rows = Vec::new();
    for line in std::fs::read_to_string(path)?.lines() {
        let job: Value = serde_json::from_str(line)?;
        let consensus = &job["verdict"]["consensus"];
        let number = |key: &str| consensus[key].as_f64();
        if let (Some(accuracy), Some(params), Some(flops)) =
            (number("accuracy"), number("params"), number("flops"))
        {
            rows.push([100.0 - accuracy, params, flops]);
        }
    }
    Ok(rows)
}

fn main() -> Result<(), Box<dyn Error>> {
    let paths: Vec<String> = std::env::args().skip(1).collect();
    let runs: Vec<Vec<[f64; 3]>> = paths
        .iter()
        .map(|path| rows(path).map_err(|error| format!("{path}: {error}").into()))
        .collect::<Result<_, Box<dyn Error>>>()?;
    let range = |objective: usize| {
        let column = runs.iter().flatten().map(|row| row[objective]);
        let low = column.clone().fold(f64::INFINITY, f64::min);
        (low, column.fold(f64::NEG_INFINITY, f64::max))
    };
    let ranges = [range(0), range(1), range(2)];
    for (path, run) in paths.iter().zip(&runs) {
        let scaled = |row: &[f64; 3]| {
            let cells = row.iter().zip(ranges);
            cells
                .map(|(value, (low, high))| (value - low) / (high - low).max(f64::MIN_POSITIVE))
                .collect::<Vec<_>>()
        };
        let points: Vec<f64> = run.iter().flat_map(scaled).collect();
        let volume = hypervolume(&points, &[1.0; 3])?;
        println!("{volume:.4}  {} trainings  {path}", run.len());
    }
    Ok(())
}
