//! The pages of one run, in a real browser: the scripts are in `python/pages`.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::programs::{Server, call, folder, read, search, skipped, succeeded, wait_until};

/// The repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A script that drives a browser, if there is one.
pub(crate) fn browser(script: &str) -> Option<Command> {
    let python = root().join("target/python/bin/python");
    let imports = "import playwright, axe_playwright_python, onnxruntime";
    let has_packages = Command::new(&python).args(["-c", imports]).output();
    if !has_packages.is_ok_and(|output| output.status.success()) {
        skipped("playwright is not in target/python; python/install gets it");
        return None;
    }
    let named = std::env::var_os("CHROMIUM").is_some();
    let has_browser = |name: &str| Command::new(name).arg("--version").output().is_ok();
    if !named
        && !["chromium", "chromium-browser"]
            .into_iter()
            .any(has_browser)
    {
        skipped("chromium was not found; install it, or set CHROMIUM to its path");
        return None;
    }
    let mut command = Command::new(python);
    command.arg(root().join("python/pages").join(script));
    Some(command)
}

#[test]
fn a_page_catches_up_after_its_genomaster_was_killed() {
    let dir = folder("pages-restart");
    let mut server = Server::start(&dir.join("run"), 0);
    let Some(mut script) = browser("restart.py") else {
        return;
    };
    let port = server.port();
    let mut script = script
        .arg(&server.url)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut answers = script.stdin.take().unwrap();
    let mut miners = Vec::new();
    let mut said = String::new();
    for line in BufReader::new(script.stdout.take().unwrap()).lines() {
        said = line.unwrap();
        match said.as_str() {
            "kill" => server.process.kill(),
            "start" => server = Server::start(&dir.join("run"), port),
            "miners" => miners.extend(["a", "b", "c"].map(|name| server.miner(name))),
            _ => continue,
        }
        writeln!(answers, "done").unwrap();
    }
    assert!(script.wait().unwrap().success(), "{said}");
    assert_eq!(said, "the page has caught up");
}

#[test]
fn the_report_of_a_run_works_offline() {
    let dir = folder("pages-report");
    succeeded(search(&dir.join("run"), &[]).output().unwrap());
    let report = dir.join("run/report.html");
    // Nothing in it is loaded from anywhere.
    let html = read(&report);
    assert!(!html.contains("<script src") && !html.contains("<link"));
    let Some(mut script) = browser("offline.py") else {
        return;
    };
    let said = succeeded(script.arg(&report).output().unwrap());
    assert!(said.contains("works offline"), "{said}");
}

#[test]
fn a_search_shows_itself_in_the_browser() {
    let dir = folder("pages-open");
    // Takes the place of the program that opens addresses.
    let opener = dir.join("bin");
    std::fs::create_dir(&opener).unwrap();
    let opened = dir.join("opened");
    for name in ["xdg-open", "gio", "gnome-open", "kde-open", "wslview"] {
        let script = format!(
            "#!/bin/sh\nfor last; do :; done\necho \"$last\" > {}\n",
            opened.display()
        );
        std::fs::write(opener.join(name), script).unwrap();
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(opener.join(name), executable).unwrap();
    }
    let path = format!("{}:{}", opener.display(), std::env::var("PATH").unwrap());
    let mut command = search(&dir.join("run"), &["--open"]);
    let process = crate::programs::Process::start(command.env("PATH", path).stdout(Stdio::null()));
    wait_until("the page is opened", || {
        read_if_any(&opened).ends_with('\n')
    });
    let server = Server {
        process,
        url: read(&opened).trim().to_owned(),
    };
    let page = call(&server, "GET", "/", "Accept: text/html\r\n", "");
    assert!(
        page.status == 200 && page.body.contains("dashboard.js"),
        "{}",
        page.body
    );
    // When the search has ended, the page and its models stay.
    wait_until("the search has ended", || {
        call(&server, "GET", "/v1/front/models", "", "").status == 200
    });
    let result = call(&server, "GET", "/v1/result", "", "");
    assert!(
        result.body.contains("\"state\":\"ended\""),
        "{}",
        result.body
    );
    // Nobody can take part in it or change it.
    let join = call(&server, "POST", "/v1/join", "", "{\"miner\":\"eve\"}");
    assert_eq!(join.status, 404, "{}", join.body);
}

fn read_if_any(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// Node.js, if it is there.
fn node() -> Option<Command> {
    let has_node = Command::new("node").arg("--version").output();
    if !has_node.is_ok_and(|output| output.status.success()) {
        skipped("node was not found; the tests of single scripts need it");
        return None;
    }
    Some(Command::new("node"))
}

/// Tests of single scripts, by the test runner of Node.js.
#[test]
fn scripts_work_alone() {
    let Some(mut node) = node() else { return };
    let mut tests: Vec<PathBuf> =
        std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/web"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.to_str().unwrap().ends_with("_test.mjs"))
            .collect();
    tests.sort();
    assert!(tests.len() > 1);
    succeeded(node.arg("--test").args(tests).output().unwrap());
}

#[test]
fn the_browser_makes_the_same_record_of_the_events_as_the_genomaster() {
    let Some(mut node) = node() else { return };
    let dir = folder("pages-fold");
    let more = ["--epochs=4", "--rungs=1,2", "--population=6"];
    let server = Server::start_with(&dir.join("run"), 0, &more);
    let mut leaving = server.miner("leaving");
    let _miners = ["a", "b", "c"].map(|name| server.miner(name));
    wait_until("a job has ended", || {
        let batches = call(&server, "GET", "/v1/batches", "", "");
        batches.body.contains("verdict")
    });
    leaving.kill();
    wait_until("the run has ended", || {
        call(&server, "GET", "/v1/front/models", "", "").status == 200
    });
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/web/record_fold.mjs");
    let said = succeeded(node.arg(script).arg(&server.url).output().unwrap());
    assert!(said.contains("make the same record"), "{said}");
}

#[test]
fn the_record_and_the_candidates_are_those_of_the_run() {
    let dir = folder("pages-record");
    let server = Server::start(&dir.join("run"), 0);
    let _miners = ["a", "b", "c"].map(|name| server.miner(name));
    let get = |path: &str| -> serde_json::Value {
        let answer = call(&server, "GET", path, "", "");
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    };
    wait_until("the run has ended", || {
        call(&server, "GET", "/v1/front/models", "", "").status == 200
    });
    let (record, batches, front) = (get("/v1/record"), get("/v1/batches"), get("/v1/front"));
    let jobs = record["candidates"]["job"].as_array().unwrap();
    assert_eq!(jobs.len(), batches["batches"].as_array().unwrap().len());
    for ended in batches["batches"].as_array().unwrap() {
        let at = jobs.iter().position(|job| *job == ended["batch"]).unwrap();
        let column = |name: &str| &record["candidates"][name][at];
        assert_eq!(*column("genome"), ended["genome"]);
        assert_eq!(
            *column("accuracy"),
            ended["verdict"]["consensus"]["accuracy"]
        );
        let candidate = get(&format!("/v1/candidates/{}", ended["batch"]));
        assert_eq!(candidate["measurement"], ended["verdict"]["consensus"]);
        assert_eq!(candidate["answers"].as_array().unwrap().len(), 3);
    }
    // The front of the record is that of the run.
    let mut members = std::collections::BTreeSet::new();
    let changes = record["front"]["entered"].as_array().unwrap();
    for (entered, left) in changes
        .iter()
        .zip(record["front"]["left"].as_array().unwrap())
    {
        members.extend(entered.as_array().unwrap().iter().map(ToString::to_string));
        for job in left.as_array().unwrap() {
            members.remove(&job.to_string());
        }
    }
    assert_eq!(members.len(), front.as_array().unwrap().len());
    let seats = get("/v1/record/seats");
    assert_eq!(seats["job"].as_array().unwrap().len(), 3 * jobs.len());
    let miners = get("/v1/miners");
    assert_eq!(miners[0]["agreed"], serde_json::json!(jobs.len()));
    assert_eq!(miners[0]["device"], "cpu");
    for path in [
        "/v1/candidates/999",
        "/v1/candidates/x",
        "/v1/models/1/files/onnx",
    ] {
        assert_eq!(call(&server, "GET", path, "", "").status, 404, "{path}");
    }
    let genome = front[0]["genome"].as_str().unwrap();
    let wrong = call(
        &server,
        "POST",
        &format!("/v1/models/{genome}/predictions"),
        "",
        "no picture",
    );
    assert!(
        wrong.status == 422 && wrong.body.contains("not a PNG"),
        "{}",
        wrong.body
    );
}
