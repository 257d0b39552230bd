//! Runs of several users at one genomaster.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Home, audit};
use crate::programs::{call, genomaster, read, refused, succeeded, text, wait_until};

#[test]
fn miners_train_the_runs_of_several_users_who_fetch_them() {
    let home = Home::new("hosting-runs");
    home.add("ada", &["--admin"]);
    home.add("bob", &[]);
    let server = home.serve(0, &[]);
    let first = home.submit(&server, "ada", &["--name=first"]);
    let second = home.submit(&server, "ada", &["--name=second", "--seed=2"]);
    let third = home.submit(&server, "bob", &["--name=third", "--seed=3"]);
    let _miners = home.miners(&server, &["m1", "m2", "m3"]);
    for (user, run) in [("ada", &first), ("ada", &second), ("bob", &third)] {
        home.wait_for(&server, user, run, "finished");
    }
    // Nobody sees what another has not made public; an administrator sees all.
    let listed = |user: &str| {
        let shown = home.user(&server, user, &["status"]).output().unwrap();
        succeeded(shown)
    };
    assert!(listed("bob").contains("third (bob)"));
    assert!(!listed("bob").contains("ada"), "{}", listed("bob"));
    assert_eq!(listed("ada").lines().count(), 3);

    let out = home.dir.join("fetched");
    let mut fetch = home.user(&server, "bob", &["fetch", &third[..8]]);
    succeeded(fetch.arg("--out").arg(&out).output().unwrap());
    assert!(read(out.join("report.html")).contains("<html"));
    assert!(!out.join("journal.sqlite").exists());
    let model = home.dir.join("model.onnx");
    let mut export = genomaster();
    export.arg("export").arg(&out).arg("--out").arg(&model);
    succeeded(export.output().unwrap());
    // What is not the home's stays.
    let own = home.path().join("runs/digits-seed1");
    std::fs::create_dir_all(&own).unwrap();
    std::fs::write(own.join("journal.sqlite"), "mine").unwrap();
    let front: Value = serde_json::from_str(&read(out.join("front.json"))).unwrap();
    assert!(!front.as_array().unwrap().is_empty());
    let error = refused(&mut home.user(&server, "bob", &["fetch", &first[..8]]));
    assert!(error.contains("there is no run"), "{error}");
    drop(server);
    drop(home.serve(0, &[]));
    assert!(own.join("journal.sqlite").is_file());
    for run in [first, second, third] {
        audit(&home.run_dir(&run));
    }
}

#[test]
fn runs_go_on_after_the_genomaster_was_killed() {
    let home = Home::signed("hosting-killed");
    home.add("ada", &[]);
    let mut server = home.serve(0, &[]);
    let port = server.port();
    let names = ["m1", "m2", "m3"];
    let _miners = home.miners(&server, &names);
    let runs: Vec<String> = ["1", "2"]
        .iter()
        .map(|seed| {
            let seed = format!("--seed={seed}");
            home.submit(&server, "ada", &["--generations=4", &seed])
        })
        .collect();
    for _ in 0..2 {
        let ended = |run: &String| {
            let progress = home.status(&server, "ada", run)["progress"]["ended"].clone();
            progress.as_u64().unwrap_or(0)
        };
        let before: u64 = runs.iter().map(ended).sum();
        wait_until("more jobs have ended", || {
            runs.iter().map(ended).sum::<u64>() > before
        });
        server.process.kill();
        server = home.serve(port, &[]);
    }
    for run in &runs {
        home.wait_for(&server, "ada", run, "finished");
        let history = read(home.run_dir(run).join("history.jsonl"));
        assert_eq!(history.lines().count(), 16, "{history}");
    }
    drop(server);
    runs.iter().for_each(|run| audit(&home.run_dir(run)));
}

#[test]
fn a_run_is_paused_stopped_extended_and_deleted() {
    let home = Home::new("hosting-changes");
    home.add("ada", &["--max-runs=2"]);
    let server = home.serve(0, &[]);
    let change = |run: &str, action: &str| {
        let mut command = home.user(&server, "ada", &["change", run, action]);
        command.output().unwrap()
    };
    let run = home.submit(&server, "ada", &["--generations=3"]);
    assert_eq!(succeeded(change(&run, "pause")), "paused\n");
    let miners = home.miners(&server, &["m1", "m2", "m3"]);
    std::thread::sleep(std::time::Duration::from_secs(2));
    let status = home.status(&server, "ada", &run);
    assert_eq!(status["progress"]["ended"], 0, "{status}");
    let extend = home.user(&server, "ada", &["extend", &run, "--generations=4"]);
    succeeded({ extend }.output().unwrap());
    assert_eq!(succeeded(change(&run, "resume")), "resumed\n");
    home.wait_for(&server, "ada", &run, "finished");
    assert_eq!(home.status(&server, "ada", &run)["progress"]["ended"], 16);
    let again = change(&run, "pause");
    let error = text(&again.stderr);
    assert!(
        error.contains("the run is finished; it cannot be paused"),
        "{error}"
    );

    // Of a run that is stopped the front is that of what has ended.
    let flags = ["--generations=5000", "--seed=2", "--public"];
    let long = home.submit(&server, "ada", &flags);
    wait_until("some jobs have ended", || {
        let status = home.status(&server, "ada", &long);
        status["progress"]["ended"].as_u64().unwrap_or(0) > 4
    });
    // The record that pages read tells of the stop, which is no event of the journal, at once.
    let record = || {
        let path = format!("/v1/runs/{long}/record");
        call(&server, "GET", &path, "", "").body
    };
    assert!(record().contains("\"was_stopped\":false"));
    succeeded(change(&long, "stop"));
    home.wait_for(&server, "ada", &long, "stopped");
    assert!(record().contains("\"was_stopped\":true"));
    let front: Value = serde_json::from_str(&read(home.run_dir(&long).join("front.json"))).unwrap();
    assert!(!front.as_array().unwrap().is_empty());
    drop(miners);

    let one = home.submit(&server, "ada", &["--seed=3"]);
    home.submit(&server, "ada", &["--seed=4"]);
    let mut third = home.user(&server, "ada", &["submit", "--epochs=1", "--seed=5"]);
    let error = refused(&mut third);
    assert!(
        error.contains("ada has 2 runs that have not ended"),
        "{error}"
    );
    assert_eq!(succeeded(change(&one, "delete")), "deleted\n");
    assert!(!home.run_dir(&one).exists());
    succeeded(third.output().unwrap());
    drop(server);
    [run, long].iter().for_each(|run| audit(&home.run_dir(run)));
}

/// Two users with the same weight, one of them with four runs: each gets half of the work.
#[test]
fn users_get_equal_shares_however_many_runs_they_have() {
    let home = Home::new("hosting-shares");
    home.add("ada", &[]);
    home.add("bob", &[]);
    let server = home.serve(0, &[]);
    let long = |seed: u32| format!("--seed={seed}");
    let mut runs: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (user, seed) in [("ada", 1), ("ada", 2), ("ada", 3), ("ada", 4), ("bob", 5)] {
        let flags = ["--generations=500", &long(seed)];
        let run = home.submit(&server, user, &flags);
        runs.entry(user).or_default().push(run);
    }
    let _miners = home.miners(&server, &["m1", "m2", "m3", "m4"]);
    let ended = |user: &str| -> u64 {
        let ended = |run: &String| {
            let status = home.status(&server, user, run);
            status["progress"]["ended"].as_u64().unwrap_or(0)
        };
        runs[user].iter().map(ended).sum()
    };
    wait_until("many jobs have ended", || ended("ada") + ended("bob") > 120);
    let (ada, bob) = (ended("ada") as f64, ended("bob") as f64);
    let jain = (ada + bob).powi(2) / (2.0 * (ada * ada + bob * bob));
    assert!(jain >= 0.95, "{ada} and {bob}: {jain}");
}

#[test]
fn a_validator_follows_all_public_runs() {
    let home = Home::signed("hosting-validator");
    home.add("ada", &[]);
    home.add("bob", &[]);
    let server = home.serve(0, &[]);
    let _miners = home.miners(&server, &["m1", "m2", "m3"]);
    let public = [("ada", "1"), ("bob", "2")].map(|(user, seed)| {
        let run = home.submit(&server, user, &["--public", &format!("--seed={seed}")]);
        (user, run)
    });
    let private = home.submit(&server, "ada", &["--seed=3"]);
    for (user, run) in public
        .iter()
        .map(|(user, run)| (*user, run))
        .chain([("ada", &private)])
    {
        home.wait_for(&server, user, run, "finished");
    }
    let wallets = home.wallets.as_ref().unwrap();
    wallets.make("validator");
    let state = format!("--state={}", home.dir.join("state").display());
    let validated = wallets.validator(&server.url, &[&state]).output().unwrap();
    let reports = succeeded(validated);
    let reports: Vec<Value> = reports
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let mut found: Vec<&str> = reports.iter().map(|r| r["run"].as_str().unwrap()).collect();
    found.sort_unstable();
    let mut expected: Vec<&str> = public.iter().map(|(_, run)| run.as_str()).collect();
    expected.sort_unstable();
    assert_eq!(found, expected);
    for report in &reports {
        let miners = report["miners"].as_object().unwrap();
        assert!(miners.len() >= 3, "{report}");
    }
    let one = format!("--run={}", public[0].1);
    let validated = wallets
        .validator(&server.url, &[&state, &one])
        .output()
        .unwrap();
    assert_eq!(succeeded(validated).lines().count(), 1);
    // A private run cannot be read, with or without a signature.
    let hidden = format!("--run={private}");
    let error = refused(&mut wallets.validator(&server.url, &[&state, &hidden]));
    assert!(
        error.contains("there is no run") || error.contains("403"),
        "{error}"
    );
}

#[test]
fn a_stop_survives_a_kill_and_nothing_is_left_of_deleted_runs() {
    let home = Home::new("hosting-stop");
    home.add("ada", &[]);
    let mut server = home.serve(0, &[]);
    let port = server.port();
    let miners = home.miners(&server, &["m1", "m2", "m3"]);
    let run = home.submit(&server, "ada", &["--generations=5000"]);
    wait_until("some jobs have ended", || {
        let status = home.status(&server, "ada", &run);
        status["progress"]["ended"].as_u64().unwrap_or(0) > 4
    });
    let mut change = home.user(&server, "ada", &["change", &run, "stop"]);
    succeeded(change.output().unwrap());
    let again = refused(&mut change);
    assert!(again.contains("cannot be stopped"), "{again}");
    server.process.kill();
    server = home.serve(port, &[]);
    home.wait_for(&server, "ada", &run, "stopped");
    let ended = home.status(&server, "ada", &run)["progress"]["ended"].clone();
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert_eq!(
        home.status(&server, "ada", &run)["progress"]["ended"],
        ended
    );
    drop(miners);
    let mut delete = home.user(&server, "ada", &["change", &run, "delete"]);
    succeeded(delete.output().unwrap());
    let left = std::fs::read_dir(home.path().join("runs")).unwrap();
    assert_eq!(left.count(), 0);
    // A second genomaster on the same home would lead the same runs.
    let mut second = genomaster();
    second.args(["serve", "--unsigned", "--listen=127.0.0.1:0", "--home"]);
    let error = refused(second.arg(home.path()));
    assert!(error.contains("another genomaster is running"), "{error}");
}

#[test]
fn a_miner_that_is_known_from_one_run_is_introduced_to_the_next() {
    let home = Home::signed("hosting-known-miners");
    home.add("ada", &[]);
    let server = home.serve(0, &[]);
    let port = server.port();
    let miners = home.miners(&server, &["m1", "m2", "m3"]);
    let first = home.submit(&server, "ada", &["--generations=3"]);
    home.wait_for(&server, "ada", &first, "finished");
    // What is known is stored every few seconds, and read again by the next process.
    std::thread::sleep(std::time::Duration::from_secs(6));
    drop(server);
    let server = home.serve(port, &[]);
    let second = home.submit(&server, "ada", &["--seed=2", "--public"]);
    home.wait_for(&server, "ada", &second, "finished");
    drop(miners);
    let path = format!("/v1/runs/{second}/journal?after=0");
    let journal = crate::programs::call(&server, "GET", &path, "", "").body;
    let introduced = journal.matches(r#"\"event\":\"introduce\""#).count();
    assert!((1..=3).contains(&introduced), "{introduced}: {journal}");
    drop(server);
    audit(&home.run_dir(&second));
}

#[test]
fn a_run_ends_when_its_time_is_over() {
    let home = Home::new("hosting-time");
    home.add("ada", &[]);
    let server = home.serve(0, &[]);
    let run = home.submit(&server, "ada", &["--time=2s", "--generations=1000"]);
    let other = home.submit(&server, "ada", &["--time=1h", "--seed=2"]);
    let _miners = home.miners(&server, &["m1", "m2", "m3"]);
    home.wait_for(&server, "ada", &run, "stopped");
    home.wait_for(&server, "ada", &other, "finished");
    let wrong = refused(&mut home.user(&server, "ada", &["submit", "--time=soon"]));
    assert!(wrong.contains("'soon'"), "{wrong}");
}
