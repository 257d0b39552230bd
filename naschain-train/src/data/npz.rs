//! NumPy archives: what `numpy.savez("FILE.npz", x=x, y=y)` and `savez_compressed` write.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use naschain_core::{Purpose, Shape, Stream};
use zip::ZipArchive;

use super::files::{Input, malformed};
use super::npy::Header;
use super::{Dataset, Images, files};
use crate::Error;

/// Of an archive without a test part, every so many-th image is kept for the test.
const TEST_PART: usize = 5;
const LARGEST_SIDE: usize = 4096;

/// Reads `x` (pixels of 0 to 255, `uint8`) and `y` (labels from 0 without gaps, any whole
/// numbers), and `x_test` and `y_test` where they are; the training part may also be called
/// `x_train` and `y_train`.
///
/// `x` is images × height × width, images × channels × height × width, or images × height × width
/// × channels; the last where the last size is 1 or 3 and the second is not.
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
    let parts = archive
        .parts()
        .map_err(|problem| malformed(path, problem))?;
    let [train, test] = parts;
    let classes = train
        .classes()
        .map_err(|problem| malformed(path, problem))?;
    Dataset::new(name, classes, train.images()?, test.images()?)
}

struct Archive {
    archive: ZipArchive<BufReader<File>>,
    /// The file's bytes.
    length: u64,
}

/// One array.
struct Array {
    name: String,
    header: Header,
    bytes: Vec<u8>,
}

/// One part of the data set.
struct Part {
    shape: Shape,
    pixels: Vec<u8>,
    labels: Vec<u16>,
}

impl Archive {
    /// The training part and the test part.
    fn parts(&mut self) -> Result<[Part; 2], String> {
        let suffix = match self.has("x") || !self.has("x_train") {
            true => "",
            false => "_train",
        };
        let train = self.part(suffix)?;
        if self.has("x_test") || self.has("y_test") {
            return Ok([train, self.part("_test")?]);
        }
        if train.labels.len() < 2 {
            return Err("there must be at least two images, so that one can be a test".to_owned());
        }
        Ok(train.split())
    }

    fn has(&self, name: &str) -> bool {
        self.archive
            .index_for_name(&format!("{name}.npy"))
            .is_some()
    }

    fn part(&mut self, suffix: &str) -> Result<Part, String> {
        let x = self.array(format!("x{suffix}"))?;
        let labels = self.array(format!("y{suffix}"))?.labels()?;
        let (shape, pixels) = x.pixels()?;
        let images = pixels.len() / shape.len();
        if labels.len() != images {
            let labels = labels.len();
            return Err(format!("y{suffix} has {labels} labels for {images} images"));
        }
        Ok(Part {
            shape,
            pixels,
            labels,
        })
    }

    fn array(&mut self, name: String) -> Result<Array, String> {
        let have = || {
            let names = self.archive.file_names().flatten().take(20);
            names.collect::<Vec<_>>().join(", ")
        };
        if !self.has(&name) {
            return Err(format!("there is no array {name} in it; it has {}", have()));
        }
        let wrong = |problem| format!("{name}: {problem}");
        let member = self.archive.by_name(&format!("{name}.npy"));
        let member = member.map_err(|error| wrong(error.to_string()))?;
        let stored = member.compressed_size().min(self.length);
        let mut input = Input::deflated(member, stored);
        let header = Header::read(&mut input.reader).map_err(wrong)?;
        let sizes = header.shape.iter().map(|&size| size as u128);
        let count = sizes.fold(Some(1), |product: Option<u128>, size| {
            product?.checked_mul(size)
        });
        let width = header.width().map_err(wrong)?;
        let expected = count.and_then(|count| count.checked_mul(width));
        let bytes = input.rest(expected.unwrap_or(u128::MAX)).map_err(wrong)?;
        Ok(Array {
            name,
            header,
            bytes,
        })
    }
}

impl Header {
    /// Bytes of one number.
    fn width(&self) -> Result<u128, String> {
        let digits = self.descr.trim_start_matches(|c: char| !c.is_ascii_digit());
        let width = digits.parse().ok().filter(|width| *width <= 8);
        width.ok_or_else(|| format!("its type is {}; numbers are needed", self.descr))
    }
}

impl Array {
    /// Images × channels × height × width numbers and the shape of each image.
    fn pixels(mut self) -> Result<(Shape, Vec<u8>), String> {
        let (name, descr) = (&self.name, &self.header.descr);
        if descr != "|u1" {
            return Err(format!(
                "{name} has the type {descr}; pixels are uint8 (|u1) from 0 to 255, such as \
                 (x * 255).round().astype(\"uint8\") of numbers from 0 to 1"
            ));
        }
        let (planes, last) = match self.header.shape[..] {
            [_, height, width] => ([1, height, width], false),
            [_, a, b, c] if [1, 3].contains(&c) && ![1, 3].contains(&a) => ([c, a, b], true),
            [_, a, b, c] => ([a, b, c], false),
            _ => {
                return Err(format!(
                    "{name} has {} dimensions; images have 3 or 4: number, height, width, and \
                     channels before or after these two",
                    self.header.shape.len()
                ));
            }
        };
        let [channels, height, width] = planes;
        if self.bytes.is_empty() || planes.iter().any(|&size| size > LARGEST_SIDE) {
            return Err(format!(
                "{name} has the shape {:?}; at least one image, and channels and sides of 1 to \
                 {LARGEST_SIDE} are needed",
                self.header.shape
            ));
        }
        let shape = Shape {
            channels,
            height,
            width,
        };
        if last {
            planes_first(&mut self.bytes, shape);
        }
        Ok((shape, self.bytes))
    }

    fn labels(&self) -> Result<Vec<u16>, String> {
        let (name, sizes) = (&self.name, &self.header.shape);
        if !matches!(sizes[..], [_] | [_, 1]) {
            return Err(format!(
                "{name} has the shape {sizes:?}; it must be one label an image"
            ));
        }
        let descr = &self.header.descr;
        let (big, signed) = match descr.as_bytes() {
            [b'>', kind @ (b'u' | b'i'), _] => (true, *kind == b'i'),
            [b'<' | b'|', kind @ (b'u' | b'i'), _] => (false, *kind == b'i'),
            _ => {
                return Err(format!(
                    "{name} has the type {descr}; labels are whole numbers"
                ));
            }
        };
        let width = self.header.width()? as usize;
        if width == 0 {
            return Err(format!(
                "{name} has the type {descr}; labels are whole numbers"
            ));
        }
        let label = |(index, number): (usize, &[u8])| {
            let value = whole_number(number, big, signed);
            u16::try_from(value)
                .map_err(|_| format!("{name} has {value} for image {index}; labels are 0 to 65535"))
        };
        self.bytes
            .chunks_exact(width)
            .enumerate()
            .map(label)
            .collect()
    }
}

/// The value of 1 to 8 bytes.
fn whole_number(bytes: &[u8], big: bool, signed: bool) -> i128 {
    let join = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
    let value = match big {
        true => bytes.iter().fold(0, join),
        false => bytes.iter().rev().fold(0, join),
    };
    let bits = 8 * bytes.len() as u32;
    let negative = signed && value >> (bits - 1) & 1 == 1;
    i128::from(value) - if negative { 1 << bits } else { 0 }
}

/// Puts the colour planes of each image one after the other; they come pixel by pixel.
fn planes_first(pixels: &mut [u8], shape: Shape) {
    let plane = shape.height * shape.width;
    let mut before = vec![0; shape.len()];
    for image in pixels.chunks_exact_mut(shape.len()) {
        before.copy_from_slice(image);
        for (index, pixel) in image.iter_mut().enumerate() {
            *pixel = before[index % plane * shape.channels + index / plane];
        }
    }
}

impl Part {
    /// As many classes as there are labels, which count from 0 without gaps.
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
                 {missing}; labels count from 0 without gaps"
            )),
        }
    }

    fn images(self) -> Result<Images, Error> {
        Images::new(self.shape, self.pixels, self.labels)
    }

    /// A training part and a test part, drawn once and for all.
    fn split(self) -> [Part; 2] {
        let images = self.labels.len();
        let order = Stream::new(0, Purpose::Split, 0, 0).permutation(images);
        let (test, train) = order.split_at(images.div_ceil(TEST_PART));
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
