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
        .parts()
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

/// One part of the data set.
struct Part {
    shape: Shape,
    pixels: Vec<u8>,
    labels: Vec<u16>,
}

impl Archive {
    /// The number of classes, the training set and the test set.
    fn parts(&mut self) -> Result<(usize, [Part; 2]), String> {
        self.check_size()?;
        let suffix = if self.has("x") || !self.has("x_train") {
            ""
        } else {
            "_train"
        };
        let part = self.part(suffix)?;
        let classes = part.classes()?;
        if self.has("x_test") || self.has("y_test") {
            return Ok((classes, [part, self.part("_test")?]));
        }
        let [train, test] = part.split();
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

    fn part(&mut self, suffix: &str) -> Result<Part, String> {
        let (x, y) = (format!("x{suffix}"), format!("y{suffix}"));
        let layout = self.member(&x)?.0.images(&x)?;
        let labels = self.member(&y)?.0.labels(&y)?;
        let images = layout.images;
        if labels != images {
            return Err(format!("{y} has {labels} labels for {images} images"));
        }
        Ok(Part {
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

impl Part {
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
    fn split(self) -> [Part; 2] {
        let images = self.labels.len();
        let order = Stream::new(0, Purpose::Split, 0, 0).permutation(images);
        let (test, train) = order.split_at(images.div_ceil(TEST_DIVISOR));
        [train, test].map(|indices| {
            let size = self.shape.len();
            let mut part = Part {
                shape: self.shape,
                pixels: Vec::with_capacity(indices.len() * size),
                labels: Vec::with_capacity(indices.len()),
            };
            for &index in indices {
                part.pixels
                    .extend_from_slice(&self.pixels[index * size..][..size]);
                part.labels.push(self.labels[index]);
            }
            part
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::path::PathBuf;
    use zip::write::SimpleFileOptions;

    use crate::data::npy;

    fn fixture(name: &str) -> PathBuf {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        root.join("tests/fixtures/data").join(name)
    }

    /// Loads an archive of these members, or returns the error's text.
    fn load(test: &str, members: &[(&str, Vec<u8>)]) -> Result<Dataset, String> {
        let name = format!("naschain-npz-{test}-{}.npz", std::process::id());
        let path = std::env::temp_dir().join(name);
        let mut writer = zip::ZipWriter::new(File::create(&path).unwrap());
        for (name, bytes) in members {
            let options = SimpleFileOptions::default();
            writer.start_file(format!("{name}.npy"), options).unwrap();
            writer.write_all(bytes).unwrap();
        }
        writer.finish().unwrap();
        let data = dataset("mine".to_owned(), &path);
        std::fs::remove_file(path).unwrap();
        data.map_err(|error| error.to_string())
    }

    fn labels(labels: &[u8]) -> Vec<u8> {
        npy::file("|u1", &format!("({},)", labels.len()), labels)
    }

    #[test]
    fn numpy_archives_are_read() {
        let first = dataset("first".to_owned(), &fixture("first.npz")).unwrap();
        assert_eq!(
            (first.shape.to_string(), first.classes),
            ("3x4x5".to_owned(), 3)
        );
        assert_eq!((first.train.len(), first.test.len()), (15, 5));
        // make.py numbers the values image by image, row by row, pixel by pixel: 60 values per
        // image.
        let expected = |image: usize| -> Vec<u8> {
            let places = (0..3).flat_map(|plane| (0..20).map(move |place| place * 3 + plane));
            places
                .map(|place| ((image * 60 + place) % 251) as u8)
                .collect()
        };
        assert_eq!(first.train.pixels(&[14]).unwrap(), expected(14));
        assert_eq!(first.test.pixels(&[4]).unwrap(), expected(19));
        assert_eq!(first.test.labels(), [0, 1, 2, 0, 1]);

        let last = dataset("last".to_owned(), &fixture("last.npz")).unwrap();
        assert_eq!((last.train.len(), last.test.len()), (16, 4));
        let mut seen: Vec<(Vec<u8>, u16)> = [&last.train, &last.test]
            .into_iter()
            .flat_map(|part| {
                let image = |index| (part.pixels(&[index]).unwrap(), part.labels()[index]);
                (0..part.len()).map(image)
            })
            .collect();
        let mut all: Vec<(Vec<u8>, u16)> = (0..20)
            .map(|image| (expected(image), image as u16 % 3))
            .collect();
        seen.sort();
        all.sort();
        assert_eq!(seen, all, "each image is in one part, with its label");
    }

    #[test]
    fn malformed_archives_are_rejected() {
        let x = || ("x", npy::file("|u1", "(4, 1, 2)", &[0; 8]));
        let y = || ("y", labels(&[0, 1, 0, 1]));
        assert!(load("good", &[x(), y()]).is_ok());
        let refused = |test: &str, members: &[(&str, Vec<u8>)], problem: &str| {
            let error = load(test, members).unwrap_err();
            assert!(error.contains(problem), "{test}: {error}");
        };
        refused("no-y", &[x()], "no array y; the archive has x.npy");
        let wrong_x = |test, descr, shape, data: &[u8], problem| {
            refused(test, &[("x", npy::file(descr, shape, data)), y()], problem);
        };
        wrong_x("float", "<f4", "(4, 1, 2)", &[0; 32], "uint8 (|u1)");
        wrong_x("text", "<U9", "(4, 1, 2)", &[0; 32], "uint8 (|u1)");
        wrong_x(
            "rgba",
            "|u1",
            "(4, 8, 8, 4)",
            &[0; 1024],
            "2 or 4 channels must come before height and width, as after x.transpose(0, 3, 1, 2)",
        );
        wrong_x("flat", "|u1", "(8,)", &[0; 8], "x has 1 dimensions");
        wrong_x(
            "short",
            "|u1",
            "(4, 1, 2)",
            &[0; 7],
            "claims 8 bytes of data; it has 7",
        );
        wrong_x(
            "long",
            "|u1",
            "(4, 1, 2)",
            &[0; 9],
            "claims 8 bytes of data; it has more",
        );
        wrong_x("none", "|u1", "(0, 1, 2)", &[], "at least one image");
        let wide = "(4, 18446744073709551615, 18446744073709551615, 18446744073709551615)";
        wrong_x("wide", "|u1", wide, &[0; 8], "sides of 1 to 4096");
        wrong_x("huge", "|u1", "(4, 4096, 4096)", &[0; 8], "can hold");
        wrong_x(
            "tall",
            "|u1",
            "(1, 5000, 1)",
            &[0; 5000],
            "sides of 1 to 4096",
        );
        wrong_x(
            "count",
            "|u1",
            "(3, 1, 2)",
            &[0; 6],
            "y has 4 labels for 3 images",
        );
        let wrong_y = |test, file, problem| refused(test, &[x(), ("y", file)], problem);
        wrong_y(
            "gap",
            labels(&[0, 1, 3, 0]),
            "no training image has the label 2",
        );
        wrong_y("one", labels(&[0, 0, 0, 0]), "at least two classes");
        wrong_y(
            "real",
            npy::file("<f4", "(4,)", &[0; 16]),
            "labels must be integers",
        );
        wrong_y(
            "text-y",
            npy::file("<U3", "(4,)", &[0; 48]),
            "y has the type <U3; labels must be integers",
        );
        wrong_y(
            "table",
            npy::file("|u1", "(2, 2)", &[0; 4]),
            "one label per image",
        );
        let negative = npy::file("<i2", "(4,)", &[0, 0, 1, 0, 255, 255, 0, 0]);
        wrong_y("negative", negative, "y has -1 for image 2");
        let far = npy::file(
            ">u4",
            "(4,)",
            &[0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        );
        wrong_y("far", far, "y has 65536 for image 0");
        let test = |label| [x(), y(), ("x_test", x().1), ("y_test", labels(&[label; 4]))];
        assert!(load("test", &test(1)).is_ok());
        refused("test-label", &test(2), "mine has the label 2");
    }

    /// Zeros compress by a factor of 1,000.
    #[test]
    fn a_small_archive_cannot_fill_the_memory() {
        let images = 260usize << 20;
        let x = npy::file("|u1", &format!("({images}, 1, 1)"), &[]);
        let path = std::env::temp_dir();
        let path = path.join(format!("naschain-npz-bomb-{}.npz", std::process::id()));
        let mut writer = zip::ZipWriter::new(File::create(&path).unwrap());
        let options = SimpleFileOptions::default();
        writer.start_file("x.npy", options).unwrap();
        writer.write_all(&x).unwrap();
        for _ in 0..images >> 20 {
            writer.write_all(&[0; 1 << 20]).unwrap();
        }
        writer.finish().unwrap();
        let size = std::fs::metadata(&path).unwrap().len();
        assert!(size < 2 << 20, "{size}");
        let error = dataset("bomb".to_owned(), &path).unwrap_err().to_string();
        std::fs::remove_file(path).unwrap();
        let claimed = format!("its arrays claim {images} bytes");
        assert!(error.contains(&claimed), "{error}");
        assert!(error.contains("at most 268435456"), "{error}");
    }

    #[test]
    fn the_test_set_leaves_an_image_of_each_class() {
        let x = || ("x", npy::file("|u1", "(20, 1, 2)", &[0; 40]));
        let found = (0..20).map(|rare| {
            let mut y = [0; 20];
            y[rare] = 1;
            load(&format!("rare-{rare}"), &[x(), ("y", labels(&y))])
        });
        let (good, bad): (Vec<_>, Vec<_>) = found.partition(Result::is_ok);
        assert_eq!((good.len(), bad.len()), (16, 4));
        for error in bad {
            let error = error.unwrap_err();
            assert!(error.contains("class 1 has no training image"), "{error}");
        }
        let error = load(
            "few",
            &[
                ("x", npy::file("|u1", "(1, 1, 2)", &[0; 2])),
                ("y", labels(&[0])),
            ],
        );
        assert!(error.unwrap_err().contains("at least two classes"));
    }
}
