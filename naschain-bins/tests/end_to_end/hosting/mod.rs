//! A genomaster with many runs: `genomaster serve --home`.

mod access;
mod cluster;
mod openapi;
mod pages;
mod runs;
mod sign_in;
mod uploads;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use naschain_identity::Hotkey;
use serde_json::Value;

use crate::programs::wallets::Wallets;
use crate::programs::{Process, Server, folder, genomaster, miner, succeeded, wait_until};

/// A search of a few seconds.
const SHORT: [&str; 4] = [
    "--epochs=1",
    "--population=4",
    "--generations=2",
    "--lease-seconds=3",
];

/// The folder of a genomaster with many runs, and of its users' tokens.
struct Home {
    dir: PathBuf,
    wallets: Option<Wallets>,
    /// The flags of what several genomasters share.
    shared: Vec<String>,
    environment: Vec<(String, String)>,
}

impl Home {
    fn new(test: &str) -> Home {
        Home {
            dir: folder(test),
            wallets: None,
            shared: Vec::new(),
            environment: Vec::new(),
        }
    }

    /// One whose requests of miners are signed.
    fn signed(test: &str) -> Home {
        let mut home = Home::new(test);
        let wallets = Wallets(home.dir.join("wallets"));
        wallets.make("genomaster");
        home.wallets = Some(wallets);
        home
    }

    fn path(&self) -> PathBuf {
        self.dir.join("home")
    }

    /// Adds a user and keeps the token.
    fn add(&self, name: &str, more: &[&str]) -> String {
        let mut command = genomaster();
        command.args(["user", "add", name]).args(more);
        command.args(
            self.shared
                .iter()
                .filter(|flag| flag.starts_with("--store")),
        );
        let added = command.arg("--home").arg(self.path()).output().unwrap();
        let token = succeeded(added).trim().to_owned();
        std::fs::write(self.token_file(name), &token).unwrap();
        token
    }

    fn token_file(&self, user: &str) -> PathBuf {
        self.dir.join(format!("{user}.token"))
    }

    fn serve(&self, port: u16, more: &[&str]) -> Server {
        self.serve_in(&self.path(), port, more)
    }

    /// A genomaster with its home in this folder.
    fn serve_in(&self, folder: &Path, port: u16, more: &[&str]) -> Server {
        let mut command = genomaster();
        command.arg("serve").arg("--home").arg(folder);
        command.args(&self.shared).envs(self.environment.clone());
        match &self.wallets {
            Some(wallets) => command.args(wallets.flags("genomaster")),
            None => command.arg("--unsigned"),
        };
        command.arg(format!("--listen=127.0.0.1:{port}")).args(more);
        Server::spawn(command.stdout(Stdio::piped()))
    }

    /// A command of a user.
    fn user(&self, server: &Server, user: &str, args: &[&str]) -> Command {
        let mut command = genomaster();
        command.args(args).args(["--genomaster", &server.url]);
        command.arg("--token-file").arg(self.token_file(user));
        command
    }

    /// Begins a run and returns its id.
    fn submit(&self, server: &Server, user: &str, args: &[&str]) -> String {
        let mut command = self.user(server, user, &["submit"]);
        let output = command.args(SHORT).args(args).output().unwrap();
        let printed = succeeded(output);
        printed.lines().next().unwrap().to_owned()
    }

    /// A run as its user sees it.
    fn status(&self, server: &Server, user: &str, run: &str) -> Value {
        let shown = self.user(server, user, &["status", run, "--json"]).output();
        serde_json::from_str(&succeeded(shown.unwrap())).unwrap()
    }

    fn wait_for(&self, server: &Server, user: &str, run: &str, state: &str) {
        wait_until(&format!("run {run} is {state}"), || {
            self.status(server, user, run)["state"] == state
        });
    }

    fn run_dir(&self, run: &str) -> PathBuf {
        self.path().join("runs").join(run)
    }

    fn miner(&self, server: &Server, name: &str) -> Process {
        let mut command = miner();
        command.args(["--genomaster", &server.url]);
        match &self.wallets {
            Some(wallets) => command.args(wallets.flags(name)),
            None => command.args(["--name", name]),
        };
        Process::start(&mut command)
    }

    /// Starts miners; where requests are signed, each with a new hotkey.
    fn miners(&self, server: &Server, names: &[&str]) -> Vec<Process> {
        let start = |name: &&str| {
            if let Some(wallets) = &self.wallets {
                wallets.make(name);
            }
            self.miner(server, name)
        };
        names.iter().map(start).collect()
    }

    /// A hotkey, made unless it is there.
    fn hotkey(&self, name: &str) -> Hotkey {
        let wallets = self.wallets.as_ref().unwrap();
        wallets.load(name).unwrap_or_else(|| wallets.make(name))
    }
}

/// Verifies the journal of a run.
fn audit(run: &Path) {
    let audited = genomaster().arg("audit").arg(run).output().unwrap();
    succeeded(audited);
}
