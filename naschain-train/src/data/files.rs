//! Where files are looked for, and reading them with their sizes known beforehand.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

use super::{DataName, folder};
use crate::Error;

/// More than any supported file holds; a larger one is not what it says it is.
const MOST_BYTES: u64 = 1 << 32;
/// No deflate stream unpacks to more bytes than this for each of its own
/// (<https://zlib.net/zlib_tech.html>).
const MOST_UNPACKED: u64 = 1032;
/// Images unpack to fewer bytes than this for each; room for more is made only as they come.
const USUAL_UNPACKED: u64 = 8;

/// What has to be there, how to get it, and the folders that its makers' archives unpack to.
struct Wanted {
    file: String,
    hint: &'static str,
    folders: Vec<String>,
}

impl Wanted {
    fn new(name: &DataName) -> Wanted {
        let own = name.to_string();
        let four = "give the folder of the four IDX files with --data-dir";
        let (file, hint, folders): (String, _, &[&str]) = match name {
            DataName::Cifar10 => (
                "test_batch.bin".to_owned(),
                "get the binary version from https://www.cs.toronto.edu/~kriz/cifar.html and give its folder with --data-dir",
                &[&own, "cifar-10-batches-bin"],
            ),
            DataName::Cifar100 => (
                "test.bin".to_owned(),
                "get the binary version from https://www.cs.toronto.edu/~kriz/cifar.html and give its folder with --data-dir",
                &[&own, "cifar-100-binary"],
            ),
            DataName::Emnist(split) => (
                format!("emnist-{}-test-labels-idx1-ubyte(.gz)", split.as_str()),
                "get the MNIST format from https://www.nist.gov/itl/products-and-services/emnist-dataset and give its folder with --data-dir",
                &[&own, "emnist", "emnist/gzip", "gzip"],
            ),
            DataName::Folder(_) => (
                "train and val".to_owned(),
                "give the folder that holds train/CLASS/FILE and val/CLASS/FILE with --data-dir",
                &["folder"],
            ),
            DataName::Npz(file) => (
                file.clone(),
                "give the file or its folder with --data-dir",
                &[],
            ),
            DataName::FashionMnist => (
                "t10k-labels-idx1-ubyte(.gz)".to_owned(),
                "install Debian's package dataset-fashion-mnist, or give the folder of the four IDX files with --data-dir",
                &[&own],
            ),
            DataName::Mnist | DataName::Digits => {
                ("t10k-labels-idx1-ubyte(.gz)".to_owned(), four, &[&own])
            }
        };
        Wanted {
            file,
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

/// The folder that holds a data set's files, or the file if it is one.
pub(super) fn find(name: &DataName, data_dir: Option<&Path>) -> Result<PathBuf, Error> {
    let wanted = Wanted::new(name);
    let looked = wanted.places(data_dir);
    let there = |dir: &PathBuf| match name {
        DataName::Folder(_) => folder::is_one(dir).then(|| dir.clone()),
        DataName::Npz(file) => {
            let is_it = dir.file_name().is_some_and(|name| name == file.as_str());
            let candidates = [is_it.then(|| dir.clone()), Some(dir.join(file))];
            candidates.into_iter().flatten().find(|path| path.is_file())
        }
        _ => either(dir, wanted.file.trim_end_matches("(.gz)")).map(|_| dir.clone()),
    };
    match looked.iter().find_map(there) {
        Some(found) => Ok(found),
        None => Err(Error::DataNotFound {
            name: name.to_string(),
            file: wanted.file,
            looked,
            hint: wanted.hint,
        }),
    }
}

/// The file itself or its gzip beside it, whichever is there.
pub(super) fn either(dir: &Path, name: &str) -> Option<PathBuf> {
    let paths = [dir.join(name), dir.join(format!("{name}.gz"))];
    paths.into_iter().find(|path| path.is_file())
}

pub(super) fn io(path: &Path, source: std::io::Error) -> Error {
    Error::Io {
        path: path.to_owned(),
        source,
    }
}

pub(super) fn malformed(path: &Path, problem: impl Into<String>) -> Error {
    Error::Malformed {
        path: path.to_owned(),
        problem: problem.into(),
    }
}

/// A file's bytes as they come, decompressed if its name ends in `.gz`.
pub(super) struct Input<R> {
    pub(super) reader: R,
    /// What the whole file can hold at the most.
    most_bytes: u64,
    /// What it may well hold.
    usual_bytes: u64,
}

impl Input<Box<dyn Read>> {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let (file, stored) = open(path)?;
        let file = BufReader::new(file);
        if path.extension().is_some_and(|extension| extension == "gz") {
            return Ok(Input::deflated(Box::new(GzDecoder::new(file)), stored));
        }
        Ok(Input {
            reader: Box::new(file),
            most_bytes: stored,
            usual_bytes: stored,
        })
    }
}

impl<R: Read> Input<R> {
    /// What `reader` unpacks from so many bytes.
    pub(super) fn deflated(reader: R, stored: u64) -> Input<R> {
        Input {
            reader,
            most_bytes: stored.saturating_mul(MOST_UNPACKED),
            usual_bytes: stored.saturating_mul(USUAL_UNPACKED),
        }
    }

    /// The rest, which is `expected` bytes if the file is right. Memory is taken for as much as
    /// the file can hold, whatever it promises.
    pub(super) fn rest(self, expected: u128) -> Result<Vec<u8>, String> {
        let most = u128::from(self.most_bytes.min(MOST_BYTES));
        if expected > most {
            return Err(format!(
                "its header promises {expected} bytes of data; it can hold {most} at the most"
            ));
        }
        read_exactly(self.reader, expected as u64, self.usual_bytes)
    }
}

/// A file and its length.
pub(super) fn open(path: &Path) -> Result<(File, u64), Error> {
    let file = File::open(path).map_err(|source| io(path, source))?;
    let metadata = file.metadata().map_err(|source| io(path, source))?;
    Ok((file, metadata.len()))
}

fn read_exactly(reader: impl Read, expected: u64, usual: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(expected.min(usual) as usize);
    let mut reader = reader.take(expected + 1);
    reader.read_to_end(&mut bytes).map_err(broken)?;
    let found = bytes.len() as u64;
    match found.cmp(&expected) {
        std::cmp::Ordering::Equal => Ok(bytes),
        std::cmp::Ordering::Less => Err(format!(
            "its header promises {expected} bytes of data; it has {found}"
        )),
        std::cmp::Ordering::Greater => Err(format!(
            "its header promises {expected} bytes of data; it has more"
        )),
    }
}

/// What is wrong with a file that ends too early or does not decompress.
pub(super) fn broken(error: std::io::Error) -> String {
    match error.kind() {
        ErrorKind::UnexpectedEof => "it ends too early".to_owned(),
        _ => format!("it cannot be read: {error}"),
    }
}
