//! Programs that sign: a whole run, its journal, replayed requests, and secrets in logs.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::process::Command;

use crate::programs::wallets::{Wallets, fake_btcli, join};
use crate::programs::{Process, Server, folder, genomaster, read, succeeded, text, wait_until};
use naschain_bins::{JournalPlace, read_spec, unix_nanos as now};
use naschain_consensus::Event;
use naschain_identity::Hotkey;
use naschain_run::Proof;
use serde_json::Value;

#[tokio::test]
async fn a_signed_run_is_verified_from_its_rows_and_its_journal() {
    let dir = folder("signed");
    let (run, wallets) = (dir.join("run"), Wallets(dir.join("wallets")));
    let names = ["genomaster", "ada", "bob", "eve", "validator"];
    let keys = BTreeMap::from(names.map(|name| (name, wallets.make(name))));
    let list = dir.join("allowed");
    let line = |name: &str| format!("{} {name}\n", keys[name].address());
    std::fs::write(&list, ["ada", "bob", "eve"].map(line).concat()).unwrap();
    let list = format!("--allow-list={}", list.display());
    let start =
        |port, name| Server::spawn(&mut logged(wallets.serve(&run, port, &[&list]), &dir, name));
    let mut server = start(0, "genomaster");
    let url = server.url.clone();

    check_refusals(&dir, &wallets, &keys, &url);
    let _miners = ["ada", "bob", "eve"].map(|name| {
        let mut command = logged(wallets.miner(&url, name), &dir, name);
        Process::start(command.arg("--name").arg(name))
    });
    // Signed requests are accepted as before after the genomaster was killed and restarted.
    let closed = || read(run.join("history.jsonl")).lines().count();
    wait_until("three jobs have ended", || closed() >= 3);
    let port = server.port();
    server.process.kill();
    server = start(port, "genomaster-again");
    wait_until("the front is written", || run.join("front.json").exists());

    check_validation(&dir, &wallets, &keys, &url);
    drop(server);
    check_journal(&run, keys["genomaster"].address()).await;
    no_secrets(&dir, &wallets, &names);
    std::fs::remove_dir_all(dir).unwrap();
}

/// The command, which writes a complete log into the folder.
fn logged(mut command: Command, dir: &Path, name: &str) -> Command {
    let log = File::create(dir.join(format!("{name}.log"))).unwrap();
    command.env("RUST_LOG", "trace").stderr(log);
    command
}

/// Miners without a hotkey, or not on the list, get an error that says so.
fn check_refusals(dir: &Path, wallets: &Wallets, keys: &BTreeMap<&str, Hotkey>, url: &str) {
    let mut nobody = crate::programs::miner();
    let nobody = nobody
        .args(["--genomaster", url, "--name=x"])
        .env("HOME", dir)
        .output()
        .unwrap();
    assert_eq!(nobody.status.code(), Some(2));
    assert!(
        text(&nobody.stderr).contains("accepts only signed requests"),
        "{nobody:?}"
    );
    let stranger = wallets.miner(url, "validator").output().unwrap();
    assert!(
        text(&stranger.stderr).contains("is not on the allow-list"),
        "{stranger:?}"
    );
    let pinned = format!("--genomaster-hotkey={}", keys["bob"].address());
    let other = wallets.miner(url, "ada").arg(pinned).output().unwrap();
    assert!(
        text(&other.stderr).contains(&format!("not {}", keys["bob"].address())),
        "{other:?}"
    );
}

/// Validates the run and sets weights, which fails once.
fn check_validation(dir: &Path, wallets: &Wallets, keys: &BTreeMap<&str, Hotkey>, url: &str) {
    let called = || read(dir.join("called"));
    let path = fake_btcli(dir);
    let uids = dir.join("uids");
    let line = |(uid, name): (usize, &&str)| format!("{} {}\n", keys[*name].address(), uid + 5);
    std::fs::write(
        &uids,
        ["ada", "bob", "eve"]
            .iter()
            .enumerate()
            .map(line)
            .collect::<String>(),
    )
    .unwrap();
    let out = dir.join("weights");
    let (uids, weights) = (
        format!("--uids={}", uids.display()),
        format!("--weights-out={}", out.display()),
    );
    let validate = || {
        let more = [&uids, &weights, "--btcli", "--netuid=31", "--network=test"];
        let mut command = logged(wallets.validator(url, &more), dir, "validator");
        command.env("PATH", &path).output().unwrap()
    };
    std::fs::write(dir.join("refuse"), "").unwrap();
    assert!(!validate().status.success());
    std::fs::remove_file(dir.join("refuse")).unwrap();
    let report: Value = serde_json::from_str(&succeeded(validate())).unwrap();
    assert_eq!(
        (&report["batches"], &report["accepted"]),
        (&12.into(), &12.into())
    );
    assert_eq!(
        (&report["signed_rows"], &report["unsigned_rows"]),
        (&36.into(), &0.into())
    );
    for empty in ["forged", "disputed"] {
        assert_eq!(report[empty], Value::Array(vec![]));
    }
    assert_eq!(
        (&report["history"], &report["epochs"]),
        (&Value::Null, &3.into())
    );
    for name in ["ada", "bob", "eve"] {
        assert_eq!(report["miners"][keys[name].address()]["weight"], 65_535);
    }
    let record: Value = serde_json::from_str(&read(out.join("epoch-000003.json"))).unwrap();
    assert_eq!(record["uids"], serde_json::json!([5, 6, 7]));
    assert_eq!(record["batches"], 12);
    let all = format!(
        "weights set --netuid 31 --uids 5,6,7 --weights 65535,65535,65535 --wallet w --wallet-hotkey validator --wallet-path {} --network test --yes\n",
        wallets.0.display()
    );
    assert_eq!(called(), all.repeat(2));
    // Weights are not set twice.
    succeeded(validate());
    assert_eq!(called(), all.repeat(2));
}

/// Every event of the journal is proven, except those of the genomaster itself.
async fn check_journal(run: &Path, genomaster_address: &str) {
    let spec = read_spec(&run.join("run.json")).unwrap();
    let mut store = JournalPlace::of_run(run).read(spec.digest()).await.unwrap();
    let entries = store.entries(0, 10_000).await.unwrap();
    store.close().await.unwrap();
    let mut answers = 0;
    for entry in entries {
        let event: Event = serde_json::from_str(&entry.event).unwrap();
        let Some(proof) = entry.proof else {
            let own = matches!(
                event,
                Event::Tick | Event::Reveal { .. } | Event::Received { .. }
            );
            assert!(own, "{event:?} is not proven");
            continue;
        };
        let proof = Proof::parse(&proof).unwrap();
        proof.check(&event, &spec.request_rules()).unwrap();
        assert_eq!(proof.receiver, genomaster_address);
        answers += usize::from(matches!(event, Event::Submit { .. }));
    }
    assert_eq!(answers, 36);
    let audit = succeeded(
        genomaster()
            .arg("audit")
            .arg(run)
            .arg("--json")
            .output()
            .unwrap(),
    );
    let audit: Value = serde_json::from_str(&audit).unwrap();
    assert_eq!(audit["unsigned"], 0, "{audit}");
    assert!(audit["signed"].as_u64().unwrap() >= 36, "{audit}");
}

/// Asserts that no log and no file in the run's folder contains a secret of any wallet.
fn no_secrets(dir: &Path, wallets: &Wallets, names: &[&str]) {
    let mut searched = 0;
    for name in names {
        let wallet: Value =
            serde_json::from_str(&read(wallets.0.join("w/hotkeys").join(name))).unwrap();
        for field in ["privateKey", "secretSeed"] {
            let secret = &wallet[field].as_str().unwrap()[2..];
            let bytes: Vec<u8> = (0..secret.len() / 2)
                .map(|at| u8::from_str_radix(&secret[2 * at..2 * at + 2], 16).unwrap())
                .collect();
            for entry in std::fs::read_dir(dir)
                .unwrap()
                .chain(std::fs::read_dir(dir.join("run")).unwrap())
            {
                let path = entry.unwrap().path();
                if !path.is_file() {
                    continue;
                }
                let content = std::fs::read(&path).unwrap();
                // Half of a secret must not appear either, nor its bytes.
                for part in [
                    &secret.as_bytes()[..32],
                    &bytes[..16],
                    format!("{:?}", &bytes[..8])
                        .trim_end_matches(']')
                        .as_bytes(),
                ] {
                    assert!(
                        !content.windows(part.len()).any(|window| window == part),
                        "{} has the {field} of {name} in it",
                        path.display()
                    );
                }
                searched += usize::from(
                    path.extension().is_some_and(|end| end == "log") && !content.is_empty(),
                );
            }
        }
    }
    // Six programs wrote logs, and each was searched for two secrets of each of five wallets.
    assert_eq!(searched, 6 * 2 * 5);
}

#[test]
fn a_replayed_request_is_refused_also_after_a_restart() {
    let dir = folder("replay");
    let (run, wallets) = (dir.join("run"), Wallets(dir.join("wallets")));
    let (genomaster, ada) = (wallets.make("genomaster"), wallets.make("ada"));
    let mut server = Server::spawn(&mut wallets.serve(&run, 0, &["--no-exam"]));
    let port = server.port();
    // Both would be stale after half a minute; a restart takes a second.
    let (early, ahead) = (now(), now() + 1_900_000_000);
    for nonce in [early, ahead] {
        let first = join(&server, &run, &genomaster, &ada, nonce);
        assert!(first.starts_with("HTTP/1.1 204"), "{first}");
        let again = join(&server, &run, &genomaster, &ada, nonce);
        assert!(again.contains("replayed_request"), "{again}");
    }
    server.process.kill();
    server = Server::spawn(&mut wallets.serve(&run, port, &["--no-exam"]));
    let again = join(&server, &run, &genomaster, &ada, early);
    assert!(again.contains("before this genomaster started"), "{again}");
    let again = join(&server, &run, &genomaster, &ada, ahead);
    // On a slow machine the restart may take longer than the clock was ahead.
    let slow = again.contains("before this genomaster started");
    assert!(again.contains("replayed_request") || slow, "{again}");
    let new = join(&server, &run, &genomaster, &ada, now());
    assert!(new.starts_with("HTTP/1.1 204"), "{new}");
    std::fs::remove_dir_all(dir).unwrap();
}
