//! `miner data`: lists and checks data sets.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use naschain_core::{Digest, Shape};
use naschain_train::{DataName, Dataset, Images};
use serde::Serialize;

use crate::cli::data_args::{DataChoice, image_shape, resized};
use crate::cli::data_folder::names_in;
use crate::cli::program::print;
use crate::dataset::{DATA_DIR, find, left_out};
use crate::printable::{counted, printable, printable_lines};

/// `miner data`.
#[derive(Debug, Subcommand)]
pub enum DataCommand {
    /// List the data sets and where they are found
    List(ListArgs),
    /// Read a whole data set and show its contents or what is wrong with it
    Check(CheckArgs),
}

/// Flags of `miner data list`.
#[derive(Args, Debug)]
pub struct ListArgs {
    /// Folder to search [default: all folders that are searched without --data-dir]
    dir: Option<PathBuf>,
    /// Print a JSON array with one object per data set
    #[arg(long)]
    json: bool,
}

/// Flags of `miner data check`.
#[derive(Args, Debug)]
pub struct CheckArgs {
    /// Folder of pictures or of the files of other data sets, an .npz file, or the name of a data set
    #[arg(value_name = "DIR|FILE.npz|NAME")]
    target: String,
    /// With a name, folder of the data set's files
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Size to which images of a folder are scaled: N or HxW in colour, or CxHxW [default: 32]
    #[arg(long, value_name = "N|CxHxW", value_parser = image_shape)]
    image_size: Option<Shape>,
    /// Leave out pictures that cannot be read, and show what is left
    #[arg(long)]
    skip_bad: bool,
    /// Print a JSON array with one object per data set
    #[arg(long)]
    json: bool,
}

/// Whether and where a data set was found.
#[derive(Debug, Serialize)]
struct Listed {
    name: DataName,
    found: bool,
    /// The folder or file; `None` if it was not found or is embedded.
    path: Option<PathBuf>,
    /// Why it was not found.
    problem: Option<String>,
}

/// Returns what `miner data list` prints.
pub fn list(args: &ListArgs) -> Result<String> {
    let all = match &args.dir {
        Some(dir) => found_in(dir)?,
        None => everywhere(),
    };
    if args.json {
        return Ok(serde_json::to_string_pretty(&all)? + "\n");
    }
    let line = |listed: &Listed| {
        let place = match (listed.found, &listed.path) {
            (false, _) => "not found".to_owned(),
            (true, None) => "embedded".to_owned(),
            (true, Some(path)) => path.display().to_string(),
        };
        format!("{:<16} {place}\n", listed.name)
    };
    Ok(all.iter().map(line).collect())
}

/// Every data set with a fixed name, searched in the default folders.
fn everywhere() -> Vec<Listed> {
    let names = DataName::all().into_iter().chain([DataName::folder()]);
    names.map(|name| Listed::find(name, None)).collect()
}

/// The data sets in a folder.
fn found_in(dir: &Path) -> Result<Vec<Listed>> {
    let names = names_in(dir)?.into_iter();
    Ok(names.map(|name| Listed::find(name, Some(dir))).collect())
}

impl Listed {
    fn find(name: DataName, dir: Option<&Path>) -> Listed {
        let found = Dataset::find(&name, dir);
        Listed {
            name,
            found: found.is_ok(),
            problem: found.as_ref().err().map(ToString::to_string),
            path: found.ok().flatten(),
        }
    }
}

/// Contents of a data set, or what is wrong with it.
#[derive(Debug, Serialize)]
struct Checked {
    name: DataName,
    /// The folder or file; `None` for the embedded digits.
    path: Option<PathBuf>,
    #[serde(flatten)]
    contents: Option<Contents>,
    /// Pictures that cannot be read and were left out.
    skipped: Vec<PathBuf>,
    /// Warnings about suspicious data.
    warnings: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Debug, Serialize)]
struct Contents {
    shape: Shape,
    classes: usize,
    class_names: Vec<String>,
    train: DataPart,
    test: DataPart,
    /// Mean of each channel over the training images, from 0 to `white`.
    mean: Vec<f64>,
    /// Standard deviation of each channel, likewise.
    deviation: Vec<f64>,
    /// The pixel value of white.
    white: u8,
    /// Digest of the data, which must equal that of the run's specification.
    digest: Digest,
}

#[derive(Debug, Serialize)]
struct DataPart {
    images: usize,
    /// Number of images of each class.
    per_class: Vec<usize>,
    digest: Digest,
}

/// Reads the data sets, prints their contents, and fails if one is broken.
pub fn check(args: &CheckArgs) -> Result<()> {
    let (names, dir) = args.names()?;
    let checked = names
        .iter()
        .map(|name| Checked::read(name, dir.as_deref(), args.skip_bad));
    let checked: Vec<Checked> = checked.collect::<Result<_>>()?;
    let broken: Vec<&String> = checked.iter().filter_map(|c| c.error.as_ref()).collect();
    if args.json {
        print(&(serde_json::to_string_pretty(&checked)? + "\n"))?;
    } else {
        // The only problem is the error of the command, which is printed in full.
        let is_short = broken.len() == 1;
        let texts = checked.iter().map(|checked| checked.text(is_short));
        print(&texts.collect::<String>())?;
    }
    match broken[..] {
        [] => Ok(()),
        [error] => bail!("{error}"),
        [..] => bail!("{} data sets are broken", broken.len()),
    }
}

impl CheckArgs {
    /// The data sets, and the folder to search for them.
    fn names(&self) -> Result<(Vec<DataName>, Option<PathBuf>)> {
        let target = Path::new(&self.target);
        if target.is_dir() && self.target.parse::<DataName>().is_err() {
            let sized = names_in(target)?.into_iter().map(|name| match name {
                DataName::Folder(_) => resized(&name, self.image_size),
                _ => Ok(name),
            });
            return Ok((sized.collect::<Result<_>>()?, Some(target.to_owned())));
        }
        let context = || {
            format!(
                "{} is neither a folder nor the name of a data set",
                self.target
            )
        };
        let DataChoice { name, dir } = self.target.parse().with_context(context)?;
        let name = resized(&name, self.image_size)?;
        Ok((vec![name], self.data_dir.clone().or(dir)))
    }
}

impl Checked {
    /// Reads a data set. An error only if it is not found; what is wrong with its files is part of
    /// the result.
    fn read(name: &DataName, dir: Option<&Path>, skip_bad: bool) -> Result<Checked> {
        let mut checked = Checked {
            name: name.clone(),
            path: find(name, dir, DATA_DIR)?,
            contents: None,
            skipped: Vec::new(),
            warnings: Vec::new(),
            error: None,
        };
        let read = if skip_bad {
            Dataset::load_readable(name, dir)
        } else {
            Dataset::load(name, dir).map(|dataset| (dataset, Vec::new()))
        };
        match read {
            Ok((dataset, skipped)) => {
                checked.contents = Some(Contents::new(&dataset));
                checked.warnings = dataset.warnings()?;
                if !skipped.is_empty() {
                    checked.warnings.insert(0, left_out(&skipped));
                }
                checked.skipped = skipped.into_iter().map(|bad| bad.path).collect();
            }
            Err(error) => checked.error = Some(error.to_string()),
        }
        Ok(checked)
    }

    /// What is printed; of a problem only its first line if `is_short`.
    fn text(&self, is_short: bool) -> String {
        let path = self.path.as_ref();
        let path = path.map_or("embedded".to_owned(), |path| path.display().to_string());
        let mut text = format!("{}  {}\n", self.name, printable(&path));
        match (&self.contents, &self.error) {
            (Some(contents), _) => text += &contents.text(),
            (None, problem) => {
                let mut problem = problem.as_deref().unwrap_or_default();
                if is_short {
                    problem = first_line(problem);
                }
                text += &format!("  broken     {}\n", printable_lines(problem));
            }
        }
        for warning in &self.warnings {
            text += &format!("  warning    {}\n", printable_lines(warning));
        }
        text
    }
}

/// The first line of a text, without the colon before a list.
fn first_line(text: &str) -> &str {
    let line = text.lines().next().unwrap_or_default();
    line.strip_suffix(':').unwrap_or(line)
}

/// The least and the greatest number, such as `3 to 5`, or the only one.
fn range(counts: &[usize]) -> String {
    let min = counts.iter().min().unwrap_or(&0);
    let max = counts.iter().max().unwrap_or(&0);
    if min == max {
        min.to_string()
    } else {
        format!("{min} to {max}")
    }
}

impl Contents {
    fn new(dataset: &Dataset) -> Contents {
        let part = |images: &Images| {
            let mut per_class = vec![0; dataset.classes];
            for &label in images.labels() {
                per_class[usize::from(label)] += 1;
            }
            DataPart {
                images: images.len(),
                per_class,
                digest: images.digest(),
            }
        };
        let moments = dataset.train.moments();
        Contents {
            shape: dataset.shape,
            classes: dataset.classes,
            class_names: dataset.class_names().to_vec(),
            train: part(&dataset.train),
            test: part(&dataset.test),
            mean: moments.iter().map(|moments| moments.mean).collect(),
            deviation: moments
                .iter()
                // Moments of a constant channel have a deviation of 1, because pixels are divided by it.
                .map(|moments| {
                    if moments.constant {
                        0.0
                    } else {
                        moments.deviation
                    }
                })
                .collect(),
            white: dataset.white(),
            digest: dataset.digest(),
        }
    }

    fn text(&self) -> String {
        let numbers = |numbers: &[f64]| {
            let numbers = numbers.iter().map(|number| format!("{number:.3}"));
            numbers.collect::<Vec<_>>().join(" ")
        };
        let part = |part: &DataPart| {
            format!(
                "{}, {} per class",
                counted(part.images, "image"),
                range(&part.per_class)
            )
        };
        format!(
            "  shape      {}\n  classes    {}\n  train      {}\n  test       {}\n  mean       {} of {}\n  deviation  {}\n  digest     {}\n",
            self.shape,
            self.classes,
            part(&self.train),
            part(&self.test),
            numbers(&self.mean),
            self.white,
            numbers(&self.deviation),
            self.digest
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_numbers_of_images_are_one_number() {
        assert_eq!(range(&[240, 240]), "240");
        assert_eq!(range(&[5, 3, 4]), "3 to 5");
        assert_eq!(range(&[]), "0");
    }

    #[test]
    fn a_long_problem_is_cut_to_its_first_line() {
        assert_eq!(first_line("2 of 4 are bad:\n  a\n  b"), "2 of 4 are bad");
        assert_eq!(first_line("a.npz: it is empty"), "a.npz: it is empty");
    }
}
