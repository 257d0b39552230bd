//! Programs that sign, signed requests made by tests, and a fake `btcli`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use naschain_bins::programs::WalletArgs;
use naschain_bins::read_spec;
use naschain_identity::{Auth, Hotkey, SignedParts};

use super::{SMALL, Server, exchange, genomaster, miner, succeeded, validator};

/// Wallets in one folder, created by `miner keygen`.
pub(crate) struct Wallets(pub(crate) PathBuf);

impl Wallets {
    pub(crate) fn flags(&self, hotkey: &str) -> [String; 3] {
        [
            format!("--wallet.path={}", self.0.display()),
            "--wallet.name=w".to_owned(),
            format!("--wallet.hotkey={hotkey}"),
        ]
    }

    pub(crate) fn make(&self, hotkey: &str) -> Hotkey {
        let mut command = miner();
        let printed = succeeded(
            command
                .arg("keygen")
                .args(self.flags(hotkey))
                .output()
                .unwrap(),
        );
        let made = self.load(hotkey).unwrap();
        assert!(printed.starts_with(made.address()), "{printed}");
        made
    }

    /// A hotkey that was made before.
    pub(crate) fn load(&self, hotkey: &str) -> Option<Hotkey> {
        let args = WalletArgs {
            path: self.0.clone(),
            name: "w".to_owned(),
            hotkey: hotkey.to_owned(),
        };
        args.load().ok()
    }

    pub(crate) fn serve(&self, run: &Path, port: u16, more: &[&str]) -> Command {
        let mut command = genomaster();
        command
            .arg("serve")
            .args(SMALL)
            .args(self.flags("genomaster"));
        command
            .arg("--run")
            .arg(run)
            .arg(format!("--listen=127.0.0.1:{port}"));
        command.args(more).stdout(Stdio::piped());
        command
    }

    pub(crate) fn miner(&self, url: &str, hotkey: &str) -> Command {
        let mut command = miner();
        command.args(["--genomaster", url]).args(self.flags(hotkey));
        command
    }

    pub(crate) fn validator(&self, url: &str, more: &[&str]) -> Command {
        let mut command = validator();
        command
            .args(["--genomaster", url, "--json"])
            .args(self.flags("validator"))
            .args(more);
        command
    }
}

/// Sends a signed join of the run in this folder; returns the response as it was received.
pub(crate) fn join(
    server: &Server,
    run: &Path,
    genomaster: &Hotkey,
    hotkey: &Hotkey,
    nonce: u64,
) -> String {
    let run = read_spec(&run.join("run.json")).unwrap().digest();
    let miner = hotkey.address();
    let body = format!("{{\"miner\":\"{miner}\",\"run\":\"{run}\"}}");
    let message = SignedParts {
        method: "POST",
        path: "/v1/join",
        body: body.as_bytes(),
    };
    let auth = Auth::sign(hotkey, message, Some(genomaster.address()), nonce);
    let headers: String = auth
        .headers()
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    exchange(server, "POST", "/v1/join", &headers, &body)
}

/// Creates a `btcli` that logs its arguments; returns the `PATH` on which it is found.
pub(crate) fn fake_btcli(dir: &Path) -> String {
    use std::os::unix::fs::PermissionsExt;
    let bin = dir.join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    let script = format!(
        "#!/bin/sh\necho \"$@\" >> {}\n[ ! -e {} ]\n",
        dir.join("called").display(),
        dir.join("refuse").display()
    );
    std::fs::write(bin.join("btcli"), script).unwrap();
    std::fs::set_permissions(bin.join("btcli"), std::fs::Permissions::from_mode(0o755)).unwrap();
    format!("{}:{}", bin.display(), std::env::var("PATH").unwrap())
}

/// Sends a signed GET of `path`, which is signed as `signed_path`; returns the response as it was
/// received.
pub(crate) fn signed_get(
    server: &Server,
    genomaster: &Hotkey,
    hotkey: &Hotkey,
    path: &str,
    signed_path: &str,
) -> String {
    let message = SignedParts {
        method: "GET",
        path: signed_path,
        body: b"",
    };
    let nonce = naschain_bins::unix_nanos();
    let auth = Auth::sign(hotkey, message, Some(genomaster.address()), nonce);
    let lines = auth.headers().into_iter();
    let headers: String = lines
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    exchange(server, "GET", path, &headers, "")
}
