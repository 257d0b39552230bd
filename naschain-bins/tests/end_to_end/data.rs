//! Users' own data: shown by `miner data`, used in a search, and checked by miners.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::programs::{Process, Server, folder, read, search, succeeded, text, wait_until};
use image::{GrayImage, Luma};
use naschain_bins::read_spec;
use naschain_train::{Dataset, Model, PackedDataset};
use serde_json::Value;

/// Fifteen training and five test images of 3×4×5 in three classes, as written by NumPy.
const ARCHIVE: &[u8] = include_bytes!("../fixtures/first.npz");

fn miner(args: &[&str]) -> Command {
    let mut command = crate::programs::miner();
    command.args(args).env_remove("NASCHAIN_DATA");
    command
}

fn data(args: &[&str]) -> Output {
    miner(&[&["data"], args].concat()).output().unwrap()
}

fn json(args: &[&str]) -> Value {
    serde_json::from_str(&succeeded(data(args))).unwrap()
}

fn refused(args: &[&str]) -> (String, String) {
    let output = data(args);
    assert_eq!(output.status.code(), Some(2), "{args:?}");
    (text(&output.stdout), text(&output.stderr))
}

/// Writes digits as a folder of pictures: 400 to train and validate on, 100 to test.
fn pictures(dir: &Path) -> PathBuf {
    let digits = Dataset::digits();
    let root = dir.join("pictures");
    for (part, count) in [("train", 400), ("val", 100)] {
        for index in 0..count {
            let pixels = digits.train.pixels(&[index]).unwrap();
            let bright = pixels
                .iter()
                .map(|&pixel| pixel.saturating_mul(15))
                .collect();
            let class = format!("digit-{}", digits.train.labels()[index]);
            let class = root.join(part).join(class);
            std::fs::create_dir_all(&class).unwrap();
            let picture = GrayImage::from_raw(8, 8, bright).unwrap();
            picture.save(class.join(format!("{index:04}.png"))).unwrap();
        }
    }
    root
}

#[test]
fn the_embedded_digits_are_shown() {
    let listed = json(&["list", "--json"]);
    let entries = listed.as_array().unwrap();
    assert_eq!(entries.len(), 12);
    assert_eq!(
        (&entries[0]["name"], &entries[0]["found"]),
        (&"digits".into(), &true.into())
    );
    let listed = succeeded(data(&["list"]));
    assert!(
        listed.starts_with("digits           embedded\n"),
        "{listed}"
    );
    let checked = &json(&["check", "digits", "--json"])[0];
    let digits = Dataset::digits();
    assert_eq!(checked["digest"], digits.digest().to_string());
    assert_eq!(
        (&checked["shape"], &checked["classes"]),
        (&"1x8x8".into(), &10.into())
    );
    assert_eq!(checked["train"]["images"], 1397);
    assert_eq!(
        checked["mean"][0].as_f64(),
        Some(digits.train.moments()[0].mean)
    );
    let shown = succeeded(data(&["check", "digits"]));
    assert!(
        shown.contains(&format!("digest     {}", digits.digest())),
        "{shown}"
    );
    assert!(shown.contains("test       400 images, "), "{shown}");
}

#[test]
fn image_folders_and_archives_are_detected_and_read() {
    let dir = folder("data-check");
    let root = dir.to_str().unwrap();
    let (_, error) = refused(&["list", root]);
    assert!(error.contains("no data set was found in"), "{error}");
    std::fs::write(dir.join("mine.npz"), ARCHIVE).unwrap();
    std::fs::rename(pictures(&dir), dir.join("folder")).unwrap();
    let listed = succeeded(data(&["list", root]));
    let names: Vec<&str> = listed
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(names, ["folder-3x32x32", "mine.npz"]);

    let checked = json(&["check", root, "--image-size=1x8x8", "--json"]);
    let (pictures, archive) = (&checked[0], &checked[1]);
    assert_eq!(pictures["name"], "folder-1x8x8");
    assert_eq!(pictures["class_names"][9], "digit-9");
    assert_eq!(archive["shape"], "3x4x5");
    assert_eq!(archive["test"]["per_class"], serde_json::json!([2, 2, 1]));
    let file = dir.join("mine.npz");
    let same = json(&["check", file.to_str().unwrap(), "--json"]);
    assert_eq!(same[0], *archive);

    std::fs::write(&file, &ARCHIVE[..700]).unwrap();
    let (shown, error) = refused(&["check", root, "--json"]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert!(
        shown[0]["digest"].is_string() && shown[1]["digest"].is_null(),
        "{shown}"
    );
    let problem = shown[1]["error"].as_str().unwrap();
    assert!(problem.contains("mine.npz: it cannot be read"), "{problem}");
    assert!(error.contains(problem), "{error}");
    std::fs::write(dir.join("more.npz"), &ARCHIVE[..500]).unwrap();
    let (shown, error) = refused(&["check", root]);
    for file in ["mine.npz", "more.npz"] {
        let line = format!("  broken     {}: it cannot", dir.join(file).display());
        assert!(shown.contains(&line), "{shown}");
    }
    assert!(error.contains("2 data sets are broken"), "{error}");
    let (_, error) = refused(&["check", root, "--image-size=0"]);
    assert!(error.contains("sides of 1 to 4096"), "{error}");
    let (_, error) = refused(&["check", "cifar100", "--data-dir", root]);
    assert!(error.contains("looked for test.bin in"), "{error}");
    let (_, error) = refused(&["check", "imagenet"]);
    assert!(
        error.contains("imagenet is neither a folder nor"),
        "{error}"
    );
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_search_runs_on_pictures_and_on_an_archive() {
    let dir = folder("data-search");
    let root = pictures(&dir);
    let data_dir = format!("--data-dir={}", root.display());
    let few = ["--population=2", "--generations=1"];
    let flags = ["--data=folder", &data_dir, "--image-size=1x8x8"];
    let run = dir.join("run");
    succeeded(search(&run, &[&flags[..], &few].concat()).output().unwrap());
    let spec = read_spec(&run.join("run.json")).unwrap();
    assert_eq!(spec.data.name.to_string(), "folder-1x8x8");
    assert_eq!(spec.space.input().to_string(), "1x8x8");
    let front: Value = serde_json::from_str(&read(run.join("front.json"))).unwrap();
    let model = run.join(front[0]["model"].as_str().unwrap());
    let model = Model::load(&model.join("model.safetensors")).unwrap();
    assert_eq!(model.class_name(3), "digit-3");

    let archive = dir.join("mine.npz");
    std::fs::write(&archive, ARCHIVE).unwrap();
    let archive = format!("--data={}", archive.display());
    let flags = [
        &archive,
        "--phases=1",
        "--train-images=10",
        "--validation-images=5",
    ];
    let run = dir.join("other");
    succeeded(search(&run, &[&flags[..], &few].concat()).output().unwrap());
    let spec = read_spec(&run.join("run.json")).unwrap();
    assert_eq!(
        (spec.data.name.to_string(), spec.space.classes()),
        ("mine.npz".to_owned(), 3)
    );

    let wrong = search(&dir.join("wrong"), &["--data=digits", "--image-size=16"]);
    let error = text(&{ wrong }.output().unwrap().stderr);
    assert!(
        error.contains("the images of digits have a fixed size"),
        "{error}"
    );
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_machine_without_the_data_set_downloads_it() {
    let dir = folder("data-miner");
    let root = pictures(&dir);
    let data_dir = format!("--data-dir={}", root.display());
    let flags = ["--data=folder", &data_dir, "--image-size=1x8x8"];
    let run = dir.join("run");
    let server = Server::start_with(&run, 0, &flags);
    let [other, cache] = ["other", "cache"].map(|name| dir.join(name));
    std::fs::create_dir_all(&other).unwrap();
    std::fs::rename(pictures(&other), other.join("folder")).unwrap();
    let classes = std::fs::read_dir(other.join("folder/train/digit-3")).unwrap();
    let changed = classes.flatten().next().unwrap().path();
    let picture = GrayImage::from_pixel(8, 8, Luma([1]));
    picture.save(changed).unwrap();
    // The beginning of the right data, and as many other bytes, of downloads that were interrupted.
    let name = "folder-1x8x8".parse().unwrap();
    let dataset = Dataset::load(&name, Some(&root)).unwrap();
    let begun = PackedDataset::new(&dataset).read(0, 5_000).unwrap();
    let digest = read_spec(&run.join("run.json")).unwrap().data.digest;
    assert_eq!(digest, dataset.digest());

    let start = |name: &str, more: &[&str]| {
        let log = dir.join(name);
        let mut command = miner(&["--genomaster", &server.url, "--name", name]);
        command.arg("--data-dir").arg(&other).args(more);
        command.stderr(Stdio::from(std::fs::File::create(&log).unwrap()));
        command
    };
    let partial = format!("{digest}.part");
    let mut miners = Vec::new();
    for (name, content) in [("ada", begun), ("bob", vec![7; 5_000]), ("eve", vec![])] {
        let cache = cache.join(name);
        std::fs::create_dir_all(&cache).unwrap();
        std::fs::write(cache.join(&partial), &content).unwrap();
        let mut command = start(name, &["--data-cache", cache.to_str().unwrap()]);
        miners.push(Process::start(&mut command));
    }
    wait_until("the front is written", || run.join("front.json").exists());
    for (name, text) in [
        ("ada", "from byte 5000 on"),
        ("bob", "from byte 5000 on"),
        ("eve", "from the genomaster"),
    ] {
        let log = read(dir.join(name));
        assert!(log.contains("data set folder-1x8x8 has digest"), "{log}");
        assert!(log.contains(text), "{log}");
        assert!(cache.join(name).join(format!("{digest}.data")).is_file());
    }
    let none = start("zoe", &["--data-cache-limit=1KiB"]).output().unwrap();
    assert_eq!(none.status.code(), Some(2));
    let log = read(dir.join("zoe"));
    assert!(log.contains("it cannot be downloaded either"), "{log}");
    assert!(log.contains("--data-cache-limit is 1 KiB"), "{log}");

    // A validator trains all of it again with the data of a miner's cache.
    let mut validator = crate::programs::validator();
    validator.args(["--genomaster", &server.url, "--json", "--retrain=1/1"]);
    validator.arg("--data-dir").arg(&other);
    validator.arg("--data-cache").arg(cache.join("ada"));
    let report: Value = serde_json::from_str(&succeeded(validator.output().unwrap())).unwrap();
    assert_eq!(report["wrong"], Value::Array(vec![]), "{report}");
    std::fs::remove_dir_all(dir).unwrap();
}
