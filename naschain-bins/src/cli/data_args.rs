//! Flags that choose the data set.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Result, anyhow, bail, ensure};
use clap::Args;
use naschain_core::Shape;
use naschain_train::{DataName, Dataset, Error, pictures_in};

use crate::cli::data_folder::names_in;
use crate::cli::suggesting::Suggesting;
use crate::dataset::{KEEP_MIB, find, in_memory, load};
use crate::printable::{counted, printable};

/// From this number of pictures on, reading a folder takes a while and is announced.
const MANY_PICTURES: usize = 1000;

/// Flags that choose the data set.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "The data")]
pub struct DataArgs {
    /// Data set: a folder of pictures (CLASS/FILE), a NumPy archive (.npz) or a name [default:
    /// digits]
    ///
    /// A folder of pictures has CLASS/FILE, or train/CLASS/FILE and val/CLASS/FILE. A folder may also
    /// hold the files of a known data set. The names are digits, mnist, fashion-mnist, emnist-SPLIT,
    /// cifar10 and cifar100; `miner data list` lists all of them.
    #[arg(long, value_name = "PATH|NAME", value_parser = data_parser(), hide_possible_values = true)]
    pub data: Option<DataChoice>,
    /// Folder of the data set's files; without --data, the data set is detected from its files
    /// [default: $NASCHAIN_DATA/NAME, $NASCHAIN_DATA, data/NAME, /usr/share/datasets/NAME]
    #[arg(long, value_name = "DIR", hide_short_help = true)]
    pub data_dir: Option<PathBuf>,
    /// Size to which images of a folder are scaled: N or HxW in colour, or CxHxW [default: 32]
    #[arg(long, value_name = "N|CxHxW", value_parser = image_shape)]
    pub image_size: Option<Shape>,
    /// Leave out pictures that cannot be read instead of refusing the folder
    ///
    /// The data set is then the same as without these files.
    #[arg(long)]
    pub skip_bad: bool,
    #[command(flatten)]
    pub(crate) keep: KeepImagesArgs,
}

/// How much of a folder of pictures stays in memory.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct KeepImagesArgs {
    /// Maximum size of each part (train, val) of a folder that is kept decoded in memory, in MiB;
    /// a larger part is decoded again in every epoch
    #[arg(long, value_name = "MIB", default_value_t = KEEP_MIB, hide_short_help = true)]
    pub(crate) keep_images: u64,
}

/// Name of a data set, and its folder if a path was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataChoice {
    pub(crate) name: DataName,
    pub(crate) dir: Option<PathBuf>,
}

impl DataChoice {
    /// The data set in a folder.
    pub(crate) fn in_folder(dir: &Path) -> Result<DataChoice> {
        let names = names_in(dir)?;
        let [name] = &names[..] else {
            let names: Vec<String> = names.iter().map(DataName::to_string).collect();
            bail!(
                "{} holds several data sets: {}; choose one, as in --data {} --data-dir {}",
                dir.display(),
                names.join(", "),
                names[0],
                dir.display()
            );
        };
        Ok(DataChoice {
            name: name.clone(),
            dir: Some(dir.to_owned()),
        })
    }
}

impl FromStr for DataChoice {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let path = Path::new(text);
        let parent = path.parent().filter(|dir| !dir.as_os_str().is_empty());
        let file = path.file_name().and_then(|file| file.to_str());
        match (text.parse::<DataName>(), parent, file) {
            (Ok(name), ..) => Ok(DataChoice { name, dir: None }),
            (Err(_), ..) if path.is_dir() => DataChoice::in_folder(path),
            (Err(_), Some(dir), Some(file)) if file.ends_with(".npz") => Ok(DataChoice {
                name: file.parse()?,
                dir: Some(dir.to_owned()),
            }),
            (Err(_), ..) if path.is_file() => bail!(
                "{text} is a file, but not a NumPy archive (.npz); give the folder of the pictures"
            ),
            (Err(_), ..) if is_path(text) => Err(missing(text)),
            (Err(error @ Error::UnknownData { .. }), ..) => Err(anyhow!(
                "{error}; there is no folder or file {text:?} here either"
            )),
            (Err(error), ..) => Err(error.into()),
        }
    }
}

/// Whether a text is a path rather than the name of a data set.
fn is_path(text: &str) -> bool {
    text.starts_with(['.', '~']) || text.contains(std::path::is_separator)
}

/// The error of a folder that does not exist.
fn missing(text: &str) -> anyhow::Error {
    if text.starts_with("~") {
        // Shells replace a ~ only at the beginning of a word.
        return anyhow!(
            "there is no folder {text}: the shell does not replace ~ after =; write --data {text}, or $HOME"
        );
    }
    let existing = Path::new(text).ancestors().skip(1).find(|dir| dir.is_dir());
    let existing = existing.filter(|dir| dir.file_name().is_some());
    let hint = existing.map_or_else(String::new, |dir| {
        format!("; of this path {} exists", dir.display())
    });
    anyhow!("there is no folder {text}{hint}")
}

/// Parses `--data`, and lets shells complete the names of data sets.
fn data_parser() -> Suggesting<DataChoice> {
    Suggesting::new(DataName::all().iter().map(DataName::to_string))
}

pub(crate) fn image_shape(text: &str) -> Result<Shape, String> {
    let shape = match text.parse() {
        Ok(side) => Ok(Shape {
            channels: 3,
            height: side,
            width: side,
        }),
        // Heights and widths alone, as in 32x32, are of colour images.
        Err(_) if text.matches('x').count() == 1 => format!("3x{text}").parse::<Shape>(),
        Err(_) => text.parse::<Shape>(),
    };
    let shape = shape
        .map_err(|_| "use a size such as 32 or, in colour, 32x48, or CxHxW such as 1x28x28")?;
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
    /// The data set that the flags name, and where to search it.
    fn choice(&self) -> Result<DataChoice> {
        let (choice, dir) = match (&self.data, &self.data_dir) {
            (None, None) => ("digits".parse()?, None),
            (None, Some(dir)) if dir.is_dir() => (DataChoice::in_folder(dir)?, None),
            (None, Some(dir)) => (dir.to_string_lossy().parse()?, None),
            (Some(choice), dir) => (choice.clone(), dir.clone()),
        };
        let Some(dir) = dir else { return Ok(choice) };
        ensure!(
            choice.dir.is_none(),
            "--data is a path already, so --data-dir {} would not be used; give one of them",
            dir.display()
        );
        ensure!(
            choice.name != DataName::Digits,
            "the digits are part of the program, so --data-dir {} would not be used; for data in \
             this folder omit --data digits",
            dir.display()
        );
        let dir = Some(dir);
        Ok(DataChoice { dir, ..choice })
    }

    /// The data set's name as in a run's specification.
    pub fn name(&self) -> Result<DataName> {
        resized(&self.choice()?.name, self.image_size)
    }

    /// The folder or file of the data set on this machine; `None` for the embedded digits.
    pub(crate) fn place(&self) -> Result<Option<PathBuf>> {
        let DataChoice { name, dir } = self.choice()?;
        let found = find(&name, dir.as_deref(), "--data")?;
        // An absolute path, because it is used from other folders too.
        Ok(found.map(|found| found.canonicalize()).transpose()?)
    }

    /// Reads the data set, and logs warnings about suspicious data of the user's own.
    pub fn load(&self) -> Result<Dataset> {
        let (name, DataChoice { dir, .. }) = (self.name()?, self.choice()?);
        let place = find(&name, dir.as_deref(), "--data")?;
        if let (DataName::Folder(_), Some(place)) = (&name, &place) {
            let pictures = pictures_in(place).map_or(0, |pictures| pictures.len());
            if pictures >= MANY_PICTURES {
                tracing::info!("reading {}", counted(pictures, "picture"));
            }
        }
        let keep_mib = self.keep.keep_images;
        let dataset = if self.skip_bad {
            load(&name, dir.as_deref(), keep_mib)?
        } else {
            in_memory(Dataset::load(&name, dir.as_deref())?, keep_mib)?
        };
        if matches!(name, DataName::Folder(_) | DataName::Npz(_)) {
            for warning in dataset.warnings()? {
                tracing::warn!("{}", printable(&warning));
            }
        }
        Ok(dataset)
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
        for (wrong, problem) in [
            ("some/where", "there is no folder some/where"),
            (".hidden", "there is no folder .hidden"),
            (
                "src/none",
                "there is no folder src/none; of this path src exists",
            ),
            ("~/pictures", "or $HOME"),
            ("pictures", "unknown data set \"pictures\""),
            (
                "pictures",
                "; there is no folder or file \"pictures\" here either",
            ),
        ] {
            let error = wrong.parse::<DataChoice>().unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
        let error = "Cargo.toml".parse::<DataChoice>().unwrap_err().to_string();
        assert!(error.contains("not a NumPy archive"), "{error}");
    }

    #[test]
    fn a_folder_of_data_that_would_not_be_used_is_refused() {
        let problem = |data: &str, dir: &str| {
            let args = DataArgs {
                data: Some(data.parse().unwrap()),
                data_dir: Some(dir.into()),
                image_size: None,
                skip_bad: false,
                keep: KeepImagesArgs { keep_images: 1 },
            };
            args.name().unwrap_err().to_string()
        };
        let error = problem("digits", "flowers");
        assert!(
            error.contains("--data-dir flowers would not be used"),
            "{error}"
        );
        let error = problem("a/b.npz", "flowers");
        assert!(error.contains("--data is a path already"), "{error}");
    }

    #[test]
    fn an_image_size_is_a_side_or_a_shape() {
        let size = |text| image_shape(text).map(|shape| shape.to_string());
        assert_eq!(size("64").unwrap(), "3x64x64");
        assert_eq!(size("1x28x30").unwrap(), "1x28x30");
        assert_eq!(size("32x48").unwrap(), "3x32x48");
        for wrong in [
            "0",
            "5000",
            "4x8x8",
            "32x",
            "x32",
            "8x0",
            "-1",
            "99999999999999999999",
        ] {
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
