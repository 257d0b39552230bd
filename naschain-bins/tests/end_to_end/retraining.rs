//! The miners retrain a network of a search, which is a run of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use naschain_train::Model;
use serde_json::Value;

use crate::programs::wallets::Wallets;
use crate::programs::{
    Process, Server, call, folder, genomaster, read, refused, search, succeeded, validator,
    wait_until,
};
use crate::referee::{Liar, Lie};

/// A finished search, and the folder of the retraining of a network of its front.
struct Retraining {
    dir: PathBuf,
    run: PathBuf,
    genome: String,
    served: PathBuf,
}

impl Retraining {
    fn new(test: &str) -> Retraining {
        let dir = folder(test);
        let run = dir.join("run");
        succeeded(search(&run, &["--generations=1"]).output().unwrap());
        let front: Value = serde_json::from_str(&read(run.join("front.json"))).unwrap();
        let genome = front[0]["genome"].as_str().unwrap().to_owned();
        let served = dir.join("served");
        Retraining {
            dir,
            run,
            genome,
            served,
        }
    }

    fn serve(&self, port: u16, more: &[&str]) -> Command {
        let mut command = genomaster();
        command.args(["serve", "--lease-seconds=3", "--retrain"]);
        command.arg(&self.run).arg("--run").arg(&self.served);
        command.args(["--genome", &self.genome]);
        command.arg(format!("--listen=127.0.0.1:{port}"));
        command.args(more).stdout(Stdio::piped());
        command
    }

    /// Waits for the model in the folder of the search; returns its description.
    fn retrained(&self) -> Value {
        let model = self.run.join("models").join(&self.genome);
        let file = model.join("retrained.safetensors");
        wait_until("the retrained model is stored", || file.exists());
        serde_json::from_str(&read(model.join("retrained.json"))).unwrap()
    }

    /// Checks the results in the folder of the retraining; `digest` is that of the stored model.
    fn assert_served(&self, digest: &Value) {
        let front: Value = serde_json::from_str(&read(self.served.join("front.json"))).unwrap();
        assert_eq!(front.as_array().unwrap().len(), 1);
        let model = &front[0];
        assert_eq!(model["genome"], self.genome.as_str());
        assert_eq!((&model["digest"], &model["model_digest"]), (digest, digest));
        assert_eq!(model["accuracy"], model["test_accuracy"]);
        succeeded(
            genomaster()
                .arg("audit")
                .arg(&self.served)
                .output()
                .unwrap(),
        );
    }
}

fn export(run: &Path, flags: &[&str], out: &Path) -> Model {
    let mut command = genomaster();
    command.arg("export").arg(run).args(flags);
    succeeded(command.arg("--out").arg(out).output().unwrap());
    Model::load(out).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_honest_miner_retrains_to_the_bits_of_the_genomaster_alone() {
    let retraining = Retraining::new("retraining");
    let flags = ["--unsigned", "--epochs=6", "--rule=referee.answer_ms=3000"];
    let server = Server::spawn(&mut retraining.serve(0, &flags));
    let mut liars = Vec::new();
    for (name, lie) in [("eve", Lie::From(40)), ("mallory", Lie::Accuracy)] {
        liars.push(tokio::spawn(Liar::join(&server, name, lie).await.work()));
    }
    let honest = server.miner("ada");
    let model = retraining.retrained();
    let recipe = &model["recipe"];
    assert_eq!(
        (&recipe["epochs"], &recipe["train_images"]),
        (&6.into(), &1397.into())
    );
    assert_eq!(recipe["validation_images"], 0);
    let flags = ["--genomaster", &server.url, "--json"];
    let report = succeeded(validator().args(flags).output().unwrap());
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["disputed"], Value::Array(vec![]), "{report}");
    assert_eq!(report["rulings"], report["repeated_rulings"], "{report}");
    assert!(report["rulings"].as_u64().unwrap() >= 2, "{report}");
    for (miner, points) in [("ada", 1), ("eve", 0), ("mallory", 0)] {
        assert_eq!(report["miners"][miner]["points"], points, "{report}");
    }
    for liar in liars {
        liar.await.unwrap();
    }
    drop((server, honest));
    retraining.assert_served(&model["digest"]);

    let genome = format!("--genome={}", retraining.genome);
    let out = retraining.dir.join("a.safetensors");
    let exported = export(&retraining.run, &["--retrained", &genome], &out);
    let out = retraining.dir.join("b.safetensors");
    assert_eq!(export(&retraining.served, &[], &out), exported);
    let mut alone = genomaster();
    alone.arg("retrain").arg(&retraining.run);
    let printed = succeeded(alone.args([&genome, "--epochs=6"]).output().unwrap());
    let accuracy = exported.test_accuracy.unwrap();
    assert!(
        printed.contains(&format!("digits: {accuracy} % after 6")),
        "{printed}"
    );
    assert_eq!(retraining.retrained()["digest"], model["digest"]);

    let mut show = genomaster();
    let shown = succeeded(show.arg("show").arg(&retraining.served).output().unwrap());
    assert!(
        shown.contains(&format!("test        {accuracy} %")),
        "{shown}"
    );
    assert!(!shown.contains("validation"), "{shown}");
    let report = read(retraining.served.join("report.html"));
    assert!(report.contains(r#""measured_on":"test""#));
    assert!(read(retraining.run.join("report.html")).contains(r#""epochs":6,"test_accuracy""#));
    std::fs::remove_dir_all(retraining.dir).unwrap();
}

#[test]
fn a_signed_retraining_goes_on_after_a_restart() {
    let retraining = Retraining::new("retraining-signed");
    let wallets = Wallets(retraining.dir.join("wallets"));
    for name in ["genomaster", "validator", "ada", "bob", "cleo"] {
        wallets.make(name);
    }
    let wallet = wallets.flags("genomaster");
    let mut flags: Vec<&str> = wallet.iter().map(String::as_str).collect();
    flags.push("--epochs=60");
    let mut server = Server::spawn(&mut retraining.serve(0, &flags));
    let (port, url) = (server.port(), server.url.clone());
    let miners = ["ada", "bob", "cleo"];
    let miners = miners.map(|name| Process::start(&mut wallets.miner(&url, name)));
    wait_until("a training is in progress", || {
        let journal = call(&server, "GET", "/v1/journal", "", "").body;
        journal.contains(r#"\"event\":\"heartbeat\""#)
    });
    server.process.kill();
    assert!(!retraining.served.join("front.json").exists());
    server = Server::spawn(&mut retraining.serve(port, &flags));
    let model = retraining.retrained();
    let report = succeeded(
        wallets
            .validator(&url, &["--retrain=1/1"])
            .output()
            .unwrap(),
    );
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(
        (&report["retrained"], &report["wrong"]),
        (&1.into(), &Value::Array(vec![]))
    );
    drop((server, miners));
    retraining.assert_served(&model["digest"]);
    assert_eq!(model["recipe"]["validation_images"], 0);
    std::fs::remove_dir_all(retraining.dir).unwrap();
}

#[test]
fn flags_that_a_retraining_does_not_have_are_refused() {
    let retraining = Retraining::new("retraining-flags");
    let refuses = |more: &[&str]| refused(&mut retraining.serve(0, more));
    for flag in [
        "--population=4",
        "--data=digits",
        "--seed=3",
        "--validation-images=5",
        "--legacy",
    ] {
        let error = refuses(&["--unsigned", flag]);
        assert!(error.contains("cannot be used with"), "{flag}: {error}");
    }
    let error = refuses(&["--unsigned", "--epochs=0"]);
    assert!(error.contains("epochs is 0"), "{error}");
    let error = refuses(&["--unsigned", "--genome=0"]);
    assert!(error.contains("bits"), "{error}");
    let mut plain = genomaster();
    plain.args([
        "serve",
        "--unsigned",
        "--listen=127.0.0.1:0",
        "--genome=knee",
    ]);
    let error = refused(&mut plain);
    assert!(error.contains("--retrain <RUN>"), "{error}");
    // Nothing was created.
    assert!(!retraining.served.exists());
    let chosen_by_test = ["--validation-images=0"];
    let error = refused(&mut search(&retraining.dir.join("other"), &chosen_by_test));
    assert!(
        error.contains("validation-images is 0 in a search of 12 networks"),
        "{error}"
    );
    std::fs::remove_dir_all(retraining.dir).unwrap();
}
