//! The objects of `front.json`.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use naschain_core::{Accuracy, Digest, Genome};
use naschain_train::CurvePoint;
use serde::{Deserialize, Serialize};

/// The file, in the folder of a run.
pub(crate) const FRONT_FILE: &str = "front.json";

/// One object of `front.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct FrontModel {
    /// The genome.
    pub genome: Genome,
    /// Validation accuracy in percent that the miners agreed on.
    pub accuracy: Accuracy,
    /// Test accuracy in percent, measured once, after the search.
    pub test_accuracy: Accuracy,
    /// Test accuracy in percent of always answering the most frequent class. Files of earlier
    /// versions lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guessing_accuracy: Option<Accuracy>,
    /// Trainable parameters.
    pub params: u64,
    /// FLOPs per image.
    pub flops: u64,
    /// Predicted latency in microseconds, in a run that searches by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_us: Option<u64>,
    /// The training digest that the miners reported.
    pub digest: Digest,
    /// The digest of the stored weights: equal to `digest` if a miner delivered them, or if miners and
    /// genomaster compute the same bits.
    pub model_digest: Digest,
    /// Folder of `model.safetensors` and `model.json`, relative to the run's.
    pub model: PathBuf,
    /// The learning curve as the miner that delivered the weights reports it, or of the genomaster's own
    /// training. Files of earlier versions lack it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub curve: Vec<CurvePoint>,
}

/// Reads `front.json`; empty if there is none, as before the end of a run.
pub(crate) fn read_front(dir: &Path) -> Result<Vec<FrontModel>> {
    let path = dir.join(FRONT_FILE);
    let shown = path.display();
    let text = match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        read => read.with_context(|| format!("cannot read {shown}"))?,
    };
    serde_json::from_str(&text).with_context(|| format!("{shown} is not a front"))
}
