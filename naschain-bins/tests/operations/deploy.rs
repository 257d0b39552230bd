//! The examples of config files, as the programs read them.

use std::process::Command;

use crate::programs::{folder, genomaster, text};

fn example(name: &str) -> String {
    format!("{}/../deploy/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_examples_name_flags_that_there_are() {
    // With --help nothing starts, and all flags are looked up before.
    let mut serve = genomaster();
    serve.args(["--config", &example("genomaster.toml"), "serve", "--help"]);
    let mut miner = Command::new(env!("CARGO_BIN_EXE_miner"));
    miner.args(["--config", &example("miner.toml"), "--help"]);
    for mut command in [serve, miner] {
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
}

#[test]
fn a_wrong_key_ends_with_exit_code_2_and_its_name_and_logs_can_be_json() {
    let dir = folder("config");
    let file = dir.join("flags.toml");
    std::fs::write(&file, "lsten = \"127.0.0.1:0\"").unwrap();
    let mut serve = genomaster();
    let output = serve.arg("serve").arg("--config").arg(&file).output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(2));
    let error = text(&output.stderr);
    assert!(
        error.contains("lsten is no flag of `genomaster serve`"),
        "{error}"
    );

    let run = dir.join("run");
    let flags = crate::programs::SMALL.map(|flag| flag.trim_start_matches("--"));
    let mut toml = format!("log-format = \"json\"\nrun = {run:?}\nmode = \"surrogate\"\n");
    for flag in flags {
        let (name, value) = flag.split_once('=').unwrap();
        let number = value.parse::<f64>().is_ok();
        if name != "mode" {
            toml += &match number {
                true => format!("{name} = {value}\n"),
                false => format!("{name} = {value:?}\n"),
            };
        }
    }
    std::fs::write(&file, toml).unwrap();
    let mut search = genomaster();
    search
        .args(["search", "--mode=nsga2", "--config"])
        .arg(&file);
    search.env("RUST_LOG", "info");
    let output = search.output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    for line in text(&output.stderr).lines() {
        let log: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(
            log["level"].is_string() && log["message"].is_string(),
            "{log}"
        );
    }
    let alone = dir.join("alone");
    crate::programs::succeeded(crate::programs::search(&alone, &[]).output().unwrap());
    let front = |run: &std::path::Path| crate::programs::read(run.join("front.json"));
    assert!(front(&run).len() > 100);
    assert_eq!(front(&run), front(&alone));
    std::fs::remove_dir_all(dir).unwrap();
}
