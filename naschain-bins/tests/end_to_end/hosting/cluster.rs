//! Several genomasters that share a PostgreSQL database and files.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use naschain_bins::JournalPlace;
use serde_json::Value;
use sqlx::{Connection, PgConnection};

use super::Home;
use super::uploads::{append, authorised, begin, first_genome, info, pictures, tar_of};
use crate::operations::stores::postgres;
use crate::programs::{
    Process, Server, call, database, genomaster, read, refused, skipped, succeeded, wait_until,
};

/// A home whose genomasters share a database and a folder; `None` if there is no PostgreSQL server.
fn shared_home(test: &str) -> Option<Home> {
    let JournalPlace::Postgres(url) = postgres()? else {
        return None;
    };
    let store = database(&url, test);
    let mut home = Home::signed(test);
    let files = home.dir.join("files");
    std::fs::create_dir(&files).unwrap();
    home.shared = vec![
        format!("--store={store}"),
        format!("--files={}", files.display()),
    ];
    Some(home)
}

/// A server with the interface of S3 that has a bucket `naschain`; `None` if it is not installed.
fn s3() -> Option<Server> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let program = root.join("target/python/bin/moto_server");
    if !program.is_file() {
        skipped("moto is not in target/python; python/install gets it");
        return None;
    }
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let mut command = Command::new(program);
    command.args(["-H", "127.0.0.1", "-p", &address.port().to_string()]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let server = Server {
        process: Process::start(&mut command),
        url: format!("http://{address}"),
    };
    wait_until("the S3 server listens", || {
        std::net::TcpStream::connect(address).is_ok()
    });
    let made = call(&server, "PUT", "/naschain", FOR_S3, "");
    assert_eq!(made.status, 200, "{}", made.body);
    Some(server)
}

/// What makes the server take a request for one of S3; it verifies no signature.
const FOR_S3: &str = "Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0\r\n";

/// The keys in the bucket.
fn keys(s3: &Server) -> String {
    let listed = call(s3, "GET", "/naschain?list-type=2", FOR_S3, "");
    assert_eq!(listed.status, 200, "{}", listed.body);
    listed.body
}

fn member_dir(home: &Home, number: usize) -> PathBuf {
    home.dir.join(format!("home-{number}"))
}

fn serve_member(home: &Home, number: usize) -> Server {
    home.serve_in(&member_dir(home, number), 0, &[])
}

/// How many runs each genomaster leads.
fn leads(home: &Home) -> Vec<i64> {
    let store = home.shared[0].strip_prefix("--store=").unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let mut server = PgConnection::connect(store).await.unwrap();
        let select = "SELECT COUNT(*) FROM naschain_home.leads GROUP BY genomaster";
        let counts = sqlx::query_scalar(select).fetch_all(&mut server).await;
        counts.unwrap()
    })
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
        let run = home.submit(&members[0], user, &["--generations=3", &seed]);
        runs.push((user, run));
    }
    wait_until("each leads its part", || leads(&home) == [2, 2, 2]);
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

#[test]
fn data_and_models_are_in_a_bucket_that_all_genomasters_read() {
    let Some(mut home) = shared_home("hosting-bucket") else {
        return;
    };
    let Some(s3) = s3() else { return };
    home.shared[1] = "--files=s3://naschain/lab".to_owned();
    let set = |name: &str, value: String| (name.to_owned(), value);
    home.environment = vec![
        set("AWS_ACCESS_KEY_ID", "test".to_owned()),
        set("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
        set("AWS_REGION", "us-east-1".to_owned()),
        set("AWS_ENDPOINT", s3.url.clone()),
    ];
    home.add("ada", &[]);
    let members = [0, 1].map(|number| serve_member(&home, number));
    let dir = home.dir.join("shapes");
    pictures(&dir, 60);
    let data = format!("--data={}", dir.display());
    let runs = ["1", "2"].map(|seed| {
        let seed = format!("--seed={seed}");
        home.submit(&members[0], "ada", &["--image-size=8", &data, &seed])
    });
    wait_until("each leads a run", || leads(&home) == [1, 1]);
    // Miners that ask one get the data of runs that the other leads.
    let _miners = home.miners(&members[1], &["m1", "m2", "m3"]);
    for run in &runs {
        home.wait_for(&members[1], "ada", run, "finished");
        let spec: Value = home.status(&members[0], "ada", run);
        let stored = keys(&s3);
        let digest = spec["data"].as_str().unwrap();
        assert!(
            stored.contains(&format!("lab/data/{digest}.data")),
            "{stored}"
        );
        assert!(
            stored.contains(&format!("lab/runs/{run}/front.json")),
            "{stored}"
        );
        assert!(!stored.contains("received"), "{stored}");
        let out = home.dir.join(format!("fetched-{run}"));
        let mut fetch = home.user(&members[0], "ada", &["fetch", run]);
        succeeded(fetch.arg("--out").arg(&out).output().unwrap());
        let mut predict = genomaster();
        predict.args(["predict", "--genome", &first_genome(&out)]);
        predict.arg(&out).arg(dir.join("square/7.png"));
        succeeded(predict.output().unwrap());
    }
    for (run, server) in runs.iter().zip(&members) {
        let deleted = home
            .user(server, "ada", &["change", run, "delete"])
            .output();
        succeeded(deleted.unwrap());
    }
    let token = authorised(&read(home.token_file("ada")));
    let sets = call(&members[1], "GET", "/v1/data-sets", &token, "");
    let sets: Value = serde_json::from_str(&sets.body).unwrap();
    let path = format!("/v1/data-sets/{}", sets[0]["digest"].as_str().unwrap());
    assert_eq!(call(&members[1], "DELETE", &path, &token, "").status, 204);
    let left = keys(&s3);
    assert!(
        !left.contains("lab/data") && !left.contains("lab/runs"),
        "{left}"
    );
    for number in [0, 1] {
        let runs = std::fs::read_dir(member_dir(&home, number).join("runs")).unwrap();
        assert_eq!(runs.count(), 0, "copies of runs at {number}");
    }
    let mut command = genomaster();
    command.args(["serve", "--listen=127.0.0.1:0", "--home"]);
    command.arg(member_dir(&home, 2)).arg(&home.shared[0]);
    command.arg("--files=s3://nothing/lab");
    command.args(home.wallets.as_ref().unwrap().flags("genomaster"));
    let error = refused(command.envs(home.environment.clone()));
    assert!(error.contains("--files s3://nothing/lab"), "{error}");
}

#[test]
fn an_upload_goes_on_through_any_genomaster() {
    let Some(home) = shared_home("hosting-shared-uploads") else {
        return;
    };
    let token = home.add("ada", &[]);
    let mut members = [0, 1].map(|number| serve_member(&home, number));
    let dir = home.dir.join("shapes");
    pictures(&dir, 60);
    let tar = tar_of(&dir);
    let upload = begin(&members[0], &token, tar.len());
    let id = upload["id"].as_str().unwrap();
    let half = tar.len() / 2;
    wait_until("the genomasters know each other", || {
        let path = format!("/v1/uploads/{id}");
        call(&members[1], "GET", &path, &authorised(&token), "").status == 200
    });
    let sent = append(&members[1], &token, id, 0, &tar[..half]);
    assert_eq!(sent.status, 204, "{}", sent.body);
    let listed = call(&members[1], "GET", "/v1/uploads", &authorised(&token), "");
    assert!(listed.body.contains(id), "{}", listed.body);
    // Only the genomaster that has received it can go on with it.
    members[0].process.kill();
    wait_until("its end is noticed", || {
        let sent = append(&members[1], &token, id, half, &tar[half..]);
        sent.status == 503 && sent.body.contains("goes on when it is back")
    });
    members[0] = serve_member(&home, 0);
    wait_until("it is back", || {
        append(&members[1], &token, id, half, &tar[half..]).status == 204
    });
    wait_until("the data set is stored", || {
        info(&members[1], &token, id)["state"] == "stored"
    });
    // No password, no way between the genomasters.
    for headers in [
        "",
        "X-NASChain-Genomaster: guess\r\nX-NASChain-Client: 10.1.2.3:4\r\n",
    ] {
        let body = r#"{"miner": "m", "wait_ms": 0, "versions": {}}"#;
        let answer = call(&members[1], "POST", "/cluster/assignments", headers, body);
        assert_eq!(answer.status, 404, "{}", answer.body);
    }
}

#[test]
fn the_home_of_one_genomaster_becomes_that_of_several() {
    let Some(mut home) = shared_home("hosting-moved") else {
        return;
    };
    let shared = std::mem::take(&mut home.shared);
    home.add("ada", &[]);
    let server = home.serve(0, &[]);
    let miners = home.miners(&server, &["m1", "m2", "m3"]);
    let dir = home.dir.join("shapes");
    pictures(&dir, 60);
    let data = format!("--data={}", dir.display());
    let ended = home.submit(&server, "ada", &["--image-size=8", &data]);
    home.wait_for(&server, "ada", &ended, "finished");
    let begun = home.submit(&server, "ada", &["--generations=40", "--public"]);
    wait_until("some jobs have ended", || {
        let status = home.status(&server, "ada", &begun);
        status["progress"]["ended"].as_u64().unwrap_or(0) > 4
    });
    drop((miners, server));
    let mut moved = genomaster();
    moved.args(["move-home", "--home"]).arg(home.path());
    moved.arg("--to").arg(member_dir(&home, 0)).args(&shared);
    assert!(succeeded(moved.output().unwrap()).starts_with("2 runs and 1 data set"));
    home.shared = shared;
    let server = serve_member(&home, 0);
    let before = home.status(&server, "ada", &begun);
    let _miners = home.miners(&server, &["m4", "m5", "m6"]);
    wait_until("the run goes on", || {
        let status = home.status(&server, "ada", &begun);
        status["progress"]["ended"].as_u64() > before["progress"]["ended"].as_u64()
    });
    assert!(
        before["progress"]["ended"].as_u64().unwrap() > 4,
        "{before}"
    );
    let out = home.dir.join("fetched");
    let mut fetch = home.user(&server, "ada", &["fetch", &ended]);
    succeeded(fetch.arg("--out").arg(&out).output().unwrap());
    let mut audit = genomaster();
    audit.arg("audit").arg(&out).arg(&home.shared[0]);
    succeeded(audit.output().unwrap());
    let mut remote = genomaster();
    remote.args(["audit", &format!("{}/v1/runs/{begun}", server.url)]);
    assert!(succeeded(remote.output().unwrap()).contains("no faults"));
    // The old home has all that it had, and is not taken for one with a database.
    let error = refused(
        genomaster()
            .args(["serve", "--listen=127.0.0.1:0", "--unsigned", "--home"])
            .arg(home.path())
            .args(&home.shared),
    );
    assert!(
        error.contains("is the home of a genomaster without --store"),
        "{error}"
    );
}

#[test]
fn a_genomaster_that_does_not_fit_the_others_is_refused() {
    let Some(home) = shared_home("hosting-fit") else {
        return;
    };
    let other = shared_home("hosting-other-fit").unwrap();
    let _member = serve_member(&home, 0);
    home.wallets.as_ref().unwrap().make("other");
    let empty = home.dir.join("empty");
    std::fs::create_dir(&empty).unwrap();
    let at = |files: &Path| format!("--files={}", files.display());
    let refused_with = |home: &Home, files: String, hotkey: &str, expected: &str| {
        let mut command = genomaster();
        command.args(["serve", "--listen=127.0.0.1:0", "--home"]);
        command
            .arg(home.dir.join("another"))
            .arg(&home.shared[0])
            .arg(files);
        command.args(home.wallets.as_ref().unwrap().flags(hotkey));
        let error = refused(&mut command);
        assert!(error.contains(expected), "{error}");
    };
    let right = home.dir.join("files");
    let elsewhere = "is not the place that the genomasters with this --store use";
    refused_with(&home, at(&empty), "genomaster", elsewhere);
    refused_with(
        &home,
        at(&home.dir.join("nothing")),
        "genomaster",
        "it must be a folder that exists",
    );
    refused_with(&home, at(&right), "other", "all must have the same");
    let of_others = "belongs to genomasters with another --store";
    refused_with(&other, at(&right), "genomaster", of_others);
}
