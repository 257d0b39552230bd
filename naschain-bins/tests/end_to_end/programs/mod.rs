//! The programs as processes, for end-to-end tests.

pub(crate) mod wallets;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write, stderr};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use naschain_bins::{Access, Authenticator, Coordinator, Legacy, router};
use naschain_identity::Hotkey;

/// Flags of a small run: 12 genomes, each trained in at most a second.
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

/// A miner without checkpoints of others: runs with equal settings have equal trainings.
pub(crate) fn miner() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_miner"));
    command.env("XDG_STATE_HOME", state_folder("miner"));
    command.env("XDG_CACHE_HOME", state_folder("miner-cache"));
    command
}

/// A folder of its own for what a program remembers.
fn state_folder(program: &str) -> PathBuf {
    static STARTED: AtomicUsize = AtomicUsize::new(0);
    let number = STARTED.fetch_add(1, Ordering::Relaxed);
    let name = format!("{program}-state-{}-{number}", std::process::id());
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// A validator that remembers nothing of others, because runs with equal settings are the same run.
pub(crate) fn validator() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_validator"));
    command.env("XDG_STATE_HOME", state_folder("validator"));
    command.env("XDG_CACHE_HOME", state_folder("validator-cache"));
    command
}

static SKIPPED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Reports that the current test, or a part of it, was skipped. Writes to stderr directly, because
/// the test harness hides what passing tests print.
pub(crate) fn skipped(reason: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    let line = format!("SKIPPED {test}: {reason}\n");
    // Each message is printed once.
    if SKIPPED.lock().unwrap().insert(line.clone()) {
        stderr().write_all(line.as_bytes()).unwrap();
    }
}

/// Creates an empty temporary folder for one test.
pub(crate) fn folder(test: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("naschain-{test}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

/// `genomaster search` with the flags of [`SMALL`] and `more`.
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

/// Asserts that a program succeeded; returns its standard output.
pub(crate) fn succeeded(output: Output) -> String {
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{}\n{out}\n{err}", output.status);
    out
}

/// Runs a command and asserts that it ends with exit code 2; returns its standard error.
pub(crate) fn refused(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{command:?}");
    text(&output.stderr)
}

/// Flags of a run that the reference network's miners can train: random images in the format of
/// CIFAR-10, which are created in `dir`, and three phases.
pub(crate) fn cifar10(dir: &Path) -> [String; 3] {
    std::fs::create_dir_all(dir).unwrap();
    let names = [
        "data_batch_1",
        "data_batch_2",
        "data_batch_3",
        "data_batch_4",
        "data_batch_5",
    ];
    for name in names.into_iter().chain(["test_batch"]) {
        let mut pixels = vec![0; 100 * 3_073];
        let mut random = blake3::Hasher::new();
        random
            .update(name.as_bytes())
            .finalize_xof()
            .fill(&mut pixels);
        for image in pixels.chunks_mut(3_073) {
            image[0] %= 10;
        }
        std::fs::write(dir.join(format!("{name}.bin")), pixels).unwrap();
    }
    [
        "--data=cifar10".to_owned(),
        format!("--data-dir={}", dir.display()),
        "--phases=3".to_owned(),
    ]
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The text of a file; empty if it does not exist.
pub(crate) fn read(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(&path).unwrap_or_default()
}

/// Waits until `ready` returns true, for at most a minute.
pub(crate) fn wait_until(what: &str, mut ready: impl FnMut() -> bool) {
    for _ in 0..600 {
        if ready() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("timed out after a minute waiting until {what}");
}

/// Waits until `ready` returns a value, for at most a minute.
pub(crate) async fn eventually<T>(mut ready: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..600 {
        if let Some(found) = ready().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("timed out after a minute");
}

/// A process that is killed when this is dropped, so also when its test fails.
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

/// An HTTP response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Status line and headers, in lower case.
    pub(crate) head: String,
    pub(crate) body: String,
}

/// Sends one request over its own connection; each of `headers` ends with CRLF.
pub(crate) fn call(server: &Server, method: &str, path: &str, headers: &str, body: &str) -> Answer {
    let answer = exchange(server, method, path, headers, body);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head: head.to_lowercase(),
        body: if head.to_lowercase().contains("transfer-encoding: chunked") {
            joined_chunks(body)
        } else {
            body.to_owned()
        },
    }
}

/// The content of a body that was sent in chunks.
fn joined_chunks(mut rest: &str) -> String {
    let mut whole = String::new();
    while let Some((length, after)) = rest.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).unwrap();
        whole += &after[..length];
        rest = after[length..].trim_start_matches("\r\n");
    }
    whole
}

/// As [`call`], but returns the response as it was received.
pub(crate) fn exchange(
    server: &Server,
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n{headers}\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    // A picture is no text.
    text(&answer)
}

/// Creates a database for a test on a PostgreSQL server, so that concurrent tests do not interfere.
pub(crate) fn database(url: &str, test: &str) -> String {
    let test = test.replace('-', "_");
    let name = format!("naschain_{test}_{}", std::process::id());
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

/// The routes of a genomaster in this process, with those of the reference network; with a hotkey
/// it requires signatures.
pub(crate) fn legacy_router(coordinator: Arc<Coordinator>, hotkey: Option<Hotkey>) -> Router {
    let access = Access {
        hotkey,
        rate_per_key: 0,
        ..Access::default()
    };
    let auth = Arc::new(Authenticator::new(access, coordinator.nonces()));
    let legacy = Legacy {
        credentials: None,
        auth: auth.clone(),
        uids: 256,
        reports: None,
    };
    router(coordinator, auth, Some(legacy))
}

/// A genomaster that serves the run of [`SMALL`].
pub(crate) struct Server {
    pub(crate) process: Process,
    pub(crate) url: String,
}

impl Server {
    /// Starts it on `port`, or on a free one if that is 0, for miners that do not sign.
    pub(crate) fn start(run: &Path, port: u16) -> Server {
        Server::start_with(run, port, &[])
    }

    /// The same with more flags; if these name a wallet, for miners that sign.
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

    /// Starts a command that prints its address.
    pub(crate) fn spawn(command: &mut Command) -> Server {
        let mut process = Process::start(command);
        let stdout = process.0.stdout.take().unwrap();
        let mut lines = BufReader::new(stdout).lines();
        let first = lines.next().unwrap().unwrap();
        let url = first.strip_prefix("listening on ").unwrap().to_owned();
        // Keeps reading: a program that prints to a closed pipe fails.
        std::thread::spawn(move || lines.for_each(drop));
        Server { process, url }
    }

    pub(crate) fn port(&self) -> u16 {
        self.url.rsplit(':').next().unwrap().parse().unwrap()
    }

    pub(crate) fn miner(&self, name: &str) -> Process {
        let mut command = miner();
        command.args(["--genomaster", &self.url, "--name", name]);
        Process::start(&mut command)
    }
}
