//! A data set as one sequence of bytes: for sending it to machines that do not have its files.
//!
//! A line `naschain data 1`, a line of JSON with shape, number of classes, and numbers of training and
//! test images, then for each of the two sets its pixels and its labels, each as [`Images::digest`]
//! hashes them. Any part of it can be read without the rest.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use naschain_core::Shape;
use serde::{Deserialize, Serialize};

use super::files::{io, malformed};
use super::images::PackedPixels;
use super::{Dataset, Images};
use crate::Error;

const FIRST_LINE: &str = "naschain data 1\n";
/// Maximum length of the first two lines.
const MAX_HEADER_BYTES: u64 = 1024;
/// Bytes of a label.
const LABEL_BYTES: u64 = 2;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PackedHeader {
    shape: Shape,
    classes: usize,
    train: u64,
    test: u64,
}

/// A data set as one sequence of bytes, which [`Dataset::load_packed`] reads.
///
/// ```
/// use naschain_train::{Dataset, PackedDataset};
/// let digits = Dataset::digits();
/// let packed = PackedDataset::new(&digits);
/// let path = std::env::temp_dir().join(format!("packed-{}", std::process::id()));
/// std::fs::write(&path, packed.read(0, usize::MAX)?)?;
/// assert_eq!(Dataset::load_packed("digits", &path)?.digest(), digits.digest());
/// # std::fs::remove_file(path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct PackedDataset<'a> {
    dataset: &'a Dataset,
    header: String,
}

impl<'a> PackedDataset<'a> {
    /// The bytes of this data set.
    pub fn new(dataset: &'a Dataset) -> PackedDataset<'a> {
        let header = PackedHeader {
            shape: dataset.shape,
            classes: dataset.classes,
            train: dataset.train.len() as u64,
            test: dataset.test.len() as u64,
        };
        let header = serde_json::to_string(&header).expect("a header is plain data");
        let header = format!("{FIRST_LINE}{header}\n");
        PackedDataset { dataset, header }
    }

    /// The number of bytes.
    pub fn size(&self) -> u64 {
        let set =
            |images: &Images| images.len() as u64 * (images.shape().len() as u64 + LABEL_BYTES);
        self.header.len() as u64 + set(&self.dataset.train) + set(&self.dataset.test)
    }

    /// The bytes from `start` on, at most `most` of them; fewer only at the end. Reads the images that
    /// they belong to, and no others.
    ///
    /// # Errors
    /// Those of [`Images::pixels`].
    pub fn read(&self, start: u64, most: usize) -> Result<Vec<u8>, Error> {
        let mut found = Vec::new();
        let end = start.saturating_add(most as u64);
        let mut at = 0;
        // Takes what is wanted of a section of this length.
        let mut section = |length: u64| {
            let range = (
                start.clamp(at, at + length) - at,
                end.clamp(at, at + length) - at,
            );
            at += length;
            (range.0 < range.1).then_some(range.0 as usize..range.1 as usize)
        };
        if let Some(range) = section(self.header.len() as u64) {
            found.extend_from_slice(&self.header.as_bytes()[range]);
        }
        for images in [&self.dataset.train, &self.dataset.test] {
            let (count, each) = (images.len() as u64, images.shape().len());
            if let Some(range) = section(count * each as u64) {
                let first = range.start / each;
                let indices: Vec<usize> = (first..range.end.div_ceil(each)).collect();
                let pixels = images.pixels(&indices)?;
                let offset = first * each;
                found.extend_from_slice(&pixels[range.start - offset..range.end - offset]);
            }
            if let Some(range) = section(count * LABEL_BYTES) {
                let labels = images.labels()[range.start / 2..range.end.div_ceil(2)].iter();
                let bytes: Vec<u8> = labels.flat_map(|label| label.to_le_bytes()).collect();
                let offset = range.start / 2 * 2;
                found.extend_from_slice(&bytes[range.start - offset..range.end - offset]);
            }
        }
        Ok(found)
    }
}

impl Dataset {
    /// Reads a file of the bytes of a [`PackedDataset`], and calls the data set `name`. The pixels stay
    /// in the file, which must not be changed; each is read once here, for the digest.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::Malformed`] for a file of another form or length. Whether it is a
    /// certain data set is told by its digest.
    pub fn load_packed(name: impl Into<String>, path: &Path) -> Result<Dataset, Error> {
        let file = File::open(path).map_err(|error| io(path, error))?;
        let length = file.metadata().map_err(|error| io(path, error))?.len();
        let mut lines = BufReader::new(&file).take(MAX_HEADER_BYTES);
        let mut first = Vec::new();
        let mut second = Vec::new();
        for line in [&mut first, &mut second] {
            let read = lines.read_until(b'\n', line);
            read.map_err(|error| io(path, error))?;
        }
        if first != FIRST_LINE.as_bytes() {
            let problem = format!("it does not begin with {:?}", FIRST_LINE.trim_end());
            return Err(malformed(path, problem));
        }
        let header: PackedHeader = serde_json::from_slice(&second)
            .map_err(|error| malformed(path, format!("its second line is invalid: {error}")))?;
        let each = header.shape.len() as u64;
        let sets = [header.train, header.test].map(u128::from);
        let body = sets.map(|count| count * u128::from(each + LABEL_BYTES));
        let start = (first.len() + second.len()) as u64;
        let wanted = u128::from(start) + body[0] + body[1];
        if wanted != u128::from(length) || each == 0 {
            let problem = format!("it has {length} bytes; its header says {wanted}");
            return Err(malformed(path, problem));
        }
        let [train, test] = [(start, header.train), (start + body[0] as u64, header.test)].map(
            |(offset, count)| {
                let pixels = PackedPixels::new(&file, path, offset)?;
                let mut labels = vec![0; (count * LABEL_BYTES) as usize];
                pixels.read_at(count * each, &mut labels)?;
                let labels = labels
                    .chunks_exact(2)
                    .map(|two| u16::from_le_bytes([two[0], two[1]]));
                Images::from_packed(header.shape, pixels, labels.collect())
            },
        );
        Dataset::new(name, header.classes, train?, test?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_folder::test_folder;

    fn small() -> Dataset {
        let shape: Shape = "2x3x3".parse().unwrap();
        let images = |count: usize| {
            let pixels = (0..count * 18).map(|i| (i * 7 % 251) as u8).collect();
            let labels = (0..count).map(|i| i as u16 % 3).collect();
            Images::new(shape, pixels, labels).unwrap()
        };
        Dataset::new("mine", 3, images(11), images(4)).unwrap()
    }

    #[test]
    fn every_range_is_the_part_of_the_whole() {
        let dataset = small();
        let packed = PackedDataset::new(&dataset);
        let whole = packed.read(0, usize::MAX).unwrap();
        assert_eq!(whole.len() as u64, packed.size());
        for start in 0..=whole.len() + 1 {
            for most in [0, 1, 2, 17, 18, 19, 40, 300] {
                let from = start.min(whole.len());
                let wanted = &whole[from..whole.len().min(from + most)];
                assert_eq!(
                    packed.read(start as u64, most).unwrap(),
                    wanted,
                    "{start} {most}"
                );
            }
        }
    }

    #[test]
    fn what_is_packed_is_loaded_and_all_else_is_refused() {
        let dir = test_folder("packed");
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("data");
        let dataset = small();
        let whole = PackedDataset::new(&dataset).read(0, usize::MAX).unwrap();
        let load = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            Dataset::load_packed("mine", &path)
        };
        let loaded = load(&whole).unwrap();
        assert_eq!(loaded.digest(), dataset.digest());
        assert_eq!((loaded.shape, loaded.classes), (dataset.shape, 3));
        let some = [3, 0, 10];
        let pixels = dataset.train.pixels(&some).unwrap();
        assert_eq!(loaded.train.pixels(&some).unwrap(), pixels);
        let in_memory = loaded.into_memory(u64::MAX).unwrap();
        assert_eq!(in_memory.train.pixels(&some).unwrap(), pixels);
        assert_eq!(in_memory.test, dataset.test);

        let mut changed = whole.clone();
        *changed.last_mut().unwrap() = 9;
        let refused = |bytes: &[u8]| load(bytes).unwrap_err().to_string();
        assert!(refused(&changed).contains("labels are 0 to 2"));
        let text = refused(&whole[..whole.len() - 1]);
        assert!(text.contains("bytes; its header says"), "{text}");
        assert!(refused(b"x").contains("does not begin with \"naschain data 1\""));
        assert!(refused(b"naschain data 1\n{}\n").contains("its second line is invalid"));
        let huge =
            br#"{"shape":"65535x65535x65535","classes":1,"train":18446744073709551615,"test":1}"#;
        let huge = [FIRST_LINE.as_bytes(), huge, b"\n"].concat();
        assert!(
            refused(&huge).contains("bytes; its header says"),
            "{}",
            refused(&huge)
        );
        std::fs::remove_dir_all(dir).unwrap();
    }
}
