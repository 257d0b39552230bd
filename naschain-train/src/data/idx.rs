//! The IDX files of the MNIST family: big-endian sizes, then bytes
//! (<https://yann.lecun.com/exdb/mnist/>).

use std::io::Read;
use std::path::Path;

use naschain_core::Shape;

use super::files::{Input, malformed, read_problem};
use super::{Dataset, Emnist, Images, files};
use crate::Error;

/// File names and contents of one data set.
struct IdxFiles {
    /// Prefixes of the file names of training and test set.
    parts: [String; 2],
    classes: usize,
    /// The first class's label in the files.
    first_label: u8,
    /// Whether images are stored transposed.
    transposed: bool,
}

/// MNIST, or a data set with the same file names and ten classes.
pub(super) fn mnist(name: String, dir: &Path) -> Result<Dataset, Error> {
    let layout = IdxFiles {
        parts: ["train", "t10k"].map(str::to_owned),
        classes: 10,
        first_label: 0,
        transposed: false,
    };
    layout.dataset(name, dir)
}

/// EMNIST, whose images are stored transposed, like the MATLAB files they were made from. They are
/// transposed back.
pub(super) fn emnist(name: String, split: Emnist, dir: &Path) -> Result<Dataset, Error> {
    let layout = IdxFiles {
        parts: ["train", "test"].map(|part| format!("emnist-{}-{part}", split.as_str())),
        classes: split.classes(),
        first_label: split.first_label(),
        transposed: true,
    };
    layout.dataset(name, dir)
}

impl IdxFiles {
    fn dataset(&self, name: String, dir: &Path) -> Result<Dataset, Error> {
        let [train, test] = &self.parts;
        let (train, test) = (self.part(dir, train)?, self.part(dir, test)?);
        let (shape, other) = (train.shape(), test.shape());
        if shape != other {
            let problem = format!("training images are {shape}, test images {other}");
            return Err(malformed(dir, problem));
        }
        Dataset::new(name, self.classes, train, test)
    }

    fn part(&self, dir: &Path, prefix: &str) -> Result<Images, Error> {
        let find = |suffix: &str| {
            let name = format!("{prefix}-{suffix}");
            let missing = || files::io(&dir.join(&name), std::io::ErrorKind::NotFound.into());
            files::file_or_gzip(dir, &name).ok_or_else(missing)
        };
        let images_path = find("images-idx3-ubyte")?;
        let labels_path = find("labels-idx1-ubyte")?;
        let (mut pixels, [count, height, width]) = values::<3>(&images_path)?;
        let (labels, [labelled]) = values::<1>(&labels_path)?;
        if count != labelled {
            let problem = format!("{labelled} labels for {count} images");
            return Err(malformed(&labels_path, problem));
        }
        if pixels.is_empty() {
            return Err(malformed(&images_path, "it contains no images"));
        }
        let mut shape = Shape {
            channels: 1,
            height,
            width,
        };
        if self.transposed {
            transpose(&mut pixels, shape);
            (shape.height, shape.width) = (width, height);
        }
        let labels = self.labels(&labels);
        let labels = labels.map_err(|problem| malformed(&labels_path, problem))?;
        Images::new(shape, pixels, labels)
    }

    /// Checks the labels and shifts them to count from 0.
    fn labels(&self, found: &[u8]) -> Result<Vec<u16>, String> {
        let first = usize::from(self.first_label);
        let label = |(index, &found): (usize, &u8)| {
            let counted = usize::from(found).checked_sub(first);
            let right = counted.filter(|&label| label < self.classes);
            right.map(|label| label as u16).ok_or_else(|| {
                let last = first + self.classes - 1;
                format!("label {index} is {found}; labels are {first} to {last}")
            })
        };
        found.iter().enumerate().map(label).collect()
    }
}

/// Transposes each image.
fn transpose(pixels: &mut [u8], shape: Shape) {
    let mut before = vec![0; shape.len()];
    for image in pixels.chunks_exact_mut(shape.len()) {
        before.copy_from_slice(image);
        for (index, pixel) in image.iter_mut().enumerate() {
            let (column, row) = (index / shape.height, index % shape.height);
            *pixel = before[row * shape.width + column];
        }
    }
}

/// The values of an IDX file of unsigned bytes with `N` dimensions, and the dimensions.
fn values<const N: usize>(path: &Path) -> Result<(Vec<u8>, [usize; N]), Error> {
    let mut input = Input::open(path)?;
    let dimensions = header::<N>(&mut input.reader);
    let values = dimensions.and_then(|dimensions| {
        let expected = dimensions.iter().map(|&n| n as u128).product();
        Ok((input.read_rest(expected)?, dimensions))
    });
    values.map_err(|problem| malformed(path, problem))
}

fn header<const N: usize>(reader: &mut impl Read) -> Result<[usize; N], String> {
    let mut word = || -> Result<[u8; 4], String> {
        let mut word = [0; 4];
        reader.read_exact(&mut word).map_err(read_problem)?;
        Ok(word)
    };
    let found = word()?;
    if found != [0, 0, 8, N as u8] {
        return Err(format!(
            "magic number is {found:02x?}; for unsigned bytes with {N} dimensions it must be [00, 00, 08, {N:02x}]"
        ));
    }
    let mut dimensions = [0; N];
    for dimension in &mut dimensions {
        *dimension = u32::from_be_bytes(word()?) as usize;
    }
    Ok(dimensions)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_folder::test_folder;
    use std::io::Write;
    use std::path::PathBuf;

    fn idx(dimensions: &[u32], data: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, 8, dimensions.len() as u8];
        for dimension in dimensions {
            bytes.extend(dimension.to_be_bytes());
        }
        bytes.extend(data);
        bytes
    }

    /// A folder with four IDX files, the training images gzipped, and optionally one file replaced.
    fn folder(test: &str, replaced: Option<(&str, Vec<u8>)>) -> PathBuf {
        let dir = test_folder(&format!("idx-{test}"));
        let images = idx(&[2, 3, 2], &(0..12).collect::<Vec<u8>>());
        let labels = idx(&[2], &[9, 0]);
        for (name, bytes) in [
            ("train-images-idx3-ubyte.gz", images.clone()),
            ("train-labels-idx1-ubyte", labels.clone()),
            ("t10k-images-idx3-ubyte", images),
            ("t10k-labels-idx1-ubyte", labels),
        ] {
            let bytes = match &replaced {
                Some((other, bytes)) if *other == name => bytes.clone(),
                _ => bytes,
            };
            let file = std::fs::File::create(dir.join(name)).unwrap();
            if name.ends_with(".gz") {
                let mut writer = flate2::write::GzEncoder::new(file, Default::default());
                writer.write_all(&bytes).unwrap();
                writer.finish().unwrap();
            } else {
                std::io::BufWriter::new(file).write_all(&bytes).unwrap();
            }
        }
        dir
    }

    fn refused(test: &str, name: &str, bytes: Vec<u8>) -> String {
        let dir = folder(test, Some((name, bytes)));
        let error = mnist("mnist".to_owned(), &dir).unwrap_err().to_string();
        std::fs::remove_dir_all(dir).unwrap();
        error
    }

    #[test]
    fn plain_and_gzip_files_are_read() {
        let dir = folder("good", None);
        let data = mnist("mnist".to_owned(), &dir).unwrap();
        std::fs::remove_dir_all(dir).unwrap();
        assert_eq!(data.shape.to_string(), "1x3x2");
        let pixels = data.train.pixels(&[0, 1]).unwrap();
        assert_eq!(pixels, (0..12).collect::<Vec<u8>>());
        assert_eq!(data.test.labels(), [9, 0]);
    }

    #[test]
    fn every_member_of_a_gzip_file_is_read() {
        let gzip = |bytes: &[u8]| {
            let mut writer = flate2::write::GzEncoder::new(Vec::new(), Default::default());
            writer.write_all(bytes).unwrap();
            writer.finish().unwrap()
        };
        let whole = idx(&[2, 3, 2], &(20..32).collect::<Vec<u8>>());
        let (first, rest) = whole.split_at(20);
        let name = "train-images-idx3-ubyte.gz";
        let dir = folder("members", None);
        let load = |file: Vec<u8>| {
            std::fs::write(dir.join(name), file).unwrap();
            mnist("mnist".to_owned(), &dir)
        };
        let data = load([gzip(first), gzip(rest)].concat()).unwrap();
        let pixels = data.train.pixels(&[0, 1]).unwrap();
        assert_eq!(pixels, (20..32).collect::<Vec<u8>>());
        let garbage = [&gzip(&whole)[..], b"bytes after the end"].concat();
        let error = load(garbage).unwrap_err().to_string();
        assert!(
            error.contains(name) && error.contains("cannot be read"),
            "{error}"
        );
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn malformed_files_are_rejected_by_name() {
        let images = "t10k-images-idx3-ubyte";
        let labels = "t10k-labels-idx1-ubyte";
        let error = refused("short", images, vec![0, 0, 8]);
        assert!(
            error.contains(images) && error.contains("is truncated"),
            "{error}"
        );
        let error = refused("magic", images, idx(&[2, 6], &[0; 12]));
        assert!(
            error.contains("magic number is [00, 00, 08, 02]"),
            "{error}"
        );
        let error = refused("cut", images, idx(&[2, 3, 2], &[0; 11]));
        assert!(
            error.contains("claims 12 bytes of data; it has 11"),
            "{error}"
        );
        let error = refused("huge", images, idx(&[u32::MAX; 3], &[]));
        assert!(error.contains("can hold at most 16"), "{error}");
        let error = refused("more", images, idx(&[2, 3, 2], &[0; 13]));
        assert!(error.contains("12 bytes of data; it has more"), "{error}");
        let error = refused("count", labels, idx(&[3], &[1, 2, 3]));
        assert!(error.contains("3 labels for 2 images"), "{error}");
        let error = refused("label", labels, idx(&[2], &[1, 10]));
        assert!(error.contains("label 1 is 10"), "{error}");
        let error = refused("shapes", images, idx(&[2, 1, 2], &[0; 4]));
        assert!(error.contains("test images 1x1x2"), "{error}");
    }

    #[test]
    fn emnist_is_transposed_and_its_letters_count_from_0() {
        let dir = test_folder("emnist");
        let write = |name: &str, bytes: Vec<u8>| {
            std::fs::write(dir.join(format!("emnist-letters-{name}-ubyte")), bytes).unwrap();
        };
        for part in ["train", "test"] {
            let pixels: Vec<u8> = (0..12).collect();
            write(&format!("{part}-images-idx3"), idx(&[2, 3, 2], &pixels));
            write(&format!("{part}-labels-idx1"), idx(&[2], &[1, 26]));
        }
        let load = || emnist("emnist-letters".to_owned(), Emnist::Letters, &dir);
        let data = load().unwrap();
        assert_eq!(
            (data.shape.to_string(), data.classes),
            ("1x2x3".to_owned(), 26)
        );
        assert_eq!(data.train.labels(), [0, 25]);
        let pixels = data.train.pixels(&[0, 1]).unwrap();
        assert_eq!(pixels, [0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11]);
        for wrong in [0, 27] {
            write("test-labels-idx1", idx(&[2], &[1, wrong]));
            let error = load().unwrap_err().to_string();
            let right = format!("label 1 is {wrong}; labels are 1 to 26");
            assert!(error.contains(&right), "{error}");
        }
        std::fs::remove_dir_all(dir).unwrap();
    }
}
