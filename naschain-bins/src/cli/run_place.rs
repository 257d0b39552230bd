//! Where the folder of a run is by default: apart from runs on other data, and never among the
//! pictures.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use naschain_core::Digest;
use naschain_train::DataName;

/// Hexadecimal digits of the data set's digest in the name of a run's folder.
const DIGEST_DIGITS: usize = 8;

/// The part of the default folder's name that names the data: that of the data set or, for the
/// user's own data, that of its folder or file and the start of its digest.
pub(crate) fn data_part(name: &DataName, place: Option<&Path>, digest: &Digest) -> String {
    let own = matches!(name, DataName::Folder(_) | DataName::Npz(_));
    let Some(place) = place.filter(|_| own) else {
        return name.to_string();
    };
    let stem = match name {
        DataName::Npz(_) => place.file_stem(),
        _ => place.file_name(),
    };
    let stem = stem.unwrap_or_default().to_string_lossy();
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    let stem: String = stem
        .chars()
        .map(|c| if plain(c) { c } else { '-' })
        .collect();
    let stem = stem.trim_matches('.');
    let stem = if stem.is_empty() { "data" } else { stem };
    format!("{stem}-{}", &digest.to_string()[..DIGEST_DIGITS])
}

/// The run's folder `dir` or, if it would be among the pictures in the folder `data`, the same folder
/// beside them. A folder that the user chose (`chosen`) is refused instead.
pub(crate) fn outside_data(dir: PathBuf, chosen: bool, data: Option<&Path>) -> Result<PathBuf> {
    let Some(data) = data.filter(|data| data.is_dir()) else {
        return Ok(dir);
    };
    let place = absolute(&dir)?;
    if !place.starts_with(data) {
        return Ok(dir);
    }
    let beside = data.parent().map(|parent| parent.join(&dir));
    match beside {
        Some(beside) if !chosen && dir.is_relative() => {
            let (beside, data) = (beside.display().to_string(), data.display());
            tracing::warn!("the run's folder is {beside}, so that it is not in {data}");
            Ok(beside.into())
        }
        _ => bail!(
            "the run's folder {} would be among the data in {}; give another with --out",
            dir.display(),
            data.display()
        ),
    }
}

/// The absolute path of a folder that need not exist, without links.
fn absolute(dir: &Path) -> Result<PathBuf> {
    let whole = std::path::absolute(dir).with_context(|| dir.display().to_string())?;
    let existing = whole.ancestors().find(|folder| folder.exists());
    let resolved = existing.and_then(|folder| {
        let rest = whole.strip_prefix(folder).ok()?;
        Some(folder.canonicalize().ok()?.join(rest))
    });
    Ok(resolved.unwrap_or(whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_data_has_different_folders() {
        let part = |name: &str, place: &str, byte| {
            let place = Path::new(place);
            data_part(&name.parse().unwrap(), Some(place), &Digest([byte; 32]))
        };
        assert_eq!(part("mnist", "/data/mnist", 1), "mnist");
        assert_eq!(
            part("folder-3x8x8", "/a/my flowers", 1),
            "my-flowers-01010101"
        );
        assert_eq!(
            part("folder-3x8x8", "/b/my flowers", 2),
            "my-flowers-02020202"
        );
        assert_eq!(part("folder-3x8x8", "/", 1), "data-01010101");
        assert_eq!(part("fruit.npz", "/a/fruit.npz", 255), "fruit-ffffffff");
        let digits = data_part(&DataName::Digits, None, &Digest([0; 32]));
        assert_eq!(digits, "digits");
    }

    #[test]
    fn a_run_is_not_among_the_data() {
        let data = std::env::temp_dir().canonicalize().unwrap();
        let inside = data.join("runs/a");
        let error = outside_data(inside.clone(), true, Some(&data)).unwrap_err();
        assert!(
            error.to_string().contains("give another with --out"),
            "{error}"
        );
        let other = data.join("flowers");
        assert_eq!(
            outside_data(inside.clone(), true, Some(&other)).unwrap(),
            inside
        );
        assert_eq!(outside_data(inside.clone(), true, None).unwrap(), inside);
        let here = std::env::current_dir().unwrap().canonicalize().unwrap();
        let beside = outside_data("runs/a".into(), false, Some(&here)).unwrap();
        assert_eq!(beside, here.parent().unwrap().join("runs/a"));
    }
}
