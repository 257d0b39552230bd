//! The programs as processes, for end-to-end tests.

pub(crate) mod wallets;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write, stderr};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::time::Duration;

/// A run small enough for a test: 12 genomes, a second of training each at the most.
pub(crate) const SMALL: [&str; 14] = [
    "--mode=nsga2",
    "--nodes=3",
    "--init-channels=4",
    "--epochs=2",
    "--train-images=192",
    "--validation-images=200",
    "--population=4",
    "--generations=3",
    "--seed=5",
    "--phases=2",
    "--batch-size=32",
    "--learning-rate=0.05",
    "--replication=3",
    "--lease-seconds=3",
];

pub(crate) fn genomaster() -> Command {
    Command::new(env!("CARGO_BIN_EXE_genomaster"))
}

static SKIPPED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Says on the screen that a test, or a part of it, was skipped; written past the test harness,
/// which hides what passing tests print.
pub(crate) fn skipped(why: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    let line = format!("SKIPPED {test}: {why}\n");
    // Once, however often the test asks.
    if SKIPPED.lock().unwrap().insert(line.clone()) {
        stderr().write_all(line.as_bytes()).unwrap();
    }
}

/// A new folder for one test.
pub(crate) fn folder(test: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("naschain-{test}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

/// A search with [`SMALL`]'s settings and more.
pub(crate) fn search(out: &Path, more: &[&str]) -> Command {
    let mut command = genomaster();
    command
        .arg("search")
        .args(SMALL)
        .arg("--out")
        .arg(out)
        .args(more);
    command
}

pub(crate) fn succeeded(output: Output) -> String {
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{}\n{out}\n{err}", output.status);
    out
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(crate) fn read(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(&path).unwrap_or_default()
}

/// Waits until `ready` says so; a minute is far more than any of these things take.
pub(crate) fn wait_until(what: &str, mut ready: impl FnMut() -> bool) {
    for _ in 0..600 {
        if ready() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("waited a minute in vain until {what}");
}

/// Waits until `ready` gives something.
pub(crate) async fn eventually<T>(mut ready: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..600 {
        if let Some(found) = ready().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("waited a minute in vain");
}

/// A process that is killed with its test.
pub(crate) struct Process(pub(crate) Child);

impl Process {
    pub(crate) fn start(command: &mut Command) -> Process {
        command.stdin(Stdio::null());
        Process(command.spawn().unwrap())
    }

    pub(crate) fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// An HTTP answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// In lower case.
    pub(crate) head: String,
    pub(crate) body: String,
}

/// One request over a connection of its own; `headers` end with a line break each.
pub(crate) fn call(server: &Server, method: &str, path: &str, headers: &str, body: &str) -> Answer {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head: head.to_lowercase(),
        body: body.to_owned(),
    }
}

/// A new database on a PostgreSQL server, so that runs of tests do not meet.
pub(crate) fn database(url: &str) -> String {
    let name = format!("naschain_{}", std::process::id());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        use sqlx::Connection;
        let mut server = sqlx::PgConnection::connect(url).await.unwrap();
        let create = format!("CREATE DATABASE {name}");
        sqlx::query(&create).execute(&mut server).await.unwrap();
    });
    let (server, _) = url.rsplit_once('/').unwrap();
    format!("{server}/{name}")
}

/// A genomaster that serves [`SMALL`]'s run.
pub(crate) struct Server {
    pub(crate) process: Process,
    pub(crate) url: String,
}

impl Server {
    /// Starts it on `port`, where 0 takes a free one, for miners that do not sign.
    pub(crate) fn start(run: &Path, port: u16) -> Server {
        Server::start_with(run, port, &[])
    }

    /// The same with more flags; with those of a wallet, for miners that sign.
    pub(crate) fn start_with(run: &Path, port: u16, more: &[&str]) -> Server {
        let mut command = genomaster();
        command.arg("serve").args(SMALL);
        if !more.iter().any(|flag| flag.starts_with("--wallet")) {
            command.arg("--unsigned");
        }
        command
            .arg("--run")
            .arg(run)
            .arg(format!("--listen=127.0.0.1:{port}"))
            .args(more)
            .stdout(Stdio::piped());
        Server::spawn(&mut command)
    }

    /// Starts a command that says where it listens.
    pub(crate) fn spawn(command: &mut Command) -> Server {
        let mut process = Process::start(command);
        let stdout = process.0.stdout.take().unwrap();
        let mut lines = BufReader::new(stdout).lines();
        let first = lines.next().unwrap().unwrap();
        let url = first.strip_prefix("listening on ").unwrap().to_owned();
        // Whoever prints to a closed pipe fails: read on for as long as it lives.
        std::thread::spawn(move || lines.for_each(drop));
        Server { process, url }
    }

    pub(crate) fn port(&self) -> u16 {
        self.url.rsplit(':').next().unwrap().parse().unwrap()
    }

    pub(crate) fn miner(&self, name: &str) -> Process {
        let mut command = Command::new(env!("CARGO_BIN_EXE_miner"));
        command.args(["--genomaster", &self.url, "--name", name]);
        Process::start(&mut command)
    }
}
