//! Names of data sets.

use std::fmt;
use std::str::FromStr;

use naschain_core::Shape;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Error;

/// Default height and width of the images of a folder.
const DEFAULT_SIDE: usize = 32;
/// Maximum height and width.
const MAX_SIDE: usize = 4096;

/// The supported data sets.
///
/// A name is used in flags and in a run's specification. It contains no path, because each machine
/// may keep the files elsewhere.
///
/// ```
/// use naschain_train::DataName;
/// let name: DataName = "folder-3x64x64".parse()?;
/// assert_eq!(name, DataName::Folder("3x64x64".parse().unwrap()));
/// assert!("../flowers.npz".parse::<DataName>().is_err());
/// # Ok::<(), naschain_train::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DataName {
    /// UCI handwritten digits, embedded: 1,797 images of 1×8×8.
    Digits,
    /// Fashion-MNIST (Xiao et al. 2017): 60,000 + 10,000 images of 1×28×28, IDX files.
    FashionMnist,
    /// MNIST (LeCun et al. 1998): 60,000 + 10,000 images of 1×28×28, IDX files.
    Mnist,
    /// A split of EMNIST (Cohen et al. 2017), IDX files; see [`Emnist`].
    Emnist(Emnist),
    /// CIFAR-10 (Krizhevsky 2009): 50,000 + 10,000 images of 3×32×32, binary version.
    Cifar10,
    /// CIFAR-100 (Krizhevsky 2009): the same with 100 classes, the fine labels, binary version.
    Cifar100,
    /// A folder of pictures, `train/CLASS/FILE` and `val/CLASS/FILE` or `CLASS/FILE`, resized to
    /// this shape; written `folder-3x32x32`.
    Folder(Shape),
    /// A NumPy archive of the arrays `x` and `y`, named by its file name without folders.
    Npz(String),
}

/// A split of EMNIST.
///
/// EMNIST's files store images transposed; they are transposed back when read, to MNIST's
/// orientation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Emnist {
    /// 47 classes of digits and letters with equal numbers of images: 112,800 + 18,800.
    Balanced,
    /// 62 classes of digits, upper-case and lower-case letters: 697,932 + 116,323.
    Byclass,
    /// 47 classes, in which letters that look alike in both cases are merged: 697,932 + 116,323.
    Bymerge,
    /// 10 digits: 240,000 + 40,000.
    Digits,
    /// 26 letters regardless of case: 124,800 + 20,800. The files number them from 1; labels here
    /// count from 0.
    Letters,
    /// 10 digits, as many images as MNIST: 60,000 + 10,000.
    Mnist,
}

impl Emnist {
    /// Every split.
    pub const ALL: [Emnist; 6] = [
        Emnist::Balanced,
        Emnist::Byclass,
        Emnist::Bymerge,
        Emnist::Digits,
        Emnist::Letters,
        Emnist::Mnist,
    ];

    /// The split's name as it appears in file names.
    pub fn as_str(self) -> &'static str {
        match self {
            Emnist::Balanced => "balanced",
            Emnist::Byclass => "byclass",
            Emnist::Bymerge => "bymerge",
            Emnist::Digits => "digits",
            Emnist::Letters => "letters",
            Emnist::Mnist => "mnist",
        }
    }

    pub(super) fn classes(self) -> usize {
        match self {
            Emnist::Balanced | Emnist::Bymerge => 47,
            Emnist::Byclass => 62,
            Emnist::Digits | Emnist::Mnist => 10,
            Emnist::Letters => 26,
        }
    }

    /// The first class's label in the files.
    pub(super) fn first_label(self) -> u8 {
        u8::from(self == Emnist::Letters)
    }
}

impl DataName {
    /// Every data set with a fixed name: all except folders and NumPy archives.
    pub fn all() -> Vec<DataName> {
        let mut all = vec![DataName::Digits, DataName::FashionMnist, DataName::Mnist];
        all.extend(Emnist::ALL.map(DataName::Emnist));
        all.extend([DataName::Cifar10, DataName::Cifar100]);
        all
    }

    /// A folder of images at the default size, 3×32×32.
    pub fn folder() -> DataName {
        DataName::Folder(Shape {
            channels: 3,
            height: DEFAULT_SIDE,
            width: DEFAULT_SIDE,
        })
    }
}

impl fmt::Display for DataName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            DataName::Digits => "digits",
            DataName::FashionMnist => "fashion-mnist",
            DataName::Mnist => "mnist",
            DataName::Emnist(split) => &format!("emnist-{}", split.as_str()),
            DataName::Cifar10 => "cifar10",
            DataName::Cifar100 => "cifar100",
            DataName::Folder(shape) => &format!("folder-{shape}"),
            DataName::Npz(file) => file,
        };
        f.pad(text)
    }
}

impl FromStr for DataName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if let Some(name) = DataName::all().into_iter().find(|n| n.to_string() == text) {
            return Ok(name);
        }
        if text == "folder" {
            return Ok(DataName::folder());
        }
        if let Some(shape) = text.strip_prefix("folder-") {
            return picture_shape(shape).map(DataName::Folder);
        }
        // A run's specification may come from an untrusted party, so the name must not contain a
        // path.
        let plain = !text.starts_with('.') && !text.contains(['/', '\\', ':', '\0']);
        if plain && text.ends_with(".npz") {
            return Ok(DataName::Npz(text.to_owned()));
        }
        Err(Error::UnknownData {
            found: text.to_owned(),
            similar: similar(text).map(|name| name.to_string()),
        })
    }
}

/// The data set whose name differs from `text` only in case and punctuation, or by at most two
/// letters of it.
fn similar(text: &str) -> Option<DataName> {
    let letters = |name: &str| -> String {
        let letters = name.chars().filter(char::is_ascii_alphanumeric);
        letters.map(|letter| letter.to_ascii_lowercase()).collect()
    };
    let found = letters(text);
    let distance =
        |name: &DataName| strsim::damerau_levenshtein(&found, &letters(&name.to_string()));
    // Names are short: a long text is no misspelt name, and would take long to compare.
    let names = DataName::all().into_iter().filter(|_| text.len() <= 64);
    let nearest = names.min_by_key(distance);
    nearest.filter(|name| distance(name) <= 2.min(found.len() / 3))
}

/// Parses a shape of 1 or 3 channels and a supported size.
fn picture_shape(text: &str) -> Result<Shape, Error> {
    let right = |shape: &Shape| {
        let sides = [shape.height, shape.width];
        let side_is_right = |side: &usize| (1..=MAX_SIDE).contains(side);
        [1, 3].contains(&shape.channels) && sides.iter().all(side_is_right)
    };
    let shape = text.parse().ok().filter(right);
    shape.ok_or_else(|| Error::PictureShape {
        found: text.to_owned(),
    })
}

impl Serialize for DataName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DataName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        let mut names = DataName::all();
        names.push(DataName::Npz("flowers.npz".to_owned()));
        names.push(DataName::Folder("1x28x30".parse().unwrap()));
        for name in names {
            assert_eq!(name.to_string().parse::<DataName>().unwrap(), name);
            let json = serde_json::to_string(&name).unwrap();
            assert_eq!(json, format!("\"{name}\""));
            assert_eq!(serde_json::from_str::<DataName>(&json).unwrap(), name);
        }
        assert_eq!("folder".parse::<DataName>().unwrap(), DataName::folder());
    }

    #[test]
    fn unknown_names_are_rejected() {
        let wrong = ["imagenet", "flowers", "a/b.npz", "..\\b.npz", ".npz"];
        for wrong in wrong {
            let error = wrong.parse::<DataName>().unwrap_err().to_string();
            assert!(error.contains("unknown data set"), "{error}");
            assert!(!error.contains("did you mean"), "{error}");
        }
        for (wrong, right) in [
            ("Fashion-MNIST", "fashion-mnist"),
            ("fashionmnist", "fashion-mnist"),
            ("CIFAR-10", "cifar10"),
            ("cifar_100", "cifar100"),
            ("mnits", "mnist"),
            ("EMNIST/letters", "emnist-letters"),
        ] {
            let error = wrong.parse::<DataName>().unwrap_err().to_string();
            assert!(error.contains(&format!("did you mean {right}?")), "{error}");
        }
        for wrong in ["2x8x8", "3x4097x8", "3x0x8", "8", ""] {
            let name = format!("folder-{wrong}").parse::<DataName>();
            let right = format!(
                "images cannot be resized to {wrong:?}; use 1 or 3 channels and sides of 1 to \
                 4096, such as 3x32x32"
            );
            assert_eq!(name.unwrap_err().to_string(), right);
        }
    }
}
