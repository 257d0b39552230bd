//! One training for many names: the settings of a run are public, so anybody can run the same search
//! offline. In a signed run its answers are wrong, because the training seeds are secret.

use std::collections::BTreeMap;

use naschain_bins::read_spec;
use naschain_consensus::JobId;
use naschain_core::Digest;
use naschain_run::{EndedJob, Job, JobReply, RunSecret};
use serde_json::Value;

use crate::programs::wallets::Wallets;
use crate::programs::{Process, Server, folder, read, search, succeeded, wait_until};

fn ended_jobs(history: &str) -> Vec<EndedJob> {
    let lines = history.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The digests that the miners agreed on, by genome.
fn digests(jobs: &[EndedJob]) -> BTreeMap<String, Digest> {
    let agreed = jobs.iter().filter_map(|job| {
        let consensus = job.verdict.consensus?;
        Some((job.genome.to_string(), consensus.digest))
    });
    agreed.collect()
}

#[test]
fn an_offline_search_does_not_know_the_answers_of_a_signed_run() {
    let dir = folder("precomputed");
    let wallets = Wallets(dir.join("wallets"));
    for name in ["genomaster", "ada", "bob", "eve"] {
        wallets.make(name);
    }
    let run = dir.join("run");
    let server = Server::spawn(&mut wallets.serve(&run, 0, &[]));
    let start = |name: &str| Process::start(&mut wallets.miner(&server.url, name));
    let _miners = ["ada", "bob", "eve"].map(start);
    wait_until("the front is written", || run.join("front.json").exists());

    succeeded(search(&dir.join("offline"), &[]).output().unwrap());
    let offline = digests(&ended_jobs(&read(dir.join("offline/history.jsonl"))));
    let jobs = ended_jobs(&read(run.join("history.jsonl")));
    let known = digests(&jobs);
    let in_both: Vec<_> = known.keys().filter(|g| offline.contains_key(*g)).collect();
    assert!(!in_both.is_empty(), "the first generations are the same");
    for genome in in_both {
        assert_ne!(known[genome], offline[genome], "{genome} was known before");
    }

    // Once the search is finished, everybody can recompute it from the journal alone.
    let spec = read_spec(&run.join("run.json")).unwrap();
    let journal: Value = serde_json::from_str(&get(&server, "/v1/journal?after=0")).unwrap();
    let events = journal["entries"].as_array().unwrap();
    let revealed = events.iter().rev().find_map(|entry| {
        let event: Value = serde_json::from_str(entry["event"].as_str()?).ok()?;
        serde_json::from_value::<Digest>(event.get("secret")?.clone()).ok()
    });
    let secret = RunSecret(revealed.expect("the secret is revealed").0);
    assert_eq!(spec.secret_hash, Some(secret.hash()));
    let front: Value = serde_json::from_str(&read(run.join("front.json"))).unwrap();
    for member in front.as_array().unwrap() {
        assert_eq!(member["digest"], member["model_digest"], "{member}");
    }
    drop(server);
    let mut command = crate::programs::genomaster();
    let audited = command.arg("audit").arg(&run).arg("--json").output();
    succeeded(audited.unwrap());
    std::fs::remove_dir_all(dir).unwrap();
}

fn get(server: &Server, path: &str) -> String {
    crate::programs::call(server, "GET", path, "", "").body
}

/// The seed of a job is told to its miners, and is that of no other job.
#[test]
fn every_job_has_its_own_seed() {
    let secret = RunSecret([7; 32]);
    let seeds: std::collections::BTreeSet<u64> = (0..1_000)
        .map(|job| secret.training_seed(JobId(job)))
        .collect();
    assert_eq!(seeds.len(), 1_000);
    let job = |seed: &str| {
        let text = format!(
            "{{\"state\":\"job\",\"run\":\"{}\",\"batch\":1,\"lease\":1,\"genome\":\"0101\",\"lease_ms\":9{seed}}}",
            "00".repeat(32)
        );
        serde_json::from_str::<JobReply>(&text).unwrap()
    };
    let seed_of = |reply: JobReply| match reply {
        JobReply::Job(Job { training_seed, .. }) => training_seed,
        other => panic!("{other:?}"),
    };
    assert_eq!(seed_of(job("")), None);
    assert_eq!(seed_of(job(",\"training_seed\":5")), Some(5));
}
