//! The flags that say which data a command is about.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Result, bail};
use clap::Args;
use naschain_core::Shape;
use naschain_train::{DataName, Dataset};

/// Mebibytes of pictures that are kept in memory when nothing else is said.
pub const KEEP_MIB: u64 = 1024;

/// Reads a data set; of a folder of pictures, those parts are kept in memory that take at most
/// `keep_mib` mebibytes there.
pub fn load(name: &DataName, dir: Option<&Path>, keep_mib: u64) -> Result<Dataset> {
    let dataset = Dataset::load(name, dir)?;
    Ok(dataset.into_memory(keep_mib.saturating_mul(1 << 20))?)
}

/// Which data.
#[derive(Args, Clone, Debug)]
pub struct DataArgs {
    /// Data set: digits, mnist, fashion-mnist, emnist-SPLIT, cifar10, cifar100, folder (pictures
    /// in train/CLASS and val/CLASS), or a NumPy archive's file; `miner data list` has all names
    #[arg(long, value_name = "NAME|FILE.npz", default_value = "digits")]
    pub data: DataChoice,
    /// Folder with the data set's files [default: $NASCHAIN_DATA/NAME, $NASCHAIN_DATA,
    /// data/NAME, /usr/share/datasets/NAME]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// What a folder's pictures are brought to: a side of squares in colour, or CxHxW
    /// [default: 32]
    #[arg(long, value_name = "N|CxHxW", value_parser = image_shape)]
    pub image_size: Option<Shape>,
    /// Mebibytes of a folder's pictures that are kept in memory; more are decoded in each epoch
    #[arg(long, value_name = "MIB", default_value_t = KEEP_MIB)]
    pub keep_images: u64,
}

/// A data set's name, and its folder where a path was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataChoice {
    pub(crate) name: DataName,
    pub(crate) dir: Option<PathBuf>,
}

impl FromStr for DataChoice {
    type Err = naschain_train::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let path = Path::new(text);
        let parent = path.parent().filter(|dir| !dir.as_os_str().is_empty());
        let file = path.file_name().and_then(|file| file.to_str());
        match (parent, file) {
            (Some(dir), Some(file)) if file.ends_with(".npz") => Ok(DataChoice {
                name: file.parse()?,
                dir: Some(dir.to_owned()),
            }),
            _ => Ok(DataChoice {
                name: text.parse()?,
                dir: None,
            }),
        }
    }
}

pub(crate) fn image_shape(text: &str) -> Result<Shape, String> {
    let shape = match text.parse() {
        Ok(side) => Ok(Shape {
            channels: 3,
            height: side,
            width: side,
        }),
        Err(_) => text.parse::<Shape>(),
    };
    let shape = shape.map_err(|_| "use a side such as 32, or CxHxW such as 1x28x28")?;
    match resized(&DataName::folder(), Some(shape)) {
        Ok(_) => Ok(shape),
        Err(error) => Err(error.to_string()),
    }
}

/// The name of a folder whose pictures are brought to `shape`; other data sets have their own.
pub(crate) fn resized(name: &DataName, shape: Option<Shape>) -> Result<DataName> {
    match (name, shape) {
        (_, None) => Ok(name.clone()),
        (DataName::Folder(_), Some(shape)) => Ok(format!("folder-{shape}").parse()?),
        _ => bail!("--image-size is for folders of pictures; the images of {name} have their own"),
    }
}

impl DataArgs {
    /// The data set's name, as it stands in a run's specification.
    pub fn name(&self) -> Result<DataName> {
        resized(&self.data.name, self.image_size)
    }

    /// Reads the data set.
    pub fn load(&self) -> Result<Dataset> {
        let dir = self.data_dir.as_deref().or(self.data.dir.as_deref());
        load(&self.name()?, dir, self.keep_images)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_folder_and_a_name() {
        let choice: DataChoice = "some/where/flowers.npz".parse().unwrap();
        assert_eq!(choice.name, DataName::Npz("flowers.npz".to_owned()));
        assert_eq!(choice.dir.as_deref(), Some(Path::new("some/where")));
        let choice: DataChoice = "flowers.npz".parse().unwrap();
        assert_eq!(choice.dir, None);
        assert!("some/where".parse::<DataChoice>().is_err());
    }

    #[test]
    fn sizes_are_sides_or_shapes() {
        let size = |text| image_shape(text).map(|shape| shape.to_string());
        assert_eq!(size("64").unwrap(), "3x64x64");
        assert_eq!(size("1x28x30").unwrap(), "1x28x30");
        for wrong in ["0", "5000", "4x8x8", "32x32", "-1", "99999999999999999999"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
        let other = resized(&DataName::Cifar10, image_shape("64").ok());
        let error = other.unwrap_err().to_string();
        assert!(
            error.contains("the images of cifar10 have their own"),
            "{error}"
        );
    }
}
