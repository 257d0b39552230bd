//! The picture files of one folder per class: listing and decoding them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use naschain_core::Shape;
use rayon::prelude::*;

use super::{files, picture};
use crate::Error;

const EXTENSIONS: [&str; 6] = ["png", "jpg", "jpeg", "webp", "gif", "bmp"];

/// A picture file that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadPicture {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: String,
}

impl BadPicture {
    fn new(path: PathBuf, error: Error) -> BadPicture {
        let problem = match error {
            Error::Malformed { problem, .. } => problem,
            Error::Io { source, .. } => source.to_string(),
            other => other.to_string(),
        };
        // Some decoders end their messages with a line end.
        let problem = problem.trim_end().to_owned();
        BadPicture { path, problem }
    }
}

/// The picture files of a training or test set, decoded on demand.
#[derive(Clone, Debug)]
pub(super) struct Pictures {
    dir: PathBuf,
    /// The classes' folder names in the order of the class numbers.
    classes: Vec<String>,
    /// For each image its file name within the class's folder.
    names: Vec<Box<str>>,
}

/// The files of `DIR/CLASS/FILE` with their labels.
#[derive(Clone, Debug)]
pub(super) struct Listing {
    pub(super) pictures: Pictures,
    pub(super) labels: Vec<u16>,
    /// Files that have a picture's extension and cannot be pictures.
    pub(super) bad: Vec<BadPicture>,
    /// Files without a picture's extension.
    pub(super) ignored: Vec<PathBuf>,
}

/// Pictures with their labels, decoded.
pub(super) struct Decoded {
    /// Images × channels × height × width.
    pub(super) pixels: Vec<u8>,
    /// How many were smaller than the shape to which they were resized.
    pub(super) enlarged: usize,
}

impl Listing {
    /// Lists the files in `dir`; classes are its folders, numbered in the order of their names.
    pub(super) fn of(dir: &Path) -> Result<Listing, Error> {
        let is_class = |name: &String| dir.join(name).is_dir();
        let classes: Vec<String> = entries(dir)?.into_iter().filter(is_class).collect();
        let count = classes.len();
        if !(2..=1 << 16).contains(&count) {
            let problem =
                format!("it has {count} folders; there must be one per class, 2 to 65536");
            return Err(files::malformed(dir, problem));
        }
        let mut listing = Listing {
            pictures: Pictures {
                dir: dir.to_owned(),
                classes: Vec::new(),
                names: Vec::new(),
            },
            labels: Vec::new(),
            bad: Vec::new(),
            ignored: Vec::new(),
        };
        for (label, class) in (0..=u16::MAX).zip(&classes) {
            listing.add_class(label, &dir.join(class))?;
        }
        listing.pictures.classes = classes;
        Ok(listing)
    }

    fn add_class(&mut self, label: u16, dir: &Path) -> Result<(), Error> {
        let (names, others): (Vec<String>, Vec<String>) =
            entries(dir)?.into_iter().partition(|name| is_picture(name));
        self.ignored
            .extend(others.iter().map(|name| dir.join(name)));
        if names.is_empty() {
            return Err(files::malformed(dir, no_pictures()));
        }
        for name in names {
            let path = dir.join(&name);
            // Reading a named pipe would block for ever.
            if path.is_file() {
                self.pictures.names.push(name.into_boxed_str());
                self.labels.push(label);
            } else {
                let problem = "it has a picture's extension but is not a file".to_owned();
                self.bad.push(BadPicture { path, problem });
            }
        }
        Ok(())
    }

    pub(super) fn len(&self) -> usize {
        self.labels.len()
    }

    /// The pictures at some indices.
    pub(super) fn select(&self, indices: &[usize]) -> Listing {
        let names = indices.iter().map(|&i| self.pictures.names[i].clone());
        Listing {
            pictures: Pictures {
                dir: self.pictures.dir.clone(),
                classes: self.pictures.classes.clone(),
                names: names.collect(),
            },
            labels: indices.iter().map(|&i| self.labels[i]).collect(),
            bad: Vec::new(),
            ignored: Vec::new(),
        }
    }

    /// The pictures that are not among the bad ones.
    pub(super) fn without(&self, bad: &[BadPicture]) -> Result<Listing, Error> {
        let bad: BTreeSet<&Path> = bad.iter().map(|bad| bad.path.as_path()).collect();
        let is_good =
            |&index: &usize| !bad.contains(&*self.pictures.path(index, self.labels[index]));
        let good: Vec<usize> = (0..self.len()).filter(is_good).collect();
        let left = self.select(&good);
        for (label, class) in (0..=u16::MAX).zip(&left.pictures.classes) {
            if left.labels.binary_search(&label).is_err() {
                let dir = left.pictures.dir.join(class);
                return Err(files::malformed(&dir, "none of its pictures can be read"));
            }
        }
        let ignored = self.ignored.clone();
        Ok(Listing { ignored, ..left })
    }

    pub(super) fn dir(&self) -> &Path {
        &self.pictures.dir
    }

    pub(super) fn classes(&self) -> &[String] {
        &self.pictures.classes
    }
}

impl Pictures {
    /// Path of an image with this label.
    pub(super) fn path(&self, index: usize, label: u16) -> PathBuf {
        let class = &self.classes[usize::from(label)];
        self.dir.join(class).join(&*self.names[index])
    }

    /// Decodes some images in parallel; the pixels are in the order of `indices`. The bad ones are
    /// returned in that order too, independently of thread timing.
    pub(super) fn read(
        &self,
        indices: &[usize],
        labels: &[u16],
        shape: Shape,
    ) -> Result<Decoded, Vec<BadPicture>> {
        let mut pixels = vec![0; indices.len() * shape.len()];
        let images = pixels.par_chunks_exact_mut(shape.len());
        let read = images.zip(indices).map(|(pixels, &index)| {
            let path = self.path(index, labels[index]);
            picture::read(&path, shape, pixels).map_err(|error| BadPicture::new(path, error))
        });
        let read: Vec<Result<bool, BadPicture>> = read.collect();
        let enlarged = read.iter().filter(|read| matches!(read, Ok(true))).count();
        let bad: Vec<BadPicture> = read.into_iter().filter_map(Result::err).collect();
        if bad.is_empty() {
            Ok(Decoded { pixels, enlarged })
        } else {
            Err(bad)
        }
    }
}

/// The error of the first of some bad pictures.
pub(super) fn first_error(bad: Vec<BadPicture>) -> Error {
    let first = bad.into_iter().next();
    let first = first.map(|bad| (bad.path, bad.problem));
    let (path, problem) = first.unwrap_or_default();
    Error::Malformed { path, problem }
}

/// Whether a folder directly contains a picture file.
pub(super) fn has_pictures(dir: &Path) -> bool {
    let names = entries(dir).unwrap_or_default();
    names.iter().any(|name| is_picture(name))
}

/// The picture files (`.png`, `.jpg`, `.jpeg`, `.webp`, `.gif`, `.bmp`) in a folder and the folders in
/// it, sorted by path. Hidden files and folders, and links to folders, are left out.
///
/// # Errors
/// [`Error::Io`]; [`Error::Malformed`] when there are none, or a file name is not UTF-8.
pub fn pictures_in(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for name in entries(&folder)? {
            let path = folder.join(&name);
            let kind = path.symlink_metadata();
            let kind = kind.map_err(|source| files::io(&path, source))?;
            if kind.is_dir() {
                folders.push(path);
            } else if is_picture(&name) && path.is_file() {
                found.push(path);
            }
        }
    }
    if found.is_empty() {
        return Err(files::malformed(dir, no_pictures()));
    }
    found.sort_unstable();
    Ok(found)
}

/// What is wrong with a folder without pictures.
pub(super) fn no_pictures() -> String {
    format!("it contains no .{} files", EXTENSIONS.join(", ."))
}

/// The non-hidden names in a folder, sorted by bytes, so that the order is equal on every machine.
pub(super) fn entries(dir: &Path) -> Result<Vec<String>, Error> {
    let io = |source| files::io(dir, source);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(io)? {
        let name = entry.map_err(io)?.file_name();
        let name = name.into_string().map_err(|name| {
            let problem = format!("the file name {name:?} is not UTF-8; rename it");
            files::malformed(dir, problem)
        })?;
        if !name.starts_with('.') {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

fn is_picture(name: &str) -> bool {
    let extension = Path::new(name).extension().unwrap_or_default();
    EXTENSIONS
        .iter()
        .any(|known| extension.eq_ignore_ascii_case(known))
}
