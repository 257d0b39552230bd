//! A person with a folder of pictures: from the folder to predictions.

use std::path::{Path, PathBuf};
use std::process::Command;

use image::{GrayImage, Luma};
use naschain_bins::read_spec;
use naschain_train::Dataset;
use serde_json::Value;

use crate::programs::{SMALL, folder, genomaster, miner, read, refused, succeeded, text};

/// Writes digits as pictures of 8×8, `CLASS/FILE` with 50 of each class.
fn flowers(dir: &Path) -> PathBuf {
    let digits = Dataset::digits();
    let root = dir.join("flowers");
    let mut counts = [0; 10];
    for (index, &label) in digits.train.labels().iter().enumerate() {
        let count = &mut counts[usize::from(label)];
        *count += 1;
        if *count > 50 {
            continue;
        }
        let pixels = digits.train.pixels(&[index]).unwrap();
        let bright = pixels
            .iter()
            .map(|pixel| pixel.saturating_mul(15))
            .collect();
        let class = root.join(format!("digit-{label}"));
        std::fs::create_dir_all(&class).unwrap();
        let picture = GrayImage::from_raw(8, 8, bright).unwrap();
        let extension = if *count % 2 == 0 { "png" } else { "bmp" };
        let name = format!("{index:04}.{extension}");
        // The first bytes of a file decide, not its extension.
        let png = image::ImageFormat::Png;
        picture.save_with_format(class.join(name), png).unwrap();
    }
    root
}

/// `genomaster search` in `dir` with the flags of a small run and `more`.
fn search_in(dir: &Path, more: &[&str]) -> Command {
    let mut command = genomaster();
    command
        .current_dir(dir)
        .arg("search")
        .args(SMALL)
        .args(more);
    command.args(["--population=2", "--generations=1", "--image-size=1x8x8"]);
    command.env_remove("NASCHAIN_DATA");
    command
}

/// The only folder in `runs`.
fn only_run(dir: &Path) -> PathBuf {
    let runs = std::fs::read_dir(dir.join("runs")).unwrap();
    let runs: Vec<PathBuf> = runs.map(|run| run.unwrap().path()).collect();
    assert_eq!(runs.len(), 1, "{runs:?}");
    runs[0].clone()
}

fn first_genome(run: &Path) -> String {
    let front: Value = serde_json::from_str(&read(run.join("front.json"))).unwrap();
    front[0]["genome"].as_str().unwrap().to_owned()
}

#[test]
fn a_folder_of_classes_becomes_a_model_without_further_flags() {
    let dir = folder("pictures-classes");
    flowers(&dir);
    let output = search_in(&dir, &["--data=flowers"]).output().unwrap();
    let warned = text(&output.stderr);
    assert!(!warned.contains("fewer than 20"), "{warned}");
    succeeded(output);
    let run = only_run(&dir);
    let spec = read_spec(&run.join("run.json")).unwrap();
    assert_eq!(spec.data.name.to_string(), "folder-1x8x8");
    let digest = spec.data.digest.to_string();
    let name = run.file_name().unwrap().to_str().unwrap();
    assert_eq!(name, format!("flowers-{}-seed5", &digest[..8]));
    assert!(!read(run.join("run.json")).contains("flowers"));

    // From another folder, where no flag and no default leads to the pictures.
    let other = dir.join("other");
    std::fs::create_dir(&other).unwrap();
    let genome = first_genome(&run);
    let on_run = |command: &str, more: &[&str]| {
        let mut program = genomaster();
        program.current_dir(&other).arg(command).arg(&run);
        program.args(["--genome", &genome]).args(more);
        program.env_remove("NASCHAIN_DATA");
        program.output().unwrap()
    };
    let printed = succeeded(on_run("retrain", &["--epochs=1", "--flip"]));
    assert!(printed.contains("after 1 epoch on 400 images"), "{printed}");
    let described = read(run.join("models").join(&genome).join("retrained.json"));
    let described: Value = serde_json::from_str(&described).unwrap();
    let augmentation = &described["recipe"]["augmentation"];
    assert_eq!(augmentation["horizontal_flip"], true, "{augmentation}");
    std::fs::remove_dir_all(run.join("models")).unwrap();
    succeeded(on_run("export", &["--out=m.safetensors"]));

    // Moved pictures are found by a flag.
    std::fs::rename(dir.join("flowers"), dir.join("moved")).unwrap();
    std::fs::remove_dir_all(run.join("models")).unwrap();
    let output = on_run("export", &["--out=m.safetensors"]);
    let error = text(&output.stderr);
    assert!(
        error.contains("data set folder-1x8x8 was not found"),
        "{error}"
    );
    let moved = format!("--data-dir={}", dir.join("moved").display());
    succeeded(on_run("export", &["--out=m.safetensors", &moved]));
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn runs_are_never_among_the_pictures() {
    let dir = folder("pictures-among");
    let root = flowers(&dir);
    let inside = format!("--out={}", root.join("run").display());
    let error = refused(&mut search_in(&dir, &["--data=flowers", &inside]));
    assert!(error.contains("would be among the data in"), "{error}");
    succeeded(search_in(&root, &["--data=."]).output().unwrap());
    assert!(!root.join("runs").exists());
    only_run(&dir);
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn data_flags_are_used_or_refused() {
    let dir = folder("pictures-flags");
    flowers(&dir);
    let refusal = |flags: &[&str]| refused(&mut search_in(&dir, flags));
    let error = refusal(&["--data=digits", "--data-dir=flowers"]);
    assert!(
        error.contains("--data-dir flowers would not be used"),
        "{error}"
    );
    let error = refusal(&["--data=flowers", "--data-dir=flowers"]);
    assert!(error.contains("--data is a path already"), "{error}");
    let error = refusal(&["--data=Fashion-MNIST"]);
    assert!(error.contains("did you mean fashion-mnist?"), "{error}");
    let error = refusal(&["--data=flowers/digit-0"]);
    assert!(error.contains("a folder for each class"), "{error}");
    let error = refusal(&["--data=nowhere/flowers"]);
    assert!(
        error.contains("there is no folder nowhere/flowers"),
        "{error}"
    );
    succeeded(search_in(&dir, &["--data-dir=flowers"]).output().unwrap());
    let spec = read_spec(&only_run(&dir).join("run.json")).unwrap();
    assert_eq!(spec.data.name.to_string(), "folder-1x8x8");
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn bad_and_strange_pictures_are_named() {
    let dir = folder("pictures-bad");
    let root = flowers(&dir);
    let file = |name: &str| root.join("digit-3").join(name);
    std::fs::write(file("a.jpg"), "words").unwrap();
    std::fs::write(file("b.webp"), "words").unwrap();
    let black = GrayImage::from_pixel(8, 8, Luma([0]));
    black.save(file("black.png")).unwrap();
    let small = root.join("small");
    std::fs::create_dir(&small).unwrap();
    for level in [10, 20, 30] {
        let mut picture = GrayImage::from_pixel(4, 4, Luma([level]));
        picture.put_pixel(1, 1, Luma([200]));
        picture.save(small.join(format!("{level}.png"))).unwrap();
    }
    let bad = "2 of 506 pictures cannot be read";
    let error = refused(&mut search_in(&dir, &["--data=flowers"]));
    assert!(
        error.contains(bad) && error.contains("a.jpg: it is not a PNG"),
        "{error}"
    );
    assert!(error.contains("b.webp: it is not a PNG"), "{error}");
    let check = |flags: &[&str]| {
        let mut command = miner();
        command.current_dir(&dir).args(["data", "check", "flowers"]);
        command.args(flags).arg("--image-size=1x8x8");
        command
    };
    assert!(refused(&mut check(&[])).contains(bad));
    let shown = succeeded(check(&["--skip-bad"]).output().unwrap());
    for warning in [
        "left out 2 pictures that cannot be read",
        "1 class has fewer than 20 training images: small (2)",
        "1 image is of a single colour, 1 of them black, for example ",
        "3 images are smaller than 1x8x8",
    ] {
        assert!(shown.contains(warning), "{warning}: {shown}");
    }
    let json = succeeded(check(&["--skip-bad", "--json"]).output().unwrap());
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json[0]["skipped"].as_array().unwrap().len(), 2);
    assert_eq!(json[0]["warnings"].as_array().unwrap().len(), 4);

    let output = search_in(&dir, &["--data=flowers", "--skip-bad"]).output();
    let output = output.unwrap();
    let warned = text(&output.stderr);
    succeeded(output);
    assert!(
        warned.contains("left out") && warned.contains("fewer than 20"),
        "{warned}"
    );
    let spec = read_spec(&only_run(&dir).join("run.json")).unwrap();
    assert_eq!(json[0]["digest"], spec.data.digest.to_string());
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn predict_goes_on_after_a_bad_picture() {
    let dir = folder("pictures-predict");
    let root = flowers(&dir);
    succeeded(search_in(&dir, &["--data=flowers"]).output().unwrap());
    let run = only_run(&dir);
    let good = std::fs::read_dir(root.join("digit-1")).unwrap().next();
    let good = good.unwrap().unwrap().path().display().to_string();
    std::fs::write(dir.join("words.png"), "words").unwrap();
    let model = run.join("models").join(first_genome(&run));
    let predict = |more: &[&str]| {
        let mut command = genomaster();
        command
            .current_dir(&dir)
            .arg("predict")
            .arg(&model)
            .args(more);
        command.output().unwrap()
    };
    let output = predict(&["none.gif", &good, "words.png", &good]);
    assert_eq!(output.status.code(), Some(2));
    let (shown, error) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(shown.lines().count(), 2, "{shown}");
    assert!(error.contains("2 of 4 images cannot be read"), "{error}");
    assert!(
        error.contains("none.gif") && error.contains("words.png"),
        "{error}"
    );
    let error = text(&predict(&["words.png"]).stderr);
    assert!(error.contains("words.png: it is not a PNG"), "{error}");
    let output = predict(&["--json", "words.png", &good]);
    assert_eq!(output.status.code(), Some(2));
    let answers: Value = serde_json::from_str(&text(&output.stdout)).unwrap();
    assert!(answers[0]["error"].as_str().unwrap().contains("words.png"));
    assert!(answers[0].get("class").is_none() && answers[1]["class"].is_number());

    // A damaged model of a finished run is noticed when the run is started again.
    let weights = model.join("model.safetensors");
    let whole = std::fs::read(&weights).unwrap();
    let mut damaged = whole.clone();
    let last = damaged.len() - 5;
    damaged[last] ^= 1;
    std::fs::write(&weights, damaged).unwrap();
    assert_eq!(predict(&[&good]).status.code(), Some(2));
    succeeded(search_in(&dir, &["--data=flowers"]).output().unwrap());
    assert_eq!(std::fs::read(&weights).unwrap(), whole);
    std::fs::remove_dir_all(dir).unwrap();
}
