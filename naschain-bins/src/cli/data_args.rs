//! Flags that choose the data set.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Result, bail};
use clap::Args;
use naschain_core::Shape;
use naschain_train::{DataName, Dataset};

/// Default of `--keep-images`, in MiB.
pub(crate) const KEEP_MIB: u64 = 1024;

/// Loads a data set. A part (train, val) of a folder of images is kept decoded in memory if it
/// takes at most `keep_mib` MiB; a larger part is decoded whenever it is read.
pub(crate) fn load(name: &DataName, dir: Option<&Path>, keep_mib: u64) -> Result<Dataset> {
    let dataset = Dataset::load(name, dir)?;
    // A huge value just means no limit.
    Ok(dataset.into_memory(keep_mib.saturating_mul(1 << 20))?)
}

/// Flags that choose the data set.
#[derive(Args, Clone, Debug)]
pub struct DataArgs {
    /// Data set: digits, mnist, fashion-mnist, emnist-SPLIT, cifar10, cifar100, folder (images in
    /// train/CLASS and val/CLASS), or a NumPy archive; `miner data list` lists all names
    #[arg(long, value_name = "NAME|FILE.npz", default_value = "digits")]
    pub data: DataChoice,
    /// Folder of the data set's files [default: $NASCHAIN_DATA/NAME, $NASCHAIN_DATA,
    /// data/NAME, /usr/share/datasets/NAME]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Size to which images of a folder are scaled: N for NxN in colour, or CxHxW [default: 32]
    #[arg(long, value_name = "N|CxHxW", value_parser = image_shape)]
    pub image_size: Option<Shape>,
    /// Maximum size of each part (train, val) of a folder that is kept decoded in memory, in MiB;
    /// a larger part is decoded again in every epoch
    #[arg(long, value_name = "MIB", default_value_t = KEEP_MIB)]
    pub keep_images: u64,
}

/// Name of a data set, and its folder if a path was given.
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
    let shape = shape.map_err(|_| "use a size such as 32, or CxHxW such as 1x28x28")?;
    match resized(&DataName::folder(), Some(shape)) {
        Ok(_) => Ok(shape),
        Err(error) => Err(error.to_string()),
    }
}

/// The name of a folder of images that are scaled to `shape`.
///
/// The size is part of the name, so that it is part of the run's specification and miners scale to
/// the same size. Other data sets have a fixed size.
pub(crate) fn resized(name: &DataName, shape: Option<Shape>) -> Result<DataName> {
    match (name, shape) {
        (_, None) => Ok(name.clone()),
        (DataName::Folder(_), Some(shape)) => Ok(format!("folder-{shape}").parse()?),
        _ => bail!(
            "--image-size is only for folders of images; the images of {name} have a fixed size"
        ),
    }
}

impl DataArgs {
    /// The data set's name as in a run's specification.
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
    fn an_image_size_is_a_side_or_a_shape() {
        let size = |text| image_shape(text).map(|shape| shape.to_string());
        assert_eq!(size("64").unwrap(), "3x64x64");
        assert_eq!(size("1x28x30").unwrap(), "1x28x30");
        for wrong in ["0", "5000", "4x8x8", "32x32", "-1", "99999999999999999999"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
        let other = resized(&DataName::Cifar10, image_shape("64").ok());
        let error = other.unwrap_err().to_string();
        assert!(
            error.contains("the images of cifar10 have a fixed size"),
            "{error}"
        );
    }
}
