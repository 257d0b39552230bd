//! The node: chopsticks as a child process.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

pub(crate) struct Chopsticks {
    child: Child,
    port: u16,
    pub(crate) folder: PathBuf,
}

impl Chopsticks {
    pub(crate) async fn start(spec: &Path, modules: &Path) -> Chopsticks {
        let name = format!("naschain-subtensor-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let script = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/subtensor/chopsticks.mjs"
        );
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let log = std::fs::File::create(folder.join("log")).unwrap();
        let child = Command::new("node")
            .args([Path::new(script), modules, spec, &folder.join("raw.json")])
            .arg(port.to_string())
            .stdout(Stdio::from(log.try_clone().unwrap()))
            .stderr(Stdio::from(log))
            .spawn()
            .expect("node is installed");
        let chopsticks = Chopsticks {
            child,
            port,
            folder,
        };
        for _ in 0..180 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return chopsticks;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let log = std::fs::read_to_string(chopsticks.folder.join("log"));
        panic!("chopsticks does not listen within 3 minutes: {log:?}");
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.port)
    }
}

impl Drop for Chopsticks {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let last = lines.len().saturating_sub(60);
            println!("chopsticks said at last:\n{}", lines[last..].join("\n"));
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
