//! Where this machine has the data set of a run: `data.json` in the run's folder.
//!
//! It is not part of the run's specification, because each machine keeps its files elsewhere.

use std::path::{Path, PathBuf};

use anyhow::Result;
use naschain_train::DataName;
use serde::{Deserialize, Serialize};

use crate::files::write_whole;

const FILE: &str = "data.json";

#[derive(Serialize, Deserialize)]
struct DataPlace {
    /// The absolute path of the folder or file.
    path: PathBuf,
}

/// Remembers where the data set of the run in `dir` is.
pub(crate) fn remember(dir: &Path, data: &Path) -> Result<()> {
    let place = DataPlace {
        path: data.to_owned(),
    };
    match serde_json::to_string(&place) {
        Ok(json) => write_whole(&dir.join(FILE), json.as_bytes()),
        Err(_) => {
            let path = data.display();
            tracing::warn!("{path} is not UTF-8, so data.json does not store it; pass --data-dir");
            Ok(())
        }
    }
}

/// What a person calls the data set of the run in `dir`: the name of the folder of pictures, otherwise
/// that of the specification.
pub(crate) fn shown_name(dir: &Path, name: &str) -> String {
    let is_folder = matches!(name.parse(), Ok(DataName::Folder(_)));
    let place = recorded(dir).filter(|_| is_folder);
    let folder = place.and_then(|place| Some(place.file_name()?.to_string_lossy().into_owned()));
    folder.unwrap_or_else(|| name.to_owned())
}

/// The path that [`remember`] stored.
pub(crate) fn recorded(dir: &Path) -> Option<PathBuf> {
    let text = std::fs::read_to_string(dir.join(FILE)).ok()?;
    let place: DataPlace = serde_json::from_str(&text).ok()?;
    Some(place.path)
}

/// The path that [`remember`] stored, if it still exists.
pub(crate) fn remembered(dir: &Path) -> Option<PathBuf> {
    recorded(dir).filter(|path| path.exists())
}
