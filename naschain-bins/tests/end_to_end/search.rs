//! `genomaster search` as a process: its folder, determinism and interruptions.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::programs::{Process, folder, genomaster, read, refused, search, succeeded, wait_until};
use naschain_train::{Dataset, Model, Options, evaluate};
use serde_json::Value;

/// Genomes and verdicts, without the miners, which may differ from run to run.
fn judged(run: &Path) -> BTreeSet<String> {
    let history = read(run.join("history.jsonl"));
    let line = |line: &str| {
        let job: Value = serde_json::from_str(line).unwrap();
        format!("{} {}", job["genome"], job["verdict"])
    };
    history.lines().map(line).collect()
}

#[test]
#[ignore = "takes 10 to 20 seconds; .ci/run runs it"]
fn the_result_depends_on_the_seed_alone() {
    let dir = folder("seed");
    let (a, b, c) = (dir.join("a"), dir.join("b"), dir.join("c"));
    let printed = succeeded(search(&a, &[]).output().unwrap());
    assert!(printed.contains("validation") && printed.contains(a.to_str().unwrap()));
    succeeded(search(&b, &["--miners=5", "--threads=2"]).output().unwrap());
    succeeded(search(&c, &["--seed=6"]).output().unwrap());
    assert_eq!(judged(&a).len(), 12);
    assert_eq!(judged(&a), judged(&b));
    assert_eq!(read(a.join("front.json")), read(b.join("front.json")));
    assert_ne!(read(a.join("front.json")), read(c.join("front.json")));
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn the_folder_contains_all_that_the_models_need() {
    let dir = folder("models");
    succeeded(search(&dir, &[]).output().unwrap());
    let digits = Dataset::digits();
    let front: Vec<Value> = serde_json::from_str(&read(dir.join("front.json"))).unwrap();
    assert!(!front.is_empty());
    for entry in &front {
        assert_eq!(entry["digest"], entry["model_digest"]);
        let model = dir.join(entry["model"].as_str().unwrap());
        let model = Model::load(&model.join("model.safetensors")).unwrap();
        assert_eq!(model.genome.to_string(), entry["genome"]);
        let (architecture, weights) = (&model.network, &model.weights);
        let options = Options::default();
        let accuracy = evaluate(architecture, weights, &digits, &digits.test, options).unwrap();
        assert_eq!(
            serde_json::to_value(accuracy).unwrap(),
            entry["test_accuracy"]
        );
    }
    let svg = read(dir.join("front.svg"));
    for text in [
        "parameters",
        "FLOPs",
        "validation accuracy",
        // Two epochs of 192 images teach these networks nothing.
        "none better than guessing",
        "</svg>",
    ] {
        assert!(svg.contains(text), "{text}");
    }
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
#[ignore = "takes 10 to 20 seconds; .ci/run runs it"]
fn an_interrupted_search_has_the_same_result() {
    let dir = folder("interrupted");
    let (whole, cut) = (dir.join("whole"), dir.join("cut"));
    succeeded(search(&whole, &[]).output().unwrap());
    for (signal, jobs) in [("-INT", 2), ("-KILL", 5)] {
        let mut command = search(&cut, &[]);
        let mut process = Process::start(command.stdout(Stdio::piped()));
        let closed = || read(cut.join("history.jsonl")).lines().count();
        wait_until("some jobs have ended", || closed() >= jobs);
        let id = process.0.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &id])
                .status()
                .unwrap()
                .success()
        );
        let status = process.0.wait().unwrap();
        let expected = (signal == "-INT").then_some(130);
        assert_eq!(status.code(), expected, "{signal}");
        assert!(
            !cut.join("front.json").exists(),
            "it was over before {signal}"
        );
    }
    succeeded(search(&cut, &[]).output().unwrap());
    assert_eq!(judged(&whole), judged(&cut));
    assert_eq!(read(whole.join("front.json")), read(cut.join("front.json")));
    // Repeated when finished, it prints the same.
    let again = succeeded(search(&cut, &[]).output().unwrap());
    assert!(again.contains("validation"));
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn one_miner_is_enough_where_nobody_has_to_be_checked() {
    let dir = folder("alone");
    let (three, one) = (dir.join("three"), dir.join("one"));
    succeeded(search(&three, &[]).output().unwrap());
    let flags = ["--replication=1", "--miners=2"];
    let printed = succeeded(search(&one, &flags).output().unwrap());
    assert!(printed.contains("12 networks, 2 epochs of 192 images each"));
    assert_eq!(read(three.join("front.json")), read(one.join("front.json")));
    let audit = genomaster().arg("audit").arg(&one).output().unwrap();
    assert!(succeeded(audit).contains("no faults found"));
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn the_short_help_fits_on_two_screens() {
    for command in ["search", "serve"] {
        let help = succeeded(genomaster().args([command, "-h"]).output().unwrap());
        assert!(help.lines().count() <= 80, "{help}");
        let place = |text: &str| help.find(text).unwrap_or_else(|| panic!("{text}: {help}"));
        assert!(place("The data:") < place("Size of the search:"));
        assert!(place("Size of the search:") < place("The networks:"));
        assert!(!help.contains("--drop-path"), "{help}");
        let whole = succeeded(genomaster().args([command, "--help"]).output().unwrap());
        for text in ["--drop-path", "--lease-seconds", "Defaults that depend"] {
            assert!(whole.contains(text), "{text}");
        }
    }
}

#[test]
#[ignore = "takes 10 to 20 seconds; .ci/run runs it"]
fn a_finished_search_is_extended() {
    let dir = folder("extended");
    let (whole, grown) = (dir.join("whole"), dir.join("grown"));
    let generations = |dir: &Path, count: &str| {
        let flags = [count, "--replication=1", "--mode=surrogate"];
        succeeded(search(dir, &flags).output().unwrap())
    };
    generations(&whole, "--generations=4");
    generations(&grown, "--generations=2");
    assert_eq!(judged(&grown).len(), 8);
    generations(&grown, "--generations=4");
    assert_eq!(judged(&whole), judged(&grown));
    assert_eq!(
        read(whole.join("front.json")),
        read(grown.join("front.json"))
    );
    let audit = genomaster().arg("audit").arg(&grown).output().unwrap();
    assert!(succeeded(audit).contains("no faults found"));
    let fewer = refused(&mut search(
        &grown,
        &["--generations=1", "--replication=1", "--mode=surrogate"],
    ));
    assert!(fewer.contains("--generations: 2 then, 1 now"), "{fewer}");
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
#[ignore = "takes 10 to 20 seconds; .ci/run runs it"]
fn a_search_ends_at_its_target_or_its_time() {
    let dir = folder("ends");
    let printed = succeeded(
        search(&dir.join("target"), &["--target=15"])
            .output()
            .unwrap(),
    );
    assert!(printed.contains("ended by --target after "), "{printed}");
    assert!(
        printed.contains("run the command without --target"),
        "{printed}"
    );
    assert!(!printed.contains("after 12 of 12"), "{printed}");
    let listed = succeeded(genomaster().arg("runs").arg(&dir).output().unwrap());
    let line = listed.lines().find(|line| line.starts_with("target"));
    let is_stopped = line.is_some_and(|line| line.contains("stopped") && line.contains(" of 12  "));
    assert!(is_stopped, "{listed}");
    let report = read(dir.join("target/report.html"));
    assert!(report.contains(r#""networks":12,"#) && report.contains(r#""finished_ms":null"#));
    let printed = succeeded(
        search(&dir.join("time"), &["--time=1s", "--epochs=400"])
            .output()
            .unwrap(),
    );
    assert!(printed.contains("ended by --time after "), "{printed}");
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_search_stays_within_its_limits() {
    let dir = folder("limits");
    let run = dir.join("run");
    let limits = [
        "--params-limit=600",
        "--flops-limit=20000",
        "--generations=4",
    ];
    succeeded(search(&run, &limits).output().unwrap());
    let lines = read(run.join("history.jsonl"));
    let mut count = 0;
    for line in lines.lines() {
        let job: serde_json::Value = serde_json::from_str(line).unwrap();
        let measured = &job["verdict"]["consensus"];
        assert!(measured["params"].as_u64().unwrap() <= 600, "{line}");
        assert!(measured["flops"].as_u64().unwrap() <= 20_000, "{line}");
        count += 1;
    }
    assert!(count >= 4, "{count}");
    succeeded(genomaster().arg("audit").arg(&run).output().unwrap());
    let other = refused(&mut search(
        &run,
        &["--params-limit=700", "--generations=4"],
    ));
    assert!(
        other.contains("--params-limit: 600 then, 700 now"),
        "{other}"
    );
    let none = refused(&mut search(&dir.join("none"), &["--params-limit=5"]));
    assert!(
        none.contains("the limits allow too little (max_params: 5)"),
        "{none}"
    );
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn wrong_input_is_named_with_exit_code_2() {
    let dir = folder("wrong");
    let inspect = |args: &[&str]| refused(genomaster().arg("inspect").args(args));
    assert!(inspect(&["010"]).contains("genome has 3 bits; 2 phases of 4 nodes needs 14"));
    assert!(inspect(&["01x"]).contains("'x' at position 2"));
    assert!(inspect(&["1101-0101001001"]).contains("it would be 1101010-1001001"));
    assert!(inspect(&["--nodes=1", "0"]).contains("nodes is 1"));
    assert!(inspect(&["--input=3x32", "0"]).contains("CxHxW"));
    let run = |flag: &str| refused(&mut search(&dir.join("never"), &[flag]));
    assert!(run("--population=1").contains("population"));
    assert!(run("--train-images=1300").contains("1300 training and 200 validation"));
    assert!(
        run("--replication=65").contains("replication is 65; it must be a whole number from 1")
    );
    assert!(run("--run=other").contains("a genomaster has one run"));
    assert!(run("--generations=18446744073709551615").contains("from 1 to 1000000"));
    assert!(run("--miners=2").contains("at least --replication, which is 3"));
    assert!(run("--device=cuda:7").contains("cuda:7"));
    assert!(run("--tolerance=0.123").contains("tolerance is 0.123"));
    assert!(run("--data=imagenet").contains("digits, fashion-mnist"));
    assert!(run("--target=0.9").contains("it is in percent"));
    assert!(run("--phases=5").contains("shrinks below 1x1"));
    assert!(run("--learning-rate=nan").contains("learning-rate is NaN"));
    let apart = |flag, value| refused(search(&dir.join("never"), &[]).args([flag, value]));
    for (flag, value) in [
        ("--learning-rate", "-1"),
        ("--label-smoothing", "-0.1"),
        ("--drop-path", "-0.1"),
        ("--tolerance", "-1"),
    ] {
        let error = apart(flag, value);
        let right = format!("{} is {value}", &flag[2..]);
        assert!(error.contains(&right), "{error}");
    }
    for flag in ["--epochs", "--warmup-epochs"] {
        assert!(apart(flag, "-1").contains("-1 is not in 0.."), "{flag}");
    }
    assert!(!dir.join("never").exists());

    succeeded(search(&dir.join("run"), &[]).output().unwrap());
    let error = refused(&mut search(&dir.join("run"), &["--epochs=3"]));
    assert!(error.contains("--epochs: 2 then, 3 now"), "{error}");
    let mut miner = crate::programs::miner();
    assert!(refused(miner.arg("--genomaster=nowhere")).contains("not the address"));
    let mut validator = crate::programs::validator();
    let error = refused(validator.arg("--genomaster=http://127.0.0.1:1"));
    assert!(error.contains("127.0.0.1:1"), "{error}");
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_search_whose_trainings_all_fail_reports_the_reason() {
    let dir = folder("nothing");
    let error = refused(&mut search(&dir, &["--memory-limit=1", "--generations=1"]));
    assert!(error.contains("none of the 4 networks"), "{error}");
    assert!(error.contains("the limit is 1 MiB"), "{error}");
    assert_eq!(read(dir.join("front.json")), "[]");
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn inspect_computes_the_costs_of_a_published_network() {
    // From NASChain's first published run: 2,765,566 parameters, 374.4687 MFLOPs.
    let genome = "100010110011111110111100011000000100111101001000011111011110011011011011011010101111001010010000000100000010000111101011000100010100001011";
    let flags = [
        "--phases=3",
        "--nodes=10",
        "--input=3x32x32",
        "--init-channels=36",
        "--json",
    ];
    let output = genomaster().arg("inspect").args(flags).arg(genome).output();
    let report: Value = serde_json::from_str(&succeeded(output.unwrap())).unwrap();
    assert_eq!(report["genome"], genome);
    assert_eq!(report["params"], 2_765_566);
    assert_eq!(report["flops"], 374_468_688);
    assert_eq!(report["phases"].as_array().unwrap().len(), 3);
}

#[test]
#[ignore = "takes 10 to 20 seconds; .ci/run runs it"]
fn a_higher_memory_limit_trains_the_networks_that_failed() {
    let dir = folder("more-memory");
    let (whole, failed, some) = (dir.join("whole"), dir.join("failed"), dir.join("some"));
    succeeded(search(&whole, &[]).output().unwrap());

    refused(&mut search(&failed, &["--memory-limit=1"]));
    // A refused search moves nothing.
    let error = refused(&mut search(&failed, &["--seed=6"]));
    assert!(error.contains("--seed: 5 then, 6 now"), "{error}");
    assert!(failed.join("history.jsonl").exists() && !failed.join("earlier-1").exists());
    let printed = succeeded(search(&failed, &[]).output().unwrap());
    assert!(
        printed.contains("12 networks that failed for lack of memory now fit"),
        "{printed}"
    );
    assert_eq!(judged(&failed), judged(&whole));
    assert_eq!(
        read(failed.join("front.json")),
        read(whole.join("front.json"))
    );

    // Wide enough that the networks need different numbers of MiB: only some fit into the limit
    // between the smallest and the largest.
    let wide = ["--init-channels=16", "--generations=1"];
    let whole = dir.join("wide");
    succeeded(search(&whole, &wide).output().unwrap());
    let spec = naschain_bins::read_spec(&whole.join("run.json")).unwrap();
    let history = read(whole.join("history.jsonl"));
    let needs = history.lines().map(|line| {
        let job: naschain_run::EndedJob = serde_json::from_str(line).unwrap();
        let architecture = spec.space.decode(&job.genome).unwrap();
        naschain_train::training_memory_bytes(&architecture, &spec.recipe, 1) >> 20
    });
    let (least, most) = (needs.clone().min().unwrap(), needs.max().unwrap());
    assert!(least < most, "{least} {most}");
    let limit = format!("--memory-limit={}", least + 1);
    let printed = succeeded(search(&some, &[wide[0], wide[1], &limit]).output().unwrap());
    assert!(
        printed.contains("networks have no result") && printed.contains("higher --memory-limit"),
        "{printed}"
    );
    // What has a result is not trained again: a false one stays.
    let history = read(some.join("history.jsonl"));
    let jobs = history
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let trained = jobs
        .filter_map(|job| {
            job["verdict"]["consensus"]["digest"]
                .as_str()
                .map(String::from)
        })
        .next()
        .unwrap();
    let (false_digest, file) = ("ab".repeat(32), some.join("history.jsonl"));
    std::fs::write(&file, history.replace(&trained, &false_digest)).unwrap();
    succeeded(search(&some, &wide).output().unwrap());
    let history = read(&file);
    assert!(history.contains(&false_digest) && !history.contains("MiB of memory"));
    assert_eq!(history.lines().count(), 4);
    std::fs::remove_dir_all(dir).unwrap();
}
