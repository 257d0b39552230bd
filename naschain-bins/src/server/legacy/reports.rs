//! What miners of the reference network report besides their measurement: power, GPU and version.
//!
//! The journal has no place for it, and no rule depends on it, so it is kept in a file of the run's
//! folder, one line for each counted answer. Nobody has checked it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use naschain_consensus::{JobId, LeaseId};
use serde::Serialize;
use serde_json::Value;

use crate::files::append_whole;

/// The file, in the folder of a run.
const REPORTS_FILE: &str = "legacy_reports.jsonl";
/// Maximum length of a name or version.
const MAX_CHARACTERS: usize = 64;

/// The values after accuracy, parameters and MFLOPs; what is missing or has another type is `None`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct SelfReport {
    average_watts: Option<f64>,
    gpu: Option<String>,
    gpu_memory_bytes: Option<u64>,
    miner_version: Option<String>,
}

impl SelfReport {
    /// Reads `response_values`.
    pub(super) fn read(values: &Value) -> SelfReport {
        let text = |place: usize| {
            let printable = |text: &str| text.chars().filter(|c| !c.is_control()).collect();
            let text: Option<String> = values[place].as_str().map(printable);
            text.map(|text| text.chars().take(MAX_CHARACTERS).collect())
        };
        let watts = values[3].as_f64();
        SelfReport {
            average_watts: watts.filter(|watts| (0.0..=1e6).contains(watts)),
            gpu: text(4),
            gpu_memory_bytes: values[5].as_f64().map(|bytes| bytes.max(0.0) as u64),
            miner_version: text(6),
        }
    }
}

#[derive(Serialize)]
struct ReportLine<'a> {
    #[serde(rename = "batch")]
    job: JobId,
    lease: LeaseId,
    uid: u32,
    #[serde(flatten)]
    report: &'a SelfReport,
}

/// The file.
#[derive(Clone)]
pub struct Reports {
    path: Arc<Mutex<PathBuf>>,
}

impl Reports {
    /// The reports in the folder of a run.
    pub fn of_run(dir: &Path) -> Reports {
        Reports {
            path: Arc::new(Mutex::new(dir.join(REPORTS_FILE))),
        }
    }

    /// Appends the report of an answer. A failure is only logged: the answer counts without it.
    pub(super) async fn keep(&self, (lease, job): (LeaseId, JobId), uid: u32, report: SelfReport) {
        let reports = self.clone();
        // It waits for the disk.
        let kept = tokio::task::spawn_blocking(move || -> Result<()> {
            let line = ReportLine {
                job,
                lease,
                uid,
                report: &report,
            };
            let line = serde_json::to_string(&line)? + "\n";
            // Locked, so that no two lines are mixed.
            let path = reports.path.lock().unwrap_or_else(PoisonError::into_inner);
            append_whole(&path, line.as_bytes())
        });
        match kept.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!("the report of uid-{uid} is not kept: {error:#}"),
            Err(error) => tracing::warn!("the report of uid-{uid} is not kept: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_report_is_read_from_any_values() {
        let values = json!([
            90.1,
            1.0,
            2.0,
            210.5,
            "NVIDIA\u{1b}[31m A4000",
            16_000_000_000_u64,
            "0.0.1"
        ]);
        let report = SelfReport::read(&values);
        let expected = SelfReport {
            average_watts: Some(210.5),
            gpu: Some("NVIDIA[31m A4000".to_owned()),
            gpu_memory_bytes: Some(16_000_000_000),
            miner_version: Some("0.0.1".to_owned()),
        };
        assert_eq!(report, expected);
        let nothing = SelfReport {
            average_watts: None,
            gpu: None,
            gpu_memory_bytes: None,
            miner_version: None,
        };
        for values in [
            json!([1, 2, 3]),
            json!([1, 2, 3, "x", 4, "y", 5]),
            json!({}),
        ] {
            assert_eq!(SelfReport::read(&values), nothing, "{values}");
        }
        let long = SelfReport::read(&json!([1, 2, 3, 4, "x".repeat(1_000)]));
        assert_eq!(long.gpu.map(|name| name.len()), Some(MAX_CHARACTERS));
    }
}
