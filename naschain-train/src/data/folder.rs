//! Folders of image files with one folder per class: `train/CLASS/FILE` and `val/CLASS/FILE`.

use std::path::{Path, PathBuf};

use naschain_core::Shape;
use rayon::prelude::*;

use super::{Dataset, Images, files, picture};
use crate::Error;

const TRAIN: &str = "train";
/// Names of the test set's folder, in order of preference: ImageNet has both, and only `val` has
/// labels.
const TEST: [&str; 2] = ["val", "test"];
const EXTENSIONS: [&str; 3] = ["png", "jpg", "jpeg"];

/// The image files of one part, decoded on demand.
#[derive(Clone, Debug)]
pub(super) struct Pictures {
    dir: PathBuf,
    /// The classes' folder names in the order of the class numbers.
    classes: Vec<String>,
    /// For each image its file name within the class's folder.
    names: Vec<Box<str>>,
}

/// Whether `dir` has the folders of a data set.
pub(super) fn has_layout(dir: &Path) -> bool {
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
        let problem = format!(
            "there is no folder {class:?}, although {} has one",
            a.name()
        );
        Some(files::malformed(&b.pictures.dir, problem))
    };
    if let Some(error) = other(&train, &test).or_else(|| other(&test, &train)) {
        return Err(error);
    }
    let class_names = train.pictures.classes.clone();
    let [train, test] = [train, test].map(|part| part.images(shape));
    Dataset::new(name, class_names.len(), train?, test?)?.with_class_names(class_names)
}

/// The image files of one part with their labels.
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
            let problem =
                format!("it has {count} folders; there must be one per class, 2 to 65536");
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
            for name in entries(&dir)?.into_iter().filter(|name| is_picture(name)) {
                let path = dir.join(&name);
                // Reading a named pipe would block for ever.
                if !path.is_file() {
                    let problem = "it has an image file's extension but is not a file";
                    return Err(files::malformed(&path, problem));
                }
                part.pictures.names.push(name.into_boxed_str());
            }
            part.labels.resize(part.pictures.names.len(), label);
            if part.labels.len() == before {
                let problem = "it contains no .png, .jpg or .jpeg files";
                return Err(files::malformed(&dir, problem));
            }
        }
        part.pictures.classes = classes;
        Ok(part)
    }

    fn images(self, shape: Shape) -> Result<Images, Error> {
        Images::from_files(shape, self.pictures, self.labels)
    }

    fn name(&self) -> String {
        let name = self.pictures.dir.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }
}

impl Pictures {
    /// Decodes some images in parallel; the pixels are in the order of `indices`.
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
        // Report the first image's error, independently of thread timing.
        let read: Vec<Result<(), Error>> = read.collect();
        read.into_iter().collect::<Result<(), Error>>()?;
        Ok(pixels)
    }
}

/// The non-hidden names in a folder, sorted by bytes, so that the order is equal on every machine.
fn entries(dir: &Path) -> Result<Vec<String>, Error> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use image::{GrayImage, Luma};

    /// A folder with one grey image for each `PART/CLASS/FILE`, with its index as grey level.
    fn folder(test: &str, files: &[&str]) -> PathBuf {
        let dir =
            std::env::temp_dir().join(format!("naschain-folder-{test}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        for (index, file) in files.iter().enumerate() {
            let path = dir.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let picture = GrayImage::from_pixel(4, 4, Luma([index as u8]));
            picture
                .save_with_format(path, image::ImageFormat::Png)
                .unwrap();
        }
        dir
    }

    fn load(dir: &Path) -> Result<Dataset, String> {
        let data = dataset("mine".to_owned(), dir, "1x2x2".parse().unwrap());
        data.map_err(|error| error.to_string())
    }

    const GOOD: [&str; 6] = [
        "train/pear/b.png",
        "train/pear/a.PNG",
        "train/Apple/c.jpeg",
        "train/pear/.hidden.png",
        "val/pear/x.png",
        "val/Apple/y.png",
    ];

    #[test]
    fn classes_and_files_are_sorted_by_name() {
        let dir = folder("good", &GOOD);
        std::fs::write(dir.join("train/pear/notes.txt"), "not a picture").unwrap();
        assert!(has_layout(&dir) && !has_layout(&dir.join("train")));
        let data = load(&dir).unwrap();
        assert_eq!(data.class_names(), ["Apple", "pear"]);
        assert_eq!(data.train.labels(), [0, 1, 1]);
        let pixels = data.train.pixels(&[0, 1, 2]).unwrap();
        assert_eq!(pixels, [[2; 4], [1; 4], [0; 4]].concat());
        assert_eq!(data.test.pixels(&[1]).unwrap(), [4; 4]);
        let copy = data.train.in_memory().unwrap();
        assert_eq!(
            (copy.digest(), copy),
            (data.train.digest(), data.train.clone())
        );
        std::fs::remove_file(dir.join("train/pear/b.png")).unwrap();
        let error = data.train.pixels(&[0, 2]).unwrap_err().to_string();
        assert!(error.contains("b.png"), "{error}");
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn wrong_folders_are_rejected_by_name() {
        let refused = |test: &str, files: &[&str], problem: &str| {
            let dir = folder(test, files);
            let error = load(&dir).unwrap_err();
            assert!(error.contains(problem), "{test}: {error}");
            std::fs::remove_dir_all(dir).unwrap();
        };
        refused("no-val", &GOOD[..4], "val");
        refused(
            "one",
            &["train/pear/a.png", "val/pear/a.png"],
            "it has 1 folders",
        );
        let other = [&GOOD[..4], &["val/pear/x.png", "val/plum/y.png"]].concat();
        refused(
            "other",
            &other,
            "there is no folder \"Apple\", although train has one",
        );
        let more = [&GOOD[..], &["val/plum/y.png"]].concat();
        refused(
            "more",
            &more,
            "there is no folder \"plum\", although val has one",
        );
        let none = [&GOOD[..], &["train/plum/deeper/a.png", "val/plum/a.png"]].concat();
        let nested = [&GOOD[..], &["train/pear/d.png/a.png"]].concat();
        refused("nested", &nested, "d.png: it has an image file's extension");
        refused("none", &none, "it contains no .png, .jpg or .jpeg files");
        let dir = folder("broken", &GOOD);
        std::fs::write(dir.join("train/pear/a.PNG"), b"\x89PNG\r\n\x1a\n").unwrap();
        let error = load(&dir).unwrap_err();
        assert!(
            error.contains("a.PNG: the PNG cannot be decoded"),
            "{error}"
        );
        std::fs::remove_dir_all(dir).unwrap();
    }
}
