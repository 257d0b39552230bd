//! A run in which weak networks are stopped early: a job trains from one rung to the next, and a network
//! that goes on is continued from the checkpoints of its miners.

use std::collections::BTreeMap;

use naschain_run::EndedJob;
use serde_json::Value;

use crate::programs::{
    Process, Server, folder, genomaster, miner, read, search, succeeded, validator, wait_until,
};

const RUNGS: [&str; 3] = ["--epochs=4", "--rungs=1,2", "--population=6"];

fn ended_jobs(run: &std::path::Path) -> Vec<EndedJob> {
    let history = read(run.join("history.jsonl"));
    let jobs = history.lines().map(serde_json::from_str);
    jobs.collect::<Result<_, _>>().unwrap()
}

/// A network that was stopped is not on the front, and is shown with its last accuracy.
fn check_stopped(run: &std::path::Path, by_genome: &BTreeMap<String, Vec<&EndedJob>>) {
    let stopped = by_genome.values().find(|jobs| jobs.len() == 2).unwrap()[1];
    let accuracy = stopped.verdict.consensus.unwrap().accuracy;
    let genome = stopped.genome.to_string();
    let mut show = genomaster();
    show.arg("show").arg(run).args(["--genome", &genome]);
    let shown = succeeded(show.output().unwrap());
    let line = format!("validation  {accuracy} %, stopped after 2 of 4 epochs\n");
    assert!(shown.contains(&line), "{shown}");
    let smallest = genomaster()
        .arg("show")
        .arg(run)
        .arg("--genome=smallest")
        .output();
    let shown = succeeded(smallest.unwrap());
    assert!(!shown.contains("stopped"), "{shown}");
}

fn check_logs(logs: &str) {
    let continued = logs.matches("continuing from another miner's epoch");
    assert!(continued.count() >= 1, "{logs}");
}

#[test]
fn networks_go_on_from_rung_to_rung_and_everybody_agrees() {
    let dir = folder("rungs");
    let run = dir.join("run");
    let server = Server::start_with(&run, 0, &RUNGS);
    // With four, the last seat of a job goes to one that has not trained the network before.
    let log = |name: &str| dir.join(format!("{name}.log"));
    let start = |name| {
        let mut command = miner();
        let log = std::fs::File::create(log(name)).unwrap();
        command.args(["--genomaster", &server.url, "--name", name]);
        Process::start(command.stderr(log))
    };
    let names = ["ada", "bob", "eve", "zoe"];
    let miners = names.map(start);
    wait_until("the front is written", || run.join("front.json").exists());
    let report = validator()
        .args(["--genomaster", &server.url, "--json", "--retrain=1/1"])
        .output();
    let report: Value = serde_json::from_str(&succeeded(report.unwrap())).unwrap();
    assert_eq!(report["disputed"], Value::Array(vec![]), "{report}");
    assert_eq!(report["wrong"], Value::Array(vec![]), "{report}");
    drop(miners);
    drop(server);
    succeeded(genomaster().arg("audit").arg(&run).output().unwrap());

    let jobs = ended_jobs(&run);
    let mut by_genome: BTreeMap<String, Vec<&EndedJob>> = BTreeMap::new();
    for job in &jobs {
        assert!(job.verdict.agreed.iter().all(|agreed| *agreed), "{job:?}");
        let jobs = by_genome.entry(job.genome.to_string());
        jobs.or_default().push(job);
    }
    // 18 networks; half of them go on from each rung.
    let trained = |rungs: usize| {
        by_genome
            .values()
            .filter(|jobs| jobs.len() >= rungs)
            .count()
    };
    assert_eq!((trained(1), jobs.len()), (18, 18 + 9 + 4), "{by_genome:?}");
    assert_eq!((trained(2), trained(3), trained(4)), (9, 4, 0));
    let front: Value = serde_json::from_str(&read(run.join("front.json"))).unwrap();
    for model in front.as_array().unwrap() {
        let genome = model["genome"].as_str().unwrap();
        assert_eq!(by_genome[genome].len(), 3, "{genome} was stopped");
        assert_eq!(model["digest"], model["model_digest"]);
        // It begins later if the miner continued from another one's checkpoint.
        let curve = model["curve"].as_array().unwrap();
        assert_eq!(curve.last().unwrap()["epoch"], 4);
    }

    // At most 13 checkpoints were delivered, and miners that lacked one got it. One that nobody needs any
    // more, because a job was continued in time without it, is not asked for.
    let delivered = std::fs::read_dir(run.join("states")).unwrap().count();
    assert!((1..=9 + 4).contains(&delivered), "{delivered}");
    check_logs(&names.map(|name| read(log(name))).concat());
    check_stopped(&run, &by_genome);

    // A search in one process, with one miner for each network, comes to the same front.
    let alone = dir.join("alone");
    let flags = [
        "--epochs=4",
        "--rungs=1,2",
        "--population=6",
        "--replication=1",
    ];
    succeeded(search(&alone, &flags).output().unwrap());
    let digests = |run: &std::path::Path| -> Vec<Value> {
        let front: Value = serde_json::from_str(&read(run.join("front.json"))).unwrap();
        let models = front.as_array().unwrap().iter();
        models.map(|model| model["digest"].clone()).collect()
    };
    assert_eq!(digests(&run), digests(&alone));
    std::fs::remove_dir_all(dir).unwrap();
}
