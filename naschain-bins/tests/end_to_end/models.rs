//! A run's models: export, retraining and prediction.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::programs::{folder, genomaster, read, refused, search, succeeded, text};
use image::GrayImage;
use naschain_core::MacroSpace;
use naschain_train::{Dataset, Model};
use serde_json::Value;

/// A finished run.
struct Run {
    dir: PathBuf,
}

impl Run {
    fn new(test: &str) -> Run {
        let dir = folder(test);
        succeeded(search(&dir.join("run"), &[]).output().unwrap());
        Run { dir }
    }

    fn run(&self) -> PathBuf {
        self.dir.join("run")
    }

    /// `genomaster COMMAND RUN --genome GENOME MORE`
    fn command(&self, command: &str, genome: &str, more: &[&str]) -> Command {
        let mut program = genomaster();
        program.current_dir(&self.dir).args([command, "run"]);
        program.args(["--genome", genome]).args(more);
        program
    }

    /// A genome that was not evaluated.
    fn never_evaluated(&self) -> String {
        let spec: Value = serde_json::from_str(&read(self.run().join("run.json"))).unwrap();
        let space: MacroSpace = serde_json::from_value(spec["space"].clone()).unwrap();
        let history = read(self.run().join("history.jsonl"));
        let mut genomes = (0u8..=255).map(|bits| format!("{bits:08b}"));
        let unknown = |genome: &String| {
            let canonical = space.canonical(&genome.parse().unwrap()).unwrap();
            ![genome, &canonical.to_string()]
                .iter()
                .any(|text| history.contains(*text))
        };
        genomes.find(unknown).unwrap()
    }

    /// A genome of the front, or an evaluated one that is not on the front.
    fn genome(&self, on_front: bool) -> String {
        let front: Vec<Value> = serde_json::from_str(&read(self.run().join("front.json"))).unwrap();
        let is_on_front = |genome: &str| front.iter().any(|member| member["genome"] == genome);
        let history = read(self.run().join("history.jsonl"));
        let genomes = history.lines().map(|line| {
            let job: Value = serde_json::from_str(line).unwrap();
            job["genome"].as_str().unwrap().to_owned()
        });
        let mut genomes = genomes.filter(|genome| is_on_front(genome) == on_front);
        genomes.next().unwrap()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// Test images of the digits as PNG files, with their labels.
fn pictures(dir: &Path, count: usize) -> Vec<(String, usize)> {
    let digits = Dataset::digits();
    let first: Vec<usize> = (0..count).collect();
    let pixels = digits.test.pixels(&first).unwrap();
    let images = pixels.chunks_exact(64).zip(digits.test.labels());
    let write = |(index, (pixels, &label)): (usize, (&[u8], &u16))| {
        let bright = pixels
            .iter()
            .map(|&pixel| (f32::from(pixel) * 15.9375) as u8);
        let name = format!("{index}.png");
        let image = GrayImage::from_raw(8, 8, bright.collect()).unwrap();
        image.save(dir.join(&name)).unwrap();
        (name, usize::from(label))
    };
    images.enumerate().map(write).collect()
}

#[test]
fn any_genome_of_the_run_is_exported() {
    let run = Run::new("export");
    let (best, other) = (run.genome(true), run.genome(false));
    let printed = succeeded(
        run.command("export", &best, &["--out=best.safetensors"])
            .output()
            .unwrap(),
    );
    assert!(
        printed.contains("wrote best.safetensors and best.json"),
        "{printed}"
    );
    let model = Model::load(&run.dir.join("best.safetensors")).unwrap();
    let stored = format!("models/{best}/model.safetensors");
    assert_eq!(Model::load(&run.run().join(stored)).unwrap(), model);
    assert_eq!(model.genome.to_string(), best);

    let grouped = format!(
        "{}-{}",
        &other[..other.len() / 2],
        &other[other.len() / 2..]
    );
    let flags = ["--format=onnx", "--out=other.onnx"];
    let output = run.command("export", &grouped, &flags).output().unwrap();
    assert!(
        text(&output.stderr).contains("training it again"),
        "{output:?}"
    );
    assert!(succeeded(output).contains("pixels [images, 1, 8, 8]"));
    let onnx = std::fs::read(run.dir.join("other.onnx")).unwrap();
    let again = Model::load(&run.run().join(format!("models/{other}/model.json"))).unwrap();
    assert_eq!(again.to_onnx().unwrap(), onnx);
    let history = read(run.run().join("history.jsonl"));
    let job = history.lines().find(|line| line.contains(&other)).unwrap();
    assert!(job.contains(&again.digest.to_string()), "{job}");

    let export = |genome, flags: &[&str]| refused(&mut run.command("export", genome, flags));
    let never = run.never_evaluated();
    assert!(export(&never, &[]).contains("(12 were evaluated)"));
    assert!(export("01", &[]).contains("genome has 2 bits"));
    assert!(export(&best, &["--out=x.json"]).contains("such as x.safetensors"));
    assert!(export(&best, &["--out=x.txt"]).contains("neither in .onnx nor in .safetensors"));
    let error = export(&best, &["--out=no/x.onnx"]);
    assert!(
        error.contains("cannot write no/x.onnx: the folder no does not exist"),
        "{error}"
    );
    assert!(export(&best, &["--retrained"]).contains("was not retrained"));
    assert!(export(&best, &["--format=pickle"]).contains("safetensors, onnx"));
    assert!(export("nee", &[]).contains("did you mean knee?"));
    let printed = succeeded(run.command("export", &best, &["--int8"]).output().unwrap());
    let default = format!("wrote run/models/{best}/model.int8.onnx");
    assert!(printed.contains(&default), "{printed}");
}

#[test]
fn a_retrained_network_classifies_digits() {
    let run = Run::new("retrain");
    let genome = run.genome(true);
    let retrain = |epochs: &str| run.command("retrain", &genome, &[epochs]);
    assert!(refused(&mut retrain("--epochs=0")).contains("epochs is 0"));
    let printed = succeeded(retrain("--epochs=8").output().unwrap());
    assert!(
        printed.contains("after 8 epochs on 1397 images"),
        "{printed}"
    );
    let next = format!("`genomaster export run --retrained --genome {genome}`");
    assert!(printed.contains(&next), "{printed}");
    assert!(read(run.run().join("report.html")).contains(r#""epochs":8,"test_accuracy""#));
    let flags = ["--retrained", "--out=digits.safetensors"];
    succeeded(run.command("export", &genome, &flags).output().unwrap());
    let model = Model::load(&run.dir.join("digits.safetensors")).unwrap();
    let accuracy = model.test_accuracy.unwrap().percent();
    assert!(accuracy > 80.0, "{accuracy}");
    assert!(
        printed.contains(&format!("test accuracy on digits: {accuracy}")),
        "{printed}"
    );

    let pictures = pictures(&run.dir, 100);
    let names = pictures.iter().map(|(name, _)| name.as_str());
    let predict = |model: &str, args: &[&str]| {
        let mut command = genomaster();
        command
            .current_dir(&run.dir)
            .args(["predict", model])
            .args(args);
        command
    };
    let args: Vec<&str> = ["--json"].into_iter().chain(names).collect();
    let json = succeeded(predict("digits.safetensors", &args).output().unwrap());
    let answers: Vec<Value> = serde_json::from_str(&json).unwrap();
    assert_eq!(answers.len(), 100);
    let right = answers
        .iter()
        .zip(&pictures)
        .filter(|(answer, (name, label))| {
            assert_eq!(answer["image"], name.as_str());
            assert_eq!(answer["top"].as_array().unwrap().len(), 3);
            answer["class"] == *label
        });
    assert!(right.count() > 75, "{json}");
    let lines = predict("digits.json", &["0.png", "1.png", "--top=20"]).output();
    let lines = succeeded(lines.unwrap());
    assert_eq!(lines.lines().count(), 2);
    let parts = lines.lines().next().unwrap().matches(" %").count();
    assert_eq!(parts, 10, "{lines}");
    let folder = format!("run/models/{genome}");
    succeeded(predict(&folder, &["0.png"]).output().unwrap());
    std::fs::create_dir_all(run.dir.join("more/deep")).unwrap();
    for (from, to) in [("0.png", "more/deep/b.png"), ("1.png", "more/a.png")] {
        std::fs::copy(run.dir.join(from), run.dir.join(to)).unwrap();
    }
    let lines = succeeded(predict(&folder, &["more"]).output().unwrap());
    let names: Vec<_> = lines
        .lines()
        .filter_map(|line| line.split(':').next())
        .collect();
    assert_eq!(names, ["more/a.png", "more/deep/b.png"]);
    wrong_paths_are_explained(&run, &folder);
}

/// `folder` holds the models of a retrained network.
fn wrong_paths_are_explained(run: &Run, folder: &str) {
    let other = run.genome(false);
    let error = refused(&mut run.command("export", &other, &["--retrained"]));
    assert!(
        error.contains("this run has retrained models of "),
        "{error}"
    );

    for name in ["words.png", "words.txt"] {
        std::fs::write(run.dir.join(name), "words").unwrap();
    }
    let call = |args: &[&str]| refused(genomaster().current_dir(&run.dir).args(args));
    let wrong = |model: &str, image: &str| call(&["predict", model, image]);
    assert!(wrong("digits.json", "words.png").contains("words.png: "));
    assert!(wrong("digits.json", "none.png").contains("none.png: "));
    assert!(wrong("none.safetensors", "0.png").contains("none.safetensors"));
    assert!(wrong("0.png", "0.png").contains("the model comes before the images"));
    assert!(wrong("words.txt", "0.png").contains("not a safetensors file"));
    std::fs::write(run.dir.join("m.onnx"), "").unwrap();
    assert!(wrong("m.onnx", "0.png").contains("m.onnx is an ONNX file"));
    assert!(wrong("more", "0.png").contains("neither the folder of a run"));
    for (run, problem) in [
        ("digits.safetensors", "is a file, not the folder of a run"),
        ("none", "none does not exist"),
        (folder, "its run is run"),
    ] {
        let error = call(&["show", run]);
        assert!(error.contains(problem), "{error}");
    }
}
