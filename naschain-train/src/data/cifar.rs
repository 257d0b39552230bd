//! CIFAR-10 and CIFAR-100, binary versions: per image one label byte, or a coarse and a fine one,
//! and 3,072 pixel bytes (<https://www.cs.toronto.edu/~kriz/cifar.html>).

use std::io::{BufReader, Read};
use std::path::Path;

use naschain_core::Shape;

use super::{Dataset, Images, files};
use crate::Error;

const SHAPE: Shape = Shape {
    channels: 3,
    height: 32,
    width: 32,
};

/// Files and record format of one data set.
struct CifarFiles {
    train: &'static [&'static str],
    test: &'static str,
    /// Name and number of classes of each label byte of a record; the last is the label to learn.
    labels: &'static [(&'static str, u8)],
}

const CIFAR10: CifarFiles = CifarFiles {
    train: &[
        "data_batch_1.bin",
        "data_batch_2.bin",
        "data_batch_3.bin",
        "data_batch_4.bin",
        "data_batch_5.bin",
    ],
    test: "test_batch.bin",
    labels: &[("label", 10)],
};

const CIFAR100: CifarFiles = CifarFiles {
    train: &["train.bin"],
    test: "test.bin",
    labels: &[("coarse label", 20), ("fine label", 100)],
};

pub(super) fn cifar10(name: String, dir: &Path) -> Result<Dataset, Error> {
    CIFAR10.dataset(name, dir)
}

pub(super) fn cifar100(name: String, dir: &Path) -> Result<Dataset, Error> {
    CIFAR100.dataset(name, dir)
}

impl CifarFiles {
    fn dataset(&self, name: String, dir: &Path) -> Result<Dataset, Error> {
        let train = self.part(dir, self.train)?;
        let test = self.part(dir, &[self.test])?;
        let classes = self.labels.last().map_or(0, |(_, classes)| *classes);
        Dataset::new(name, usize::from(classes), train, test)
    }

    fn part(&self, dir: &Path, files: &[&str]) -> Result<Images, Error> {
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        for file in files {
            self.append(&dir.join(file), &mut pixels, &mut labels)?;
        }
        Images::new(SHAPE, pixels, labels)
    }

    fn append(
        &self,
        path: &Path,
        pixels: &mut Vec<u8>,
        labels: &mut Vec<u16>,
    ) -> Result<(), Error> {
        let (file, length) = files::open(path)?;
        let record = self.labels.len() + SHAPE.len();
        let count = length / record as u64;
        if count == 0 || !length.is_multiple_of(record as u64) {
            let problem =
                format!("{length} bytes are not a whole number of images of {record} bytes");
            return Err(files::malformed(path, problem));
        }
        if length > files::MAX_BYTES {
            let max = files::MAX_BYTES;
            let problem = format!("it has {length} bytes; the limit is {max}");
            return Err(files::malformed(path, problem));
        }
        let mut reader = BufReader::new(file);
        pixels.reserve_exact(count as usize * SHAPE.len());
        let mut image = vec![0; record];
        for index in 0..count {
            let read = reader.read_exact(&mut image).map_err(files::read_problem);
            let label = read.and_then(|()| self.label(index, &image));
            labels.push(label.map_err(|problem| files::malformed(path, problem))?);
            pixels.extend_from_slice(&image[self.labels.len()..]);
        }
        Ok(())
    }

    fn label(&self, index: u64, image: &[u8]) -> Result<u16, String> {
        let mut last = 0;
        for (&found, (what, classes)) in image.iter().zip(self.labels) {
            if found >= *classes {
                return Err(format!(
                    "{what} of image {index} is {found}; {what}s are 0 to {}",
                    classes - 1
                ));
            }
            last = u16::from(found);
        }
        Ok(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_folder::test_folder;

    fn load(test: &str, last: &[u8]) -> Result<Dataset, Error> {
        let dir = test_folder(&format!("cifar-{test}"));
        for number in 1..=5u8 {
            let mut image = vec![number; 3073];
            image[1] = 255;
            std::fs::write(dir.join(format!("data_batch_{number}.bin")), image).unwrap();
        }
        std::fs::write(dir.join("test_batch.bin"), last).unwrap();
        let data = cifar10("cifar10".to_owned(), &dir);
        std::fs::remove_dir_all(dir).unwrap();
        data
    }

    #[test]
    fn batches_are_joined_in_order() {
        let data = load("good", &[7; 2 * 3073]).unwrap();
        assert_eq!(data.train.labels(), [1, 2, 3, 4, 5]);
        assert_eq!(data.train.pixels(&[0]).unwrap()[..2], [255, 1]);
        assert_eq!(data.train.pixels(&[4]).unwrap()[..2], [255, 5]);
        assert_eq!(data.test.len(), 2);
    }

    #[test]
    fn malformed_files_are_rejected_by_name() {
        let error = load("cut", &[7; 3072]).unwrap_err().to_string();
        assert!(
            error.contains("test_batch.bin: 3072 bytes are not"),
            "{error}"
        );
        let error = load("empty", &[]).unwrap_err().to_string();
        assert!(error.contains("0 bytes"), "{error}");
        let error = load("label", &[10; 3073]).unwrap_err().to_string();
        assert!(error.contains("label of image 0 is 10"), "{error}");
    }

    #[test]
    fn the_fine_labels_of_cifar100_are_read() {
        let dir = test_folder("cifar100");
        let image = |coarse, fine| {
            let mut image = vec![7; 3074];
            (image[0], image[1]) = (coarse, fine);
            image
        };
        let load = |train: Vec<u8>| {
            std::fs::write(dir.join("train.bin"), train).unwrap();
            std::fs::write(dir.join("test.bin"), image(0, 1)).unwrap();
            cifar100("cifar100".to_owned(), &dir)
        };
        let data = load([image(19, 99), image(3, 0)].concat()).unwrap();
        assert_eq!((data.train.labels(), data.classes), (&[99, 0][..], 100));
        assert_eq!(data.train.pixels(&[0]).unwrap(), [7; 3072]);
        let problem = |train| load(train).unwrap_err().to_string();
        let error = problem([image(3, 0), image(20, 0)].concat());
        assert!(
            error.contains("coarse label of image 1 is 20; coarse labels are 0 to 19"),
            "{error}"
        );
        let error = problem(image(0, 100));
        assert!(error.contains("fine label of image 0 is 100"), "{error}");
        // A sparse file, which takes no disk space.
        let long = std::fs::File::create(dir.join("train.bin")).unwrap();
        long.set_len(3074 << 30).unwrap();
        let error = cifar100("cifar100".to_owned(), &dir).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("the limit is 4294967296"), "{error}");
        let error = problem(vec![0; 3073]);
        assert!(
            error.contains("3073 bytes are not a whole number of images of 3074 bytes"),
            "{error}"
        );
        std::fs::remove_dir_all(dir).unwrap();
    }
}
