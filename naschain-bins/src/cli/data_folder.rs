//! Which data sets a folder holds.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use naschain_train::{DataName, Dataset};

/// The data sets in a folder, at least one.
pub(crate) fn names_in(dir: &Path) -> Result<Vec<DataName>> {
    let mut names = DataName::all();
    names.retain(|name| *name != DataName::Digits);
    names.push(DataName::folder());
    let context = || dir.display().to_string();
    let mut archives = Vec::new();
    for entry in std::fs::read_dir(dir).with_context(context)? {
        let file = entry.with_context(context)?.file_name();
        let name = file.to_str().filter(|name| name.ends_with(".npz"));
        archives.extend(name.map(str::to_owned));
    }
    archives.sort_unstable();
    names.extend(archives.iter().filter_map(|name| name.parse().ok()));
    let find = |name: DataName| {
        let place = Dataset::find(&name, Some(dir)).ok().flatten()?;
        Some((name, place))
    };
    let mut found: Vec<(DataName, PathBuf)> = names.into_iter().filter_map(find).collect();
    distinguish_mnist(&mut found);
    ensure!(
        !found.is_empty(),
        "no data set was found in {0}: for pictures it must have a folder for each class, two or \
         more, with the pictures in them; README.md lists the files of other data sets, and `miner \
         data check NAME --data-dir {0}` shows which are missing",
        dir.display()
    );
    Ok(found.into_iter().map(|(name, _)| name).collect())
}

/// Removes MNIST or Fashion-MNIST if both were found in one folder: their files have the same names,
/// so only the folder's path can tell which one it is.
fn distinguish_mnist(found: &mut Vec<(DataName, PathBuf)>) {
    let path = |name: DataName| {
        let mut all = found.iter();
        all.find(|(other, _)| *other == name)
            .map(|(_, path)| path.clone())
    };
    let (fashion, mnist) = (path(DataName::FashionMnist), path(DataName::Mnist));
    let Some(path) = mnist.filter(|path| fashion.as_ref() == Some(path)) else {
        return;
    };
    let other = if path.to_string_lossy().contains("fashion") {
        DataName::Mnist
    } else {
        DataName::FashionMnist
    };
    found.retain(|(name, _)| *name != other);
}
