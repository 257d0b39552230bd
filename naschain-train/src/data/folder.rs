//! Folders of picture files with one folder per class: `train/CLASS/FILE` and `val/CLASS/FILE`, or
//! `CLASS/FILE`, of which a fifth is kept for the test.

use std::path::{Path, PathBuf};

use naschain_core::{Purpose, Shape, Stream};

use super::pictures::{BadPicture, Listing, entries, has_pictures};
use super::{Dataset, Images, files};
use crate::Error;

const TRAIN: &str = "train";
/// Names of the test set's folder, in order of preference: ImageNet has `val` and `test`, and only
/// `val` has labels.
const TEST: [&str; 4] = ["val", "valid", "validation", "test"];
/// One of this many pictures of a class is a test picture if the folder has no test set.
const TEST_SHARE: usize = 5;

/// Where the pictures of a data set are.
#[derive(Debug, PartialEq, Eq)]
enum Layout {
    /// `train/CLASS/FILE` and `val/CLASS/FILE`.
    Parts { train: PathBuf, test: PathBuf },
    /// `CLASS/FILE` in this folder, without a test set.
    Classes(PathBuf),
}

impl Layout {
    /// The layout of a folder, if it contains pictures of a data set.
    fn of(dir: &Path) -> Option<Layout> {
        let train = dir.join(TRAIN);
        let of_train = entries(&train).unwrap_or_default();
        // Otherwise it is a class, of trains.
        if of_train.iter().any(|name| train.join(name).is_dir()) {
            let tests = TEST.map(|test| dir.join(test));
            let test = tests.into_iter().find(|test| test.is_dir());
            return Some(match test {
                Some(test) => Layout::Parts { train, test },
                None => Layout::Classes(train),
            });
        }
        let names = entries(dir).unwrap_or_default();
        let classes = names.iter().filter(|name| has_pictures(&dir.join(name)));
        (classes.take(2).count() == 2).then(|| Layout::Classes(dir.to_owned()))
    }

    fn listings(&self) -> Result<Vec<Listing>, Error> {
        match self {
            Layout::Classes(dir) => Ok(vec![Listing::of(dir)?]),
            Layout::Parts { train, test } => {
                let (train, test) = (Listing::of(train)?, Listing::of(test)?);
                match missing_class(&train, &test).or_else(|| missing_class(&test, &train)) {
                    Some(error) => Err(error),
                    None => Ok(vec![train, test]),
                }
            }
        }
    }
}

/// The error for a class of `a` that `b` lacks.
fn missing_class(a: &Listing, b: &Listing) -> Option<Error> {
    let lacking = |class: &&String| !b.classes().contains(class);
    let class = a.classes().iter().find(lacking)?;
    let name = a.dir().file_name().unwrap_or_default().to_string_lossy();
    let problem = format!("there is no folder {class:?}, although {name} has one");
    Some(files::malformed(b.dir(), problem))
}

/// Whether `dir` has the folders of a data set.
pub(super) fn has_layout(dir: &Path) -> bool {
    Layout::of(dir).is_some()
}

/// Reads the folder `dir`. Bad pictures are an error, or are left out and returned if `skip_bad` is
/// set.
pub(super) fn dataset(
    name: String,
    dir: &Path,
    shape: Shape,
    skip_bad: bool,
) -> Result<(Dataset, Vec<BadPicture>), Error> {
    let layout = Layout::of(dir).ok_or_else(|| {
        let problem =
            "it has no folders of pictures: train/CLASS/FILE and val/CLASS/FILE, or CLASS/FILE";
        files::malformed(dir, problem)
    })?;
    let listings = layout.listings()?;
    let bad = match read(&name, &listings, shape)? {
        Ok(dataset) => return Ok((dataset, Vec::new())),
        Err(bad) => bad,
    };
    let refused = |bad| Error::BadPictures {
        dir: dir.to_owned(),
        pictures: listings
            .iter()
            .map(|part| part.len() + part.bad.len())
            .sum(),
        bad,
    };
    if !skip_bad {
        return Err(refused(bad));
    }
    // Left out before the test set is drawn: the data set is the one of a folder without them.
    let good = listings.iter().map(|listing| listing.without(&bad));
    let good: Vec<Listing> = good.collect::<Result<_, Error>>()?;
    match read(&name, &good, shape)? {
        Ok(dataset) => Ok((dataset, bad)),
        // A file that changed in the meantime.
        Err(more) => Err(refused(more)),
    }
}

/// Reads all pictures: the data set, or those that are bad.
fn read(
    name: &str,
    listings: &[Listing],
    shape: Shape,
) -> Result<Result<Dataset, Vec<BadPicture>>, Error> {
    let (train, test) = match listings {
        [train, test] => (train.clone(), test.clone()),
        [all, ..] => split(all)?,
        [] => return Ok(Err(Vec::new())),
    };
    let classes = train.classes().to_vec();
    let mut bad: Vec<BadPicture> = listings.iter().flat_map(|part| part.bad.clone()).collect();
    let mut parts = Vec::new();
    for part in [train, test] {
        match Images::from_files(shape, part) {
            Ok(images) => parts.push(images),
            Err(of_part) => bad.extend(of_part),
        }
    }
    match <[Images; 2]>::try_from(parts) {
        Ok([train, test]) if bad.is_empty() => {
            let dataset = Dataset::new(name, classes.len(), train, test)?;
            Ok(Ok(dataset.with_class_names(classes)?))
        }
        _ => {
            bad.sort_by(|a, b| a.path.cmp(&b.path));
            Ok(Err(bad))
        }
    }
}

/// Draws a fifth of each class as test pictures, at least one. The seed is fixed and independent of
/// a run's, so that everybody who has the folder has the same test set: class number `c` of `n`
/// pictures, in the order of their names, keeps the first `n / 5` numbers of the permutation of the
/// stream with seed 0, purpose `Split`, epoch 0, index `c`.
fn split(all: &Listing) -> Result<(Listing, Listing), Error> {
    let (mut train, mut test) = (Vec::new(), Vec::new());
    let mut first = 0;
    for class in all.labels.chunk_by(|a, b| a == b) {
        let (count, label) = (class.len(), class[0]);
        if count < 2 {
            let dir = all.dir().join(&all.classes()[usize::from(label)]);
            let problem = "it has 1 picture; a class needs at least 2, because a fifth of each is kept for the test";
            return Err(files::malformed(&dir, problem));
        }
        let order = Stream::new(0, Purpose::Split, 0, u64::from(label)).permutation(count);
        let (of_test, of_train) = order.split_at((count / TEST_SHARE).max(1));
        test.extend(of_test.iter().map(|index| first + index));
        train.extend(of_train.iter().map(|index| first + index));
        first += count;
    }
    train.sort_unstable();
    test.sort_unstable();
    let mut train = all.select(&train);
    train.ignored = all.ignored.clone();
    Ok((train, all.select(&test)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_folder::test_folder;
    use image::{GrayImage, Luma};

    /// A folder with one grey image for each `PART/CLASS/FILE`, with its index as grey level.
    fn folder(test: &str, files: &[&str]) -> PathBuf {
        let dir = test_folder(&format!("folder-{test}"));
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
        let data = dataset("mine".to_owned(), dir, "1x2x2".parse().unwrap(), false);
        data.map(|(data, _)| data)
            .map_err(|error| error.to_string())
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
        assert!(has_layout(&dir) && !has_layout(&dir.join("train/pear")));
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
        refused(
            "single",
            &GOOD[..4],
            "Apple: it has 1 picture; a class needs at least 2",
        );
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
        refused("nested", &nested, "d.png: it has a picture's extension");
        refused(
            "none",
            &none,
            "it contains no .png, .jpg, .jpeg, .webp, .gif, .bmp files",
        );
        let dir = folder("broken", &GOOD);
        std::fs::write(dir.join("train/pear/a.PNG"), b"\x89PNG\r\n\x1a\n").unwrap();
        let error = load(&dir).unwrap_err();
        assert!(error.contains("a.PNG: the PNG is truncated"), "{error}");
        std::fs::remove_dir_all(dir).unwrap();
    }

    /// Pictures of two classes, 12 and 7.
    fn classes(root: &str) -> Vec<String> {
        let pictures = (0..19).map(|n| match n {
            ..12 => format!("{root}apple/{n:02}.png"),
            _ => format!("{root}pear/{n:02}.png"),
        });
        pictures.collect()
    }

    fn levels(images: &Images) -> Vec<u8> {
        let all: Vec<usize> = (0..images.len()).collect();
        let pixels = images.pixels(&all).unwrap();
        pixels.chunks(4).map(|image| image[0]).collect()
    }

    #[test]
    fn a_fifth_of_each_class_is_kept_for_the_test() {
        let files = classes("");
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        let dir = folder("split", &files);
        let data = load(&dir).unwrap();
        assert_eq!((data.train.len(), data.test.len()), (16, 3));
        // The draw must never change, because the digest of a data set depends on it.
        assert_eq!(levels(&data.test), [6, 9, 12]);
        assert_eq!(data.test.labels(), [0, 0, 1]);
        let both = [levels(&data.train), levels(&data.test)].concat();
        assert_eq!(
            both.iter().collect::<std::collections::BTreeSet<_>>().len(),
            19
        );

        let files = classes("train/");
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        let other = folder("split-train", &files);
        assert_eq!(load(&other).unwrap().digest(), data.digest());
        for dir in [dir, other] {
            std::fs::remove_dir_all(dir).unwrap();
        }
    }

    #[test]
    fn a_class_may_be_called_train() {
        let files = ["bus/a.png", "bus/b.png", "train/a.png", "train/b.png"];
        let dir = folder("trains", &files);
        assert_eq!(load(&dir).unwrap().class_names(), ["bus", "train"]);
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn bad_pictures_are_all_named_or_left_out() {
        let files = classes("");
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        let dir = folder("bad", &files);
        for bad in ["apple/03.png", "pear/12.png", "pear/18.png"] {
            std::fs::write(dir.join(bad), "words").unwrap();
        }
        std::fs::create_dir(dir.join("pear/new.png")).unwrap();
        std::fs::write(dir.join("pear/notes.txt"), "words").unwrap();
        let error = load(&dir).unwrap_err();
        assert!(error.contains("4 of 20 pictures cannot be read"), "{error}");
        let named: Vec<&str> = error.lines().skip(1).collect();
        assert_eq!(named.len(), 4, "{error}");
        assert!(
            named[0].contains("apple/03.png: it is not a PNG"),
            "{error}"
        );
        assert!(
            named[3].contains("pear/new.png: it has a picture's"),
            "{error}"
        );

        let shape = "1x2x2".parse().unwrap();
        let left = dataset("mine".to_owned(), &dir, shape, true);
        let (left, bad) = left.unwrap();
        assert_eq!(bad.len(), 4);
        for bad in &bad[..3] {
            std::fs::remove_file(&bad.path).unwrap();
        }
        std::fs::remove_dir(&bad[3].path).unwrap();
        assert_eq!(load(&dir).unwrap().digest(), left.digest());
        assert_eq!(left.train.files().unwrap().ignored.len(), 1);
        let warnings = left.warnings().unwrap();
        let ignored = warnings
            .iter()
            .find(|text| text.contains("ignored"))
            .unwrap();
        assert!(
            ignored.starts_with("1 file is ignored: not a picture file extension: "),
            "{ignored}"
        );

        for bad in ["apple/00.png", "apple/01.png"] {
            std::fs::write(dir.join(bad), "words").unwrap();
        }
        for number in 2..12 {
            let _ = std::fs::remove_file(dir.join(format!("apple/{number:02}.png")));
        }
        let error = dataset("mine".to_owned(), &dir, shape, true).unwrap_err();
        assert!(
            error.to_string().contains("apple: none of its pictures"),
            "{error}"
        );
        std::fs::remove_dir_all(dir).unwrap();
    }
}
