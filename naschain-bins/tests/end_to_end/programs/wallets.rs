//! Programs that sign, signed requests of a test's own, and a stand-in for `btcli`.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use naschain_bins::cli::wallet_args::WalletArgs;
use naschain_identity::{Auth, Hotkey, SignedParts};

use super::{SMALL, Server, genomaster, succeeded};

pub(crate) const MINER: &str = env!("CARGO_BIN_EXE_miner");
pub(crate) const VALIDATOR: &str = env!("CARGO_BIN_EXE_validator");

/// Wallets in one folder, made by `miner keygen`.
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
        let mut command = Command::new(MINER);
        let printed = succeeded(
            command
                .arg("keygen")
                .args(self.flags(hotkey))
                .output()
                .unwrap(),
        );
        let args = WalletArgs {
            path: self.0.clone(),
            name: "w".to_owned(),
            hotkey: hotkey.to_owned(),
        };
        let made = args.load().unwrap();
        assert!(printed.starts_with(made.address()), "{printed}");
        made
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
        let mut command = Command::new(MINER);
        command.args(["--genomaster", url]).args(self.flags(hotkey));
        command
    }

    pub(crate) fn validator(&self, url: &str, more: &[&str]) -> Command {
        let mut command = Command::new(VALIDATOR);
        command
            .args(["--genomaster", url, "--json"])
            .args(self.flags("validator"))
            .args(more);
        command
    }
}

/// A signed join, and its status and body.
pub(crate) fn join(server: &Server, genomaster: &Hotkey, hotkey: &Hotkey, nonce: u64) -> String {
    let body = format!("{{\"miner\":\"{}\"}}", hotkey.address());
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
    let length = body.len();
    let request = format!(
        "POST /v1/join HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    );
    let mut stream = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// A `btcli` that writes down how it is called, and the `PATH` to find it by.
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
