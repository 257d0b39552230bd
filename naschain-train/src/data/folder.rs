//! Folders of pictures, a folder a class: `train/CLASS/FILE` and `val/CLASS/FILE`.

use std::path::{Path, PathBuf};

use naschain_core::Shape;
use rayon::prelude::*;

use super::{Dataset, Images, files, picture};
use crate::Error;

const TRAIN: &str = "train";
/// The test part's folder, the first of these that is there: of ImageNet's two the one that has
/// labels.
const TEST: [&str; 2] = ["val", "test"];
const EXTENSIONS: [&str; 3] = ["png", "jpg", "jpeg"];

/// The files of one part; their pixels are nowhere but in them.
#[derive(Clone, Debug)]
pub(super) struct Pictures {
    dir: PathBuf,
    /// The classes' folders, in the order of their numbers.
    classes: Vec<String>,
    /// For each image the file's name in its class's folder.
    names: Vec<Box<str>>,
}

/// Whether `dir` looks like such a folder.
pub(super) fn is_one(dir: &Path) -> bool {
    dir.join(TRAIN).is_dir() && TEST.iter().any(|test| dir.join(test).is_dir())
}

pub(super) fn dataset(name: String, dir: &Path, shape: Shape) -> Result<Dataset, Error> {
    let train = Part::find(&dir.join(TRAIN))?;
    let test = TEST.map(|test| dir.join(test));
    let test = test.iter().find(|dir| dir.is_dir()).unwrap_or(&test[0]);
    let test = Part::find(test)?;
    let other = |a: &Part, b: &Part| {
        let lacking = |class: &&String| !b.pictures.classes.contains(class);
        let class = a.pictures.classes.iter().find(lacking)?;
        let problem = format!("there is no folder {class:?}, which {} has", a.name());
        Some(files::malformed(&b.pictures.dir, problem))
    };
    if let Some(error) = other(&train, &test).or_else(|| other(&test, &train)) {
        return Err(error);
    }
    let class_names = train.pictures.classes.clone();
    let [train, test] = [train, test].map(|part| part.images(shape));
    Dataset::new(name, class_names.len(), train?, test?)?.with_class_names(class_names)
}

/// The files of one part with their labels.
struct Part {
    pictures: Pictures,
    labels: Vec<u16>,
}

impl Part {
    fn find(dir: &Path) -> Result<Part, Error> {
        let is_class = |name: &String| dir.join(name).is_dir();
        let classes: Vec<String> = entries(dir)?.into_iter().filter(is_class).collect();
        let count = classes.len();
        if !(2..=1 << 16).contains(&count) {
            let problem = format!("it has {count} folders; there must be one a class, 2 to 65536");
            return Err(files::malformed(dir, problem));
        }
        let mut part = Part {
            pictures: Pictures {
                dir: dir.to_owned(),
                classes: Vec::new(),
                names: Vec::new(),
            },
            labels: Vec::new(),
        };
        for (label, class) in (0..=u16::MAX).zip(&classes) {
            let dir = dir.join(class);
            let before = part.labels.len();
            let names = entries(&dir)?.into_iter().filter(|name| is_picture(name));
            part.pictures
                .names
                .extend(names.map(String::into_boxed_str));
            part.labels.resize(part.pictures.names.len(), label);
            if part.labels.len() == before {
                let problem = "there are no files in it that end in .png, .jpg or .jpeg";
                return Err(files::malformed(&dir, problem));
            }
        }
        part.pictures.classes = classes;
        Ok(part)
    }

    fn images(self, shape: Shape) -> Result<Images, Error> {
        Images::streamed(shape, self.pictures, self.labels)
    }

    fn name(&self) -> String {
        let name = self.pictures.dir.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }
}

impl Pictures {
    /// The pixels of some images, decoded side by side, in the order of `indices`.
    pub(super) fn read(
        &self,
        indices: &[usize],
        labels: &[u16],
        shape: Shape,
    ) -> Result<Vec<u8>, Error> {
        let mut pixels = vec![0; indices.len() * shape.len()];
        let images = pixels.par_chunks_exact_mut(shape.len());
        let read = images.zip(indices).map(|(pixels, &index)| {
            let class = &self.classes[usize::from(labels[index])];
            let path = self.dir.join(class).join(&*self.names[index]);
            picture::read(&path, shape, pixels)
        });
        // Of several errors that of the first image, whichever thread was faster.
        let read: Vec<Result<(), Error>> = read.collect();
        read.into_iter().collect::<Result<(), Error>>()?;
        Ok(pixels)
    }
}

/// The names in a folder that are not hidden, in the order of their bytes, so that it is the same
/// on every machine.
fn entries(dir: &Path) -> Result<Vec<String>, Error> {
    let io = |source| files::io(dir, source);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(io)? {
        let name = entry.map_err(io)?.file_name();
        let name = name.into_string().map_err(|name| {
            let problem = format!("the name {name:?} in it is not UTF-8; rename it");
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
