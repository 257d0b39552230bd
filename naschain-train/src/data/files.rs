use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::DataName;
use crate::Error;

/// More than any supported file holds; a larger one is not what it says it is.
const MOST_BYTES: u64 = 1 << 30;

/// The folder that holds a data set's files.
pub(super) fn folder(name: DataName, data_dir: Option<&Path>) -> Result<PathBuf, Error> {
    let (file, hint) = match name {
        DataName::Cifar10 => (
            "test_batch.bin",
            "get the binary version from https://www.cs.toronto.edu/~kriz/cifar.html and give its folder with --data-dir",
        ),
        DataName::FashionMnist => (
            "t10k-labels-idx1-ubyte(.gz)",
            "install Debian's package dataset-fashion-mnist, or give the folder of the four IDX files with --data-dir",
        ),
        _ => (
            "t10k-labels-idx1-ubyte(.gz)",
            "give the folder of the four IDX files with --data-dir",
        ),
    };
    let looked = places(name, data_dir);
    let plain = file.trim_end_matches("(.gz)");
    let holds = |dir: &&PathBuf| either(dir, plain).is_some();
    match looked.iter().find(holds) {
        Some(dir) => Ok(dir.clone()),
        None => Err(Error::DataNotFound {
            name: name.as_str(),
            file,
            looked,
            hint,
        }),
    }
}

fn places(name: DataName, data_dir: Option<&Path>) -> Vec<PathBuf> {
    if let Some(dir) = data_dir {
        return vec![dir.to_owned(), dir.join(name.as_str())];
    }
    let mut places = Vec::new();
    if let Some(root) = std::env::var_os("NASCHAIN_DATA") {
        places.push(Path::new(&root).join(name.as_str()));
        places.push(PathBuf::from(root));
    }
    places.push(Path::new("data").join(name.as_str()));
    places.push(Path::new("/usr/share/datasets").join(name.as_str()));
    places
}

/// The file itself or its gzip beside it, whichever is there.
pub(super) fn either(dir: &Path, name: &str) -> Option<PathBuf> {
    let paths = [dir.join(name), dir.join(format!("{name}.gz"))];
    paths.into_iter().find(|path| path.is_file())
}

/// The bytes of a file, decompressed if its name ends in `.gz`.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let io = |source| Error::Io {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(io)?;
    let mut bytes = Vec::new();
    if path.extension().is_some_and(|extension| extension == "gz") {
        let reader = flate2::read::GzDecoder::new(file);
        reader.take(MOST_BYTES).read_to_end(&mut bytes)
    } else {
        file.take(MOST_BYTES).read_to_end(&mut bytes)
    }
    .map_err(io)?;
    Ok(bytes)
}
