//! NumPy archives, as written by `numpy.savez("FILE.npz", x=x, y=y)` and `savez_compressed`.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use naschain_core::{Purpose, Shape, Stream};
use zip::ZipArchive;
use zip::read::ZipFile;

use super::array::Array;
use super::files::{Input, malformed};
use super::npy::Header;
use super::{Dataset, Images, files};
use crate::Error;

/// One in this many images, drawn at random, becomes the test set of an archive without one.
const TEST_DIVISOR: usize = 5;

/// Reads `x` (pixels from 0 to 255, `uint8`) and `y` (labels from 0 without gaps, of any integer
/// type), and `x_test` and `y_test` if present. The training set may also be called `x_train` and
/// `y_train`.
///
/// `x` is images × height × width, images × channels × height × width, or images × height × width ×
/// channels; the last if its last dimension is 1 or 3 and its second is not.
pub(super) fn dataset(name: String, path: &Path) -> Result<Dataset, Error> {
    let (file, length) = files::open(path)?;
    let archive = ZipArchive::new(BufReader::new(file));
    let archive = archive.map_err(|error| {
        malformed(
            path,
            format!("it cannot be read as a NumPy archive: {error}"),
        )
    })?;
    let mut archive = Archive { archive, length };
    let (classes, [train, test]) = archive
        .subsets()
        .map_err(|problem| malformed(path, problem))?;
    Dataset::new(name, classes, train.images()?, test.images()?)
}

/// A file within the archive.
type Member<'a> = Input<ZipFile<'a, BufReader<File>>>;

struct Archive {
    archive: ZipArchive<BufReader<File>>,
    /// Size of the archive in bytes.
    length: u64,
}

/// The training set or the test set.
struct Subset {
    shape: Shape,
    pixels: Vec<u8>,
    labels: Vec<u16>,
}

impl Archive {
    /// The number of classes, the training set and the test set.
    fn subsets(&mut self) -> Result<(usize, [Subset; 2]), String> {
        self.check_size()?;
        let suffix = if self.has("x") || !self.has("x_train") {
            ""
        } else {
            "_train"
        };
        let subset = self.subset(suffix)?;
        let classes = subset.classes()?;
        if self.has("x_test") || self.has("y_test") {
            return Ok((classes, [subset, self.subset("_test")?]));
        }
        let [train, test] = subset.split();
        if let Some(class) = (0..classes).find(|&class| !train.has(class)) {
            return Err(format!(
                "class {class} has no training image: of {} images {} were drawn as the test set, \
                 among them all of this class; add images, or x_test and y_test",
                train.labels.len() + test.labels.len(),
                test.labels.len()
            ));
        }
        Ok((classes, [train, test]))
    }

    /// Checks the sizes that all headers together claim, before any data is decompressed: members of
    /// an archive may share their compressed bytes.
    fn check_size(&mut self) -> Result<(), String> {
        let mut claimed = 0u128;
        for name in ["x", "y", "x_train", "y_train", "x_test", "y_test"] {
            if self.has(name) {
                // A type without a size is refused when its array is read.
                let bytes = self.member(name)?.0.bytes().unwrap_or(0);
                claimed = claimed.saturating_add(bytes);
            }
        }
        let max = files::max_decompressed_bytes(self.length);
        if claimed <= u128::from(max) {
            return Ok(());
        }
        Err(format!(
            "its arrays claim {claimed} bytes; an archive of {} bytes may hold at most {max}",
            self.length
        ))
    }

    fn has(&self, name: &str) -> bool {
        self.archive
            .index_for_name(&format!("{name}.npy"))
            .is_some()
    }

    fn subset(&mut self, suffix: &str) -> Result<Subset, String> {
        let (x, y) = (format!("x{suffix}"), format!("y{suffix}"));
        let layout = self.member(&x)?.0.images(&x)?;
        let labels = self.member(&y)?.0.labels(&y)?;
        let images = layout.images;
        if labels != images {
            return Err(format!("{y} has {labels} labels for {images} images"));
        }
        Ok(Subset {
            shape: layout.shape,
            pixels: self.array(x)?.pixels(&layout),
            labels: self.array(y)?.labels()?,
        })
    }

    /// The header of an array, and a reader of the data after it.
    fn member(&mut self, name: &str) -> Result<(Header, Member<'_>), String> {
        if !self.has(name) {
            let names = self.archive.file_names().flatten().take(20);
            let have = names.collect::<Vec<_>>().join(", ");
            return Err(format!("there is no array {name}; the archive has {have}"));
        }
        let wrong = |problem| format!("{name}: {problem}");
        let member = self.archive.by_name(&format!("{name}.npy"));
        let member = member.map_err(|error| wrong(error.to_string()))?;
        let stored = member.compressed_size().min(self.length);
        let mut input = Input::deflated(member, stored);
        let header = Header::read(&mut input.reader).map_err(wrong)?;
        Ok((header, input))
    }

    fn array(&mut self, name: String) -> Result<Array, String> {
        let (header, input) = self.member(&name)?;
        let bytes = input.read_rest(header.bytes().unwrap_or(u128::MAX));
        let bytes = bytes.map_err(|problem| format!("{name}: {problem}"))?;
        Ok(Array {
            name,
            header,
            bytes,
        })
    }
}

impl Subset {
    /// The number of classes. Labels must count from 0 without gaps.
    fn classes(&self) -> Result<usize, String> {
        let largest = self
            .labels
            .iter()
            .max()
            .map_or(0, |&label| usize::from(label));
        let mut seen = vec![false; largest + 1];
        for &label in &self.labels {
            seen[usize::from(label)] = true;
        }
        if largest == 0 {
            return Err("all labels are 0; there must be at least two classes".to_owned());
        }
        match seen.iter().position(|&seen| !seen) {
            None => Ok(seen.len()),
            Some(missing) => Err(format!(
                "the largest training label is {largest}, but no training image has the label \
                 {missing}; labels must count from 0 without gaps"
            )),
        }
    }

    fn has(&self, class: usize) -> bool {
        self.labels.iter().any(|&label| usize::from(label) == class)
    }

    fn images(self) -> Result<Images, Error> {
        Images::new(self.shape, self.pixels, self.labels)
    }

    /// Splits into a training set and a test set, with a fixed seed.
    fn split(self) -> [Subset; 2] {
        let images = self.labels.len();
        let order = Stream::new(0, Purpose::Split, 0, 0).permutation(images);
        let (test, train) = order.split_at(images.div_ceil(TEST_DIVISOR));
        [train, test].map(|indices| {
            let size = self.shape.len();
            let mut subset = Subset {
                shape: self.shape,
                pixels: Vec::with_capacity(indices.len() * size),
                labels: Vec::with_capacity(indices.len()),
            };
            for &index in indices {
                subset
                    .pixels
                    .extend_from_slice(&self.pixels[index * size..][..size]);
                subset.labels.push(self.labels[index]);
            }
            subset
        })
    }
}

#[cfg(test)]
mod tests;
