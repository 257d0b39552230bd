use super::*;
use std::io::Write;
use std::path::PathBuf;
use zip::write::SimpleFileOptions;

use crate::data::npy;
use crate::test_folder::test_folder;

fn fixture(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join("tests/fixtures/data").join(name)
}

/// Loads an archive of these members, or returns the error's text.
fn load(test: &str, members: &[(&str, Vec<u8>)]) -> Result<Dataset, String> {
    let dir = test_folder(&format!("npz-{test}"));
    let path = dir.join("mine.npz");
    let mut writer = zip::ZipWriter::new(File::create(&path).unwrap());
    for (name, bytes) in members {
        let options = SimpleFileOptions::default();
        writer.start_file(format!("{name}.npy"), options).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap();
    let data = dataset("mine".to_owned(), &path);
    std::fs::remove_dir_all(dir).unwrap();
    data.map_err(|error| error.to_string())
}

fn labels(labels: &[u8]) -> Vec<u8> {
    npy::file("|u1", &format!("({},)", labels.len()), labels)
}

#[test]
fn numpy_archives_are_read() {
    let first = dataset("first".to_owned(), &fixture("first.npz")).unwrap();
    assert_eq!(
        (first.shape.to_string(), first.classes),
        ("3x4x5".to_owned(), 3)
    );
    assert_eq!((first.train.len(), first.test.len()), (15, 5));
    // make.py numbers the values image by image, row by row, pixel by pixel: 60 values per
    // image.
    let expected = |image: usize| -> Vec<u8> {
        let places = (0..3).flat_map(|plane| (0..20).map(move |place| place * 3 + plane));
        places
            .map(|place| ((image * 60 + place) % 251) as u8)
            .collect()
    };
    assert_eq!(first.train.pixels(&[14]).unwrap(), expected(14));
    assert_eq!(first.test.pixels(&[4]).unwrap(), expected(19));
    assert_eq!(first.test.labels(), [0, 1, 2, 0, 1]);

    let last = dataset("last".to_owned(), &fixture("last.npz")).unwrap();
    assert_eq!((last.train.len(), last.test.len()), (16, 4));
    let mut seen: Vec<(Vec<u8>, u16)> = [&last.train, &last.test]
        .into_iter()
        .flat_map(|part| {
            let image = |index| (part.pixels(&[index]).unwrap(), part.labels()[index]);
            (0..part.len()).map(image)
        })
        .collect();
    let mut all: Vec<(Vec<u8>, u16)> = (0..20)
        .map(|image| (expected(image), image as u16 % 3))
        .collect();
    seen.sort();
    all.sort();
    assert_eq!(seen, all, "each image is in one part, with its label");
}

/// Four valid images.
fn x() -> (&'static str, Vec<u8>) {
    ("x", npy::file("|u1", "(4, 1, 2)", &[0; 8]))
}

/// Their labels.
fn y() -> (&'static str, Vec<u8>) {
    ("y", labels(&[0, 1, 0, 1]))
}

fn refused(test: &str, members: &[(&str, Vec<u8>)], problem: &str) {
    let error = load(test, members).unwrap_err();
    assert!(error.contains(problem), "{test}: {error}");
}

#[test]
fn malformed_images_are_rejected() {
    assert!(load("good", &[x(), y()]).is_ok());
    refused("no-y", &[x()], "no array y; the archive has x.npy");
    let wrong_x = |test, descr, shape, data: &[u8], problem| {
        refused(test, &[("x", npy::file(descr, shape, data)), y()], problem);
    };
    wrong_x("float", "<f4", "(4, 1, 2)", &[0; 32], "uint8 (|u1)");
    wrong_x("text", "<U9", "(4, 1, 2)", &[0; 32], "uint8 (|u1)");
    wrong_x(
        "rgba",
        "|u1",
        "(4, 8, 8, 4)",
        &[0; 1024],
        "2 or 4 channels must come before height and width, as after x.transpose(0, 3, 1, 2)",
    );
    wrong_x("flat", "|u1", "(8,)", &[0; 8], "x has 1 dimensions");
    wrong_x(
        "short",
        "|u1",
        "(4, 1, 2)",
        &[0; 7],
        "claims 8 bytes of data; it has 7",
    );
    wrong_x(
        "long",
        "|u1",
        "(4, 1, 2)",
        &[0; 9],
        "claims 8 bytes of data; it has more",
    );
    wrong_x("none", "|u1", "(0, 1, 2)", &[], "at least one image");
    let wide = "(4, 18446744073709551615, 18446744073709551615, 18446744073709551615)";
    wrong_x("wide", "|u1", wide, &[0; 8], "sides of 1 to 4096");
    wrong_x("huge", "|u1", "(4, 4096, 4096)", &[0; 8], "can hold");
    wrong_x(
        "tall",
        "|u1",
        "(1, 5000, 1)",
        &[0; 5000],
        "sides of 1 to 4096",
    );
    wrong_x(
        "count",
        "|u1",
        "(3, 1, 2)",
        &[0; 6],
        "y has 4 labels for 3 images",
    );
}

#[test]
fn malformed_labels_are_rejected() {
    let wrong_y = |test, file, problem| refused(test, &[x(), ("y", file)], problem);
    wrong_y(
        "gap",
        labels(&[0, 1, 3, 0]),
        "no training image has the label 2",
    );
    wrong_y("one", labels(&[0, 0, 0, 0]), "at least two classes");
    wrong_y(
        "real",
        npy::file("<f4", "(4,)", &[0; 16]),
        "labels must be integers",
    );
    wrong_y(
        "text-y",
        npy::file("<U3", "(4,)", &[0; 48]),
        "y has the type <U3; labels must be integers",
    );
    wrong_y(
        "table",
        npy::file("|u1", "(2, 2)", &[0; 4]),
        "one label per image",
    );
    let negative = npy::file("<i2", "(4,)", &[0, 0, 1, 0, 255, 255, 0, 0]);
    wrong_y("negative", negative, "y has -1 for image 2");
    let far = npy::file(
        ">u4",
        "(4,)",
        &[0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    );
    wrong_y("far", far, "y has 65536 for image 0");
    let test = |label| [x(), y(), ("x_test", x().1), ("y_test", labels(&[label; 4]))];
    assert!(load("test", &test(1)).is_ok());
    refused("test-label", &test(2), "mine has the label 2");
}

/// Zeros compress by a factor of 1,000.
#[test]
fn a_small_archive_cannot_fill_the_memory() {
    let images = 260usize << 20;
    let x = npy::file("|u1", &format!("({images}, 1, 1)"), &[]);
    let dir = test_folder("npz-bomb");
    let path = dir.join("bomb.npz");
    let mut writer = zip::ZipWriter::new(File::create(&path).unwrap());
    let options = SimpleFileOptions::default();
    writer.start_file("x.npy", options).unwrap();
    writer.write_all(&x).unwrap();
    for _ in 0..images >> 20 {
        writer.write_all(&[0; 1 << 20]).unwrap();
    }
    writer.finish().unwrap();
    let size = std::fs::metadata(&path).unwrap().len();
    assert!(size < 2 << 20, "{size}");
    let error = dataset("bomb".to_owned(), &path).unwrap_err().to_string();
    std::fs::remove_dir_all(dir).unwrap();
    let claimed = format!("its arrays claim {images} bytes");
    assert!(error.contains(&claimed), "{error}");
    assert!(error.contains("at most 268435456"), "{error}");
}

#[test]
fn the_test_set_leaves_an_image_of_each_class() {
    let x = || ("x", npy::file("|u1", "(20, 1, 2)", &[0; 40]));
    let found = (0..20).map(|rare| {
        let mut y = [0; 20];
        y[rare] = 1;
        load(&format!("rare-{rare}"), &[x(), ("y", labels(&y))])
    });
    let (good, bad): (Vec<_>, Vec<_>) = found.partition(Result::is_ok);
    assert_eq!((good.len(), bad.len()), (16, 4));
    for error in bad {
        let error = error.unwrap_err();
        assert!(error.contains("class 1 has no training image"), "{error}");
    }
    let error = load(
        "few",
        &[
            ("x", npy::file("|u1", "(1, 1, 2)", &[0; 2])),
            ("y", labels(&[0])),
        ],
    );
    assert!(error.unwrap_err().contains("at least two classes"));
}
