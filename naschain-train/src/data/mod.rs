//! Data sets: finding, reading and holding them.

mod array;
mod cifar;
mod decode;
mod digits;
mod files;
mod folder;
mod foreign;
mod idx;
mod images;
mod moments;
mod name;
mod npy;
mod npz;
mod packed;
mod picture;
mod pictures;
mod places;
mod png;
mod warnings;

use std::path::{Path, PathBuf};

use naschain_core::{Digest, Shape};

use crate::Error;
pub use images::Images;
pub use moments::Moments;
pub use name::{DataName, Emnist};
pub use packed::PackedDataset;
pub use pictures::{BadPicture, pictures_in};
pub use png::png_of;

/// Reads a PNG, JPEG, WebP, GIF (its first frame) or BMP file as an image of `shape`: channels ×
/// height × width pixels, plane by plane, from 0 to 255.
///
/// The largest centred part with the shape's aspect ratio is resized to the shape. Grey images are
/// converted to colour and colour images to grey as the number of channels requires.
///
/// # Errors
/// [`Error::Io`]; [`Error::Malformed`] for a file that is none of these, or a shape with neither 1
/// nor 3 channels.
pub fn read_picture(path: &Path, shape: Shape) -> Result<Vec<u8>, Error> {
    if ![1, 3].contains(&shape.channels) {
        return Err(Error::Malformed {
            path: path.to_owned(),
            problem: format!("images can be read with 1 or 3 channels, not as {shape}"),
        });
    }
    let mut pixels = vec![0; shape.len()];
    picture::read(path, shape, &mut pixels)?;
    Ok(pixels)
}

/// As [`read_picture`], of the bytes of a file.
///
/// # Errors
/// [`Error::Picture`].
pub fn picture_from_bytes(bytes: &[u8], shape: Shape) -> Result<Vec<u8>, Error> {
    if ![1, 3].contains(&shape.channels) {
        let problem = format!("images can be read with 1 or 3 channels, not as {shape}");
        return Err(Error::Picture { problem });
    }
    let mut pixels = vec![0; shape.len()];
    picture::fit_bytes(bytes, shape, &mut pixels).map_err(|problem| Error::Picture { problem })?;
    Ok(pixels)
}

/// A labelled data set, in memory or in image files that are decoded when needed.
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
    /// The embedded UCI digits: 1,397 training and 400 test images, in a fixed split.
    pub fn digits() -> Dataset {
        digits::dataset()
    }

    /// Combines a training set and a test set.
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
    /// They are searched in `data_dir` if it is given; otherwise in `$NASCHAIN_DATA/<name>`,
    /// `$NASCHAIN_DATA`, `data/<name>` and the folders of Debian's packages, also under the folder
    /// names of the original archives. A folder of image files is not copied: each file is decoded
    /// once here, in parallel, for the digest, and then whenever it is needed.
    ///
    /// # Errors
    /// [`Error::DataNotFound`] with every folder that was searched, [`Error::Io`],
    /// [`Error::Malformed`], or [`Error::BadPictures`] with all files of a folder that cannot be
    /// read.
    pub fn load(name: &DataName, data_dir: Option<&Path>) -> Result<Dataset, Error> {
        let (dataset, _) = Dataset::load_from(name, data_dir, false)?;
        Ok(dataset)
    }

    /// As [`Dataset::load`], without the pictures of a folder that cannot be read, which are
    /// returned too. The digest is that of a folder without these files.
    ///
    /// # Errors
    /// As for [`Dataset::load`]; [`Error::Malformed`] for a class of which no picture can be read.
    pub fn load_readable(
        name: &DataName,
        data_dir: Option<&Path>,
    ) -> Result<(Dataset, Vec<BadPicture>), Error> {
        Dataset::load_from(name, data_dir, true)
    }

    fn load_from(
        name: &DataName,
        data_dir: Option<&Path>,
        skip_bad: bool,
    ) -> Result<(Dataset, Vec<BadPicture>), Error> {
        let Some(found) = Dataset::find(name, data_dir)? else {
            return Ok((Dataset::digits(), Vec::new()));
        };
        let written = name.to_string();
        let dataset = match name {
            DataName::Folder(shape) => return folder::dataset(written, &found, *shape, skip_bad),
            DataName::Digits => Ok(Dataset::digits()),
            DataName::FashionMnist | DataName::Mnist => idx::mnist(written, &found),
            DataName::Emnist(split) => idx::emnist(written, *split, &found),
            DataName::Cifar10 => cifar::cifar10(written, &found),
            DataName::Cifar100 => cifar::cifar100(written, &found),
            DataName::Npz(_) => npz::dataset(written, &found),
        };
        dataset.map(|dataset| (dataset, Vec::new()))
    }

    /// The folder or file that [`Dataset::load`] would read; `None` for the embedded digits.
    ///
    /// # Errors
    /// [`Error::DataNotFound`] with every folder that was searched.
    pub fn find(name: &DataName, data_dir: Option<&Path>) -> Result<Option<PathBuf>, Error> {
        match name {
            DataName::Digits => Ok(None),
            _ => places::find(name, data_dir).map(Some),
        }
    }

    /// Decodes each of the two parts into memory if its pixels take at most `max_bytes`, so that
    /// its files are not decoded again and again.
    ///
    /// # Errors
    /// Those of [`Images::pixels`].
    pub fn into_memory(self, max_bytes: u64) -> Result<Dataset, Error> {
        Ok(Dataset {
            train: self.train.into_memory(max_bytes)?,
            test: self.test.into_memory(max_bytes)?,
            ..self
        })
    }

    /// Sets the classes' names.
    ///
    /// # Errors
    /// [`Error::ClassNames`] when there is not one name per class.
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

    /// Warnings about suspicious data, one sentence each, for the user to look at: classes of few
    /// images or much larger than others, images of one colour, enlarged images, images that occur
    /// in both parts or in two classes, classes that look alike.
    ///
    /// Reads all images once. Memory is 24 bytes per image and 1 KiB per class and channel.
    ///
    /// # Errors
    /// As for [`Images::pixels`].
    pub fn warnings(&self) -> Result<Vec<String>, Error> {
        warnings::of(self)
    }

    /// Class names in the order of the class numbers; empty if classes only have numbers.
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// The pixel value of white: 16 for the UCI digits, which have 17 grey levels, otherwise 255.
    pub fn white(&self) -> u8 {
        if self.name == DataName::Digits.to_string() {
            16
        } else {
            255
        }
    }

    /// Content digest: BLAKE3 of shape and number of classes, and for each part of its number of
    /// images and its [digest](Images::digest). Parties with equal digests have equal data.
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
    fn the_digest_covers_both_parts() {
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
    fn mismatched_parts_are_rejected() {
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
        assert_eq!(error, "there are 1 class names for 10 classes");
    }
}
