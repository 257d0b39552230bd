//! Several genomasters that share a PostgreSQL database and files.

use std::path::PathBuf;

use naschain_bins::JournalPlace;
use serde_json::Value;
use sqlx::{Connection, Executor, PgConnection};

use super::Home;
use crate::operations::stores::postgres;
use crate::programs::{Server, genomaster, read, succeeded, wait_until};

/// A database of its own on the tests' server, and its URL; `None` if there is no server.
async fn database(name: &str) -> Option<String> {
    let JournalPlace::Postgres(url) = postgres()? else {
        return None;
    };
    let mut server = PgConnection::connect(&url).await.unwrap();
    let name = name.replace('-', "_");
    for statement in [
        format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
        format!("CREATE DATABASE {name}"),
    ] {
        server.execute(statement.as_str()).await.unwrap();
    }
    let (before, _) = url.rsplit_once('/').unwrap();
    Some(format!("{before}/{name}"))
}

/// A home whose genomasters share a database and a folder; `None` if there is no PostgreSQL server.
fn shared_home(test: &str) -> Option<Home> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = runtime.block_on(database(test))?;
    let mut home = Home::signed(test);
    let files = home.dir.join("files");
    std::fs::create_dir(&files).unwrap();
    home.shared = vec![
        format!("--store={store}"),
        format!("--files={}", files.display()),
    ];
    Some(home)
}

fn member_dir(home: &Home, number: usize) -> PathBuf {
    home.dir.join(format!("home-{number}"))
}

fn serve_member(home: &Home, number: usize) -> Server {
    home.serve_in(&member_dir(home, number), 0, &[])
}

/// Number of runs in the folder of a genomaster, which are those that it has led.
fn led_by(home: &Home, number: usize) -> usize {
    let runs = std::fs::read_dir(member_dir(home, number).join("runs"));
    runs.map_or(0, Iterator::count)
}

#[test]
fn runs_are_spread_over_genomasters_and_move_when_one_is_killed() {
    let Some(home) = shared_home("hosting-cluster") else {
        return;
    };
    home.add("ada", &["--admin"]);
    home.add("bob", &[]);
    let mut members: Vec<Server> = (0..3).map(|number| serve_member(&home, number)).collect();
    let mut runs = Vec::new();
    for seed in 1..=6 {
        let user = ["ada", "bob"][seed % 2];
        let seed = format!("--seed={seed}");
        // Through any of them.
        let server = &members[runs.len() % 3];
        let run = home.submit(server, user, &["--generations=3", &seed]);
        runs.push((user, run));
    }
    wait_until("each leads some runs", || {
        (0..3).all(|number| led_by(&home, number) >= 2)
    });
    let _miners = home.miners(&members[1], &["m1", "m2", "m3"]);
    let ended = |server: &Server| -> u64 {
        let ended = |(user, run): &(&str, String)| {
            let status = home.status(server, user, run);
            status["progress"]["ended"].as_u64().unwrap_or(0)
        };
        runs.iter().map(ended).sum()
    };
    wait_until("some jobs have ended", || ended(&members[1]) > 6);
    members[0].process.kill();
    // Each of the others answers for all runs.
    for (user, run) in &runs {
        home.wait_for(&members[1], user, run, "finished");
        assert_eq!(home.status(&members[2], user, run)["progress"]["ended"], 12);
    }
    // Files are there from whichever genomaster they are asked for.
    let (user, run) = &runs[0];
    for (number, server) in members.iter().enumerate().skip(1) {
        let out = home.dir.join(format!("fetched-{number}"));
        let mut fetch = home.user(server, user, &["fetch", run]);
        succeeded(fetch.arg("--out").arg(&out).output().unwrap());
        let front: Value = serde_json::from_str(&read(out.join("front.json"))).unwrap();
        assert!(!front.as_array().unwrap().is_empty());
        assert!(!out.join("secret").exists());
        let mut audit = genomaster();
        audit.arg("audit").arg(&out).arg(&home.shared[0]);
        succeeded(audit.output().unwrap());
    }
    let (user, run) = &runs[1];
    let deleted = home
        .user(&members[2], user, &["change", run, "delete"])
        .output();
    assert_eq!(succeeded(deleted.unwrap()), "deleted\n");
    let listed = home.user(&members[1], "ada", &["status"]).output();
    assert_eq!(succeeded(listed.unwrap()).lines().count(), 5);
}
