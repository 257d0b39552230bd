//! Data sets: their files, and what they hold.

mod array;
mod cifar;
mod digits;
mod files;
mod folder;
mod idx;
mod images;
mod moments;
mod name;
mod npy;
mod npz;
mod picture;
mod places;

use std::path::{Path, PathBuf};

use naschain_core::{Digest, Shape};

use crate::Error;
pub use images::Images;
pub use moments::Moments;
pub use name::{DataName, Emnist};

/// Reads a PNG or JPEG file as an image of `shape`: channels × height × width pixels, plane by
/// plane, from 0 to 255.
///
/// The largest part around the centre that has the shape's proportions is resized to it; grey
/// becomes colour and colour grey where the channels ask for it.
///
/// # Errors
/// [`Error::Io`]; [`Error::Malformed`] for a file that is no such image, or a shape that has
/// neither 1 nor 3 channels.
pub fn read_picture(path: &Path, shape: Shape) -> Result<Vec<u8>, Error> {
    if ![1, 3].contains(&shape.channels) {
        return Err(Error::Malformed {
            path: path.to_owned(),
            problem: format!("a picture has 1 or 3 channels; {shape} is asked for"),
        });
    }
    let mut pixels = vec![0; shape.len()];
    picture::read(path, shape, &mut pixels)?;
    Ok(pixels)
}

/// A data set: its images, in memory or in files that are read as they are needed.
///
/// ```
/// use naschain_train::Dataset;
/// let digits = Dataset::digits();
/// assert_eq!((digits.train.len(), digits.test.len()), (1397, 400));
/// assert_eq!(digits.shape.to_string(), "1x8x8");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// Its name, such as `digits`.
    pub name: String,
    /// The shape of every image.
    pub shape: Shape,
    /// The number of classes.
    pub classes: usize,
    /// Images to train and validate on.
    pub train: Images,
    /// Images to test on once, at the end.
    pub test: Images,
    class_names: Vec<String>,
}

impl Dataset {
    /// The embedded UCI digits: 1,397 training and 400 test images, drawn once and for all.
    pub fn digits() -> Dataset {
        digits::dataset()
    }

    /// A data set of these parts.
    ///
    /// # Errors
    /// [`Error::PartShapes`] when their images have different shapes, [`Error::LabelRange`] when
    /// a label is not below `classes`.
    pub fn new(
        name: impl Into<String>,
        classes: usize,
        train: Images,
        test: Images,
    ) -> Result<Dataset, Error> {
        let name = name.into();
        let (shape, other) = (train.shape(), test.shape());
        if shape != other {
            let (train, test) = (shape, other);
            return Err(Error::PartShapes { name, train, test });
        }
        let labels = train.labels().iter().chain(test.labels());
        if let Some(&found) = labels.max().filter(|label| usize::from(**label) >= classes) {
            return Err(Error::LabelRange {
                name,
                found,
                classes,
            });
        }
        Ok(Dataset {
            name,
            shape,
            classes,
            train,
            test,
            class_names: Vec::new(),
        })
    }

    /// Reads a data set from its files.
    ///
    /// They are looked for in `data_dir` if it is given; otherwise in `$NASCHAIN_DATA/<name>`,
    /// `$NASCHAIN_DATA`, `data/<name>` and the places where Debian's packages put them, and by the
    /// names that the makers' archives unpack to. A folder of pictures stays where it is: each
    /// picture is decoded once here, by all processors, and then whenever it is needed.
    ///
    /// # Errors
    /// [`Error::DataNotFound`] with every folder that was tried, [`Error::Io`], or
    /// [`Error::Malformed`].
    pub fn load(name: &DataName, data_dir: Option<&Path>) -> Result<Dataset, Error> {
        let Some(found) = Dataset::find(name, data_dir)? else {
            return Ok(Dataset::digits());
        };
        let written = name.to_string();
        match name {
            DataName::Digits => Ok(Dataset::digits()),
            DataName::FashionMnist | DataName::Mnist => idx::mnist(written, &found),
            DataName::Emnist(split) => idx::emnist(written, *split, &found),
            DataName::Cifar10 => cifar::cifar10(written, &found),
            DataName::Cifar100 => cifar::cifar100(written, &found),
            DataName::Folder(shape) => folder::dataset(written, &found, *shape),
            DataName::Npz(_) => npz::dataset(written, &found),
        }
    }

    /// The folder, or the file, that [`Dataset::load`] would read; nothing for the digits, which
    /// are embedded.
    ///
    /// # Errors
    /// [`Error::DataNotFound`] with every folder that was tried.
    pub fn find(name: &DataName, data_dir: Option<&Path>) -> Result<Option<PathBuf>, Error> {
        match name {
            DataName::Digits => Ok(None),
            _ => places::find(name, data_dir).map(Some),
        }
    }

    /// The same with the pictures of each part in memory if their pixels take at most
    /// `most_bytes` there, so that they are decoded no more.
    ///
    /// # Errors
    /// Those of [`Images::pixels`].
    pub fn kept(self, most_bytes: u64) -> Result<Dataset, Error> {
        Ok(Dataset {
            train: self.train.kept(most_bytes)?,
            test: self.test.kept(most_bytes)?,
            ..self
        })
    }

    /// The same with a name for each class.
    ///
    /// # Errors
    /// [`Error::ClassNames`] when there is not one for each.
    pub fn with_class_names(self, class_names: Vec<String>) -> Result<Dataset, Error> {
        let (names, classes) = (class_names.len(), self.classes);
        if names == classes {
            Ok(Dataset {
                class_names,
                ..self
            })
        } else {
            Err(Error::ClassNames { names, classes })
        }
    }

    /// The classes' names in the order of their numbers; empty where they are just numbers.
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// The pixel value of white: 16 for the UCI digits, which have 17 grey levels, 255 for all
    /// others.
    pub fn white(&self) -> u8 {
        if self.name == DataName::Digits.to_string() {
            16
        } else {
            255
        }
    }

    /// BLAKE3 over shape and classes, and then for each part the number of its images and its
    /// [digest](Images::digest): two parties with the same digest hold the same data.
    pub fn digest(&self) -> Digest {
        let mut hasher = blake3::Hasher::new();
        hasher.update(format!("{} {}\n", self.shape, self.classes).as_bytes());
        for part in [&self.train, &self.test] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(&part.digest().0);
        }
        Digest(*hasher.finalize().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_sees_every_part() {
        let digits = Dataset::digits();
        let all: Vec<usize> = (0..400).collect();
        let mut labels = digits.test.labels().to_vec();
        let pixels = digits.test.pixels(&all).unwrap();
        labels[399] ^= 1;
        let test = Images::new(digits.shape, pixels, labels).unwrap();
        let changed = Dataset::new("digits", 10, digits.train.clone(), test).unwrap();
        assert_ne!(digits.digest(), changed.digest());
        let mut changed = digits.clone();
        changed.classes = 11;
        assert_ne!(digits.digest(), changed.digest());
        assert_eq!(digits.digest(), digits.clone().digest());
    }

    #[test]
    fn parts_that_do_not_fit_are_refused() {
        let part = |shape: &str, label| {
            let shape: Shape = shape.parse().unwrap();
            Images::new(shape, vec![0; shape.len()], vec![label]).unwrap()
        };
        let problem = |train, test| {
            Dataset::new("mine", 3, train, test)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            problem(part("1x2x2", 0), part("1x2x3", 0)),
            "the training images of mine are 1x2x2, the test images 1x2x3"
        );
        assert_eq!(
            problem(part("1x2x2", 2), part("1x2x2", 3)),
            "mine has the label 3; with 3 classes labels are 0 to 2"
        );
        let names = Dataset::digits().with_class_names(vec!["zero".to_owned()]);
        let error = names.unwrap_err().to_string();
        assert_eq!(error, "1 class names; there are 10 classes");
    }
}
