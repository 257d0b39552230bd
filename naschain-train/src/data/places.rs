//! The folders in which data sets are searched.

use std::path::{Path, PathBuf};

use super::files::{file_or_gzip, malformed};
use super::{DataName, folder};
use crate::Error;

/// The file to look for, how to get it, and the folder names of the original archives.
struct FileLookup {
    file: String,
    hint: &'static str,
    folders: Vec<String>,
}

impl FileLookup {
    fn new(name: &DataName) -> FileLookup {
        const CIFAR: &str =
            "the binary version from https://www.cs.toronto.edu/~kriz/cifar.html has it";
        let own = name.to_string();
        let (file, hint, folders): (&str, _, &[&str]) = match name {
            DataName::Cifar10 => ("test_batch.bin", CIFAR, &[&own, "cifar-10-batches-bin"]),
            DataName::Cifar100 => ("test.bin", CIFAR, &[&own, "cifar-100-binary"]),
            DataName::Emnist(split) => (
                &format!("emnist-{}-test-labels-idx1-ubyte(.gz)", split.as_str()),
                "the MNIST format from https://www.nist.gov/itl/products-and-services/emnist-dataset has it",
                &[&own, "emnist", "emnist/gzip", "gzip"],
            ),
            DataName::Folder(_) => (
                "folders of pictures",
                "the folder has CLASS/FILE, or train/CLASS/FILE and val/CLASS/FILE",
                &["folder"],
            ),
            DataName::Npz(file) => (file, "it is the file of this name", &[]),
            DataName::FashionMnist => (
                "t10k-labels-idx1-ubyte(.gz)",
                "Debian's package dataset-fashion-mnist installs it; it is four IDX files",
                &[&own],
            ),
            DataName::Mnist | DataName::Digits => (
                "t10k-labels-idx1-ubyte(.gz)",
                "it is four IDX files",
                &[&own],
            ),
        };
        FileLookup {
            file: file.to_owned(),
            hint,
            folders: folders.iter().map(|&folder| folder.to_owned()).collect(),
        }
    }

    fn places(&self, data_dir: Option<&Path>) -> Vec<PathBuf> {
        let within = |root: &Path| -> Vec<PathBuf> {
            let folders = self.folders.iter();
            folders.map(|folder| root.join(folder)).collect()
        };
        if let Some(dir) = data_dir {
            return [vec![dir.to_owned()], within(dir)].concat();
        }
        let mut places = Vec::new();
        if let Some(root) = std::env::var_os("NASCHAIN_DATA") {
            places.extend(within(Path::new(&root)));
            places.push(PathBuf::from(root));
        }
        let data = Path::new("data");
        places.extend(within(data));
        places.extend(within(Path::new("/usr/share/datasets")));
        if self.folders.is_empty() {
            places.extend([data.to_owned(), PathBuf::from(".")]);
        }
        places
    }
}

/// The folder that contains a data set's files, or the file of a NumPy archive.
pub(super) fn find(name: &DataName, data_dir: Option<&Path>) -> Result<PathBuf, Error> {
    let lookup = FileLookup::new(name);
    if let Some(dir) = data_dir.filter(|dir| !dir.exists()) {
        return Err(malformed(dir, "there is no such folder or file"));
    }
    let searched = lookup.places(data_dir);
    let there = |dir: &PathBuf| match name {
        DataName::Folder(_) => folder::has_layout(dir).then(|| dir.clone()),
        DataName::Npz(file) => {
            let is_it = dir.file_name().is_some_and(|name| name == file.as_str());
            let candidates = [is_it.then(|| dir.clone()), Some(dir.join(file))];
            candidates.into_iter().flatten().find(|path| path.is_file())
        }
        _ => file_or_gzip(dir, lookup.file.trim_end_matches("(.gz)")).map(|_| dir.clone()),
    };
    match searched.iter().find_map(there) {
        Some(found) => Ok(found),
        None => Err(Error::DataNotFound {
            name: name.to_string(),
            file: lookup.file,
            searched,
            hint: lookup.hint,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_folder::test_folder;

    #[test]
    fn files_are_found_in_the_folder_or_a_subfolder() {
        let root = test_folder("places");
        let unpacked = root.join("cifar-100-binary");
        std::fs::create_dir_all(&unpacked).unwrap();
        let found = |name: &str, dir: &Path| find(&name.parse().unwrap(), Some(dir));
        let error = found("cifar100", &root).unwrap_err().to_string();
        for place in [&root, &root.join("cifar100"), &unpacked] {
            assert!(error.contains(&*place.to_string_lossy()), "{error}");
        }
        for file in [
            "test.bin",
            "emnist-letters-test-labels-idx1-ubyte.gz",
            "a.npz",
        ] {
            std::fs::write(unpacked.join(file), "").unwrap();
        }
        assert_eq!(found("cifar100", &root).unwrap(), unpacked);
        assert_eq!(found("emnist-letters", &unpacked).unwrap(), unpacked);
        assert!(found("emnist-digits", &unpacked).is_err());
        let archive = unpacked.join("a.npz");
        assert_eq!(found("a.npz", &unpacked).unwrap(), archive);
        assert_eq!(found("a.npz", &archive).unwrap(), archive);
        assert!(found("b.npz", &archive).is_err());
        let error = found("mnist", &root.join("none")).unwrap_err().to_string();
        assert!(
            error.ends_with("none: there is no such folder or file"),
            "{error}"
        );
        std::fs::remove_dir_all(root).unwrap();
    }
}
