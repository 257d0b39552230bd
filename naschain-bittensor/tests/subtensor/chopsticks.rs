//! The node: chopsticks as a child process.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

pub struct Chopsticks {
    child: Child,
    port: u16,
    pub folder: PathBuf,
}

impl Chopsticks {
    pub async fn start(spec: &Path, modules: &Path) -> Chopsticks {
        let name = format!("naschain-subtensor-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let raw = folder.join("raw.json");
        let script = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/subtensor/raw_genesis.mjs"
        );
        let made = Command::new("node")
            .args([Path::new(script), modules, spec, &raw])
            .output()
            .expect("node is installed");
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let config = folder.join("config.yml");
        let text = format!(
            "genesis: {}\nport: {port}\nhost: 127.0.0.1\nbuild-block-mode: Manual\nallow-unresolved-imports: true\n",
            raw.display()
        );
        std::fs::write(&config, text).unwrap();
        let log = std::fs::File::create(folder.join("log")).unwrap();
        let child = Command::new("node")
            .arg(modules.join("@acala-network/chopsticks/chopsticks.cjs"))
            .arg("-c")
            .arg(&config)
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

    pub fn url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.port)
    }
}

impl Drop for Chopsticks {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
