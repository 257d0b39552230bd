//! Data sets: their files, and what they hold in memory.

mod cifar;
mod digits;
mod files;
mod idx;
mod picture;

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use naschain_core::{Digest, Shape};
use serde::{Deserialize, Serialize};

use crate::Error;

/// The data sets that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DataName {
    /// UCI handwritten digits, embedded: 1,797 images of 1×8×8.
    Digits,
    /// Fashion-MNIST (Xiao et al. 2017): 60,000 + 10,000 images of 1×28×28, IDX files.
    FashionMnist,
    /// MNIST (LeCun et al. 1998): 60,000 + 10,000 images of 1×28×28, IDX files.
    Mnist,
    /// CIFAR-10 (Krizhevsky 2009): 50,000 + 10,000 images of 3×32×32, binary version.
    Cifar10,
}

impl DataName {
    /// Every data set.
    pub const ALL: [DataName; 4] = [
        DataName::Digits,
        DataName::FashionMnist,
        DataName::Mnist,
        DataName::Cifar10,
    ];

    /// The name as it is written in flags and files.
    pub fn as_str(self) -> &'static str {
        match self {
            DataName::Digits => "digits",
            DataName::FashionMnist => "fashion-mnist",
            DataName::Mnist => "mnist",
            DataName::Cifar10 => "cifar10",
        }
    }
}

impl fmt::Display for DataName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for DataName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let named = Self::ALL.into_iter().find(|name| name.as_str() == text);
        named.ok_or_else(|| Error::UnknownData {
            found: text.to_owned(),
        })
    }
}

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

/// Images with their labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Images {
    /// Pixels: images × channels × height × width, each plane row by row.
    pub pixels: Vec<u8>,
    /// One label an image, counted from 0.
    pub labels: Vec<u8>,
}

impl Images {
    /// The number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }
}

/// A data set in memory.
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
}

impl Dataset {
    /// The embedded UCI digits: 1,397 training and 400 test images, drawn once and for all.
    pub fn digits() -> Dataset {
        digits::dataset()
    }

    /// Reads a data set from its files.
    ///
    /// They are looked for in `data_dir` if it is given; otherwise in `$NASCHAIN_DATA/<name>`,
    /// `$NASCHAIN_DATA`, `data/<name>` and the places where Debian's packages put them.
    ///
    /// # Errors
    /// [`Error::DataNotFound`] with every folder that was tried, [`Error::Io`], or
    /// [`Error::Malformed`].
    pub fn load(name: DataName, data_dir: Option<&Path>) -> Result<Dataset, Error> {
        match name {
            DataName::Digits => Ok(Dataset::digits()),
            DataName::FashionMnist | DataName::Mnist => {
                idx::dataset(name.as_str(), &files::folder(name, data_dir)?)
            }
            DataName::Cifar10 => cifar::dataset(&files::folder(name, data_dir)?),
        }
    }

    /// The pixel value of white: 16 for the UCI digits, which have 17 grey levels, 255 for all
    /// others.
    pub fn white(&self) -> u8 {
        if self.name == DataName::Digits.as_str() {
            16
        } else {
            255
        }
    }

    /// BLAKE3 over shape, classes, and the pixels and labels of both parts in order: two parties
    /// with the same digest hold the same data.
    pub fn digest(&self) -> Digest {
        let mut hasher = blake3::Hasher::new();
        hasher.update(format!("{} {}\n", self.shape, self.classes).as_bytes());
        for part in [&self.train, &self.test] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(&part.pixels);
            hasher.update(&part.labels);
        }
        Digest(*hasher.finalize().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_as_they_are_read() {
        for name in DataName::ALL {
            assert_eq!(name.to_string().parse::<DataName>().unwrap(), name);
            let json = serde_json::to_string(&name).unwrap();
            assert_eq!(json, format!("\"{name}\""));
        }
        assert!("imagenet".parse::<DataName>().is_err());
    }

    #[test]
    fn the_digest_sees_every_part() {
        let digits = Dataset::digits();
        let mut changed = digits.clone();
        changed.test.labels[399] ^= 1;
        assert_ne!(digits.digest(), changed.digest());
        changed = digits.clone();
        changed.classes = 11;
        assert_ne!(digits.digest(), changed.digest());
        assert_eq!(digits.digest(), digits.clone().digest());
    }
}
