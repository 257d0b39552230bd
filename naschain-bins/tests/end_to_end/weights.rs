//! `validator --chain` and `--no-set-weights`, as programs, with a simulated node.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use naschain_identity::{Hotkey, ss58};
use tokio::runtime::Runtime;

use crate::chain::{Chain, Key, SetWeights};
use crate::node::{Lie, Node};
use crate::programs::wallets::Wallets;
use crate::programs::{Process, Server, folder, read, wait_until};

fn key(hotkey: &Hotkey) -> Key {
    ss58::decode(hotkey.address()).unwrap()
}

/// Serves a run until it is finished.
fn finished_run(wallets: &Wallets, run: &Path) -> Server {
    let server = Server::spawn(&mut wallets.serve(run, 0, &["--no-exam"]));
    let miners = ["ada", "bob", "cleo"];
    let miners = miners.map(|name| Process::start(&mut wallets.miner(&server.url, name)));
    let history = run.join("history.jsonl");
    wait_until("12 jobs have ended", || {
        std::fs::read_to_string(&history).is_ok_and(|text| text.lines().count() == 12)
    });
    drop(miners);
    server
}

/// Makes a block every 20 ms until `ready`.
fn blocks_until(what: &str, node: &Node, mut ready: impl FnMut(&Chain) -> bool) {
    for _ in 0..3_000 {
        node.shared.advance(1);
        if ready(&node.shared.chain.lock().unwrap()) {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("timed out after a minute waiting until {what}");
}

struct Validators {
    wallets: Wallets,
    server: Server,
    node: Node,
    dir: std::path::PathBuf,
}

impl Validators {
    /// Starts the validator, with its folder of the last time.
    fn start(&self, more: &[&str]) -> Process {
        let chain = format!("--chain={}", self.node.url());
        let state = format!("--state={}", self.dir.join("state").display());
        let alive = format!("--alive={}", self.dir.join("alive").display());
        let flags = [chain.as_str(), "--netuid=7", &state, &alive];
        let flags = [&flags[..], more].concat();
        let mut command = self.wallets.validator(&self.server.url, &flags);
        let log = |name: &str| Stdio::from(File::create(self.dir.join(name)).unwrap());
        Process::start(command.stdout(log("out")).stderr(log("log")))
    }

    fn sets(&self) -> Vec<SetWeights> {
        self.node.shared.chain.lock().unwrap().sets.clone()
    }
}

fn validators(test: &str, runtime: &Runtime) -> Validators {
    let dir = folder(test);
    let wallets = Wallets(dir.join("wallets"));
    wallets.make("genomaster");
    let hotkeys = ["validator", "ada", "bob", "cleo"].map(|name| key(&wallets.make(name)));
    // The last uid has never worked.
    let keys = [&hotkeys[..], &[[4; 32]]].concat();
    let node = runtime.block_on(Node::start(Chain::new([0xa5; 32], &keys)));
    Validators {
        server: finished_run(&wallets, &dir.join("run")),
        wallets,
        node,
        dir,
    }
}

/// By the health check of the compose files.
fn is_healthy(dir: &Path) -> bool {
    let compose = include_str!("../../../deploy/compose.yml");
    let (_, check) = compose.split_once("bash, -c, \"find ").unwrap();
    let (check, _) = check.split_once("\"]").unwrap();
    let check = check.replace("/var/lib/naschain", &dir.display().to_string());
    let mut bash = Command::new("bash");
    bash.args(["-c", &format!("find {check}")]);
    bash.status().unwrap().success()
}

#[test]
fn weights_are_set_in_each_epoch_also_after_a_restart_while_the_genomaster_is_away() {
    let runtime = Runtime::new().unwrap();
    let mut world = validators("chain-weights", &runtime);
    assert!(!is_healthy(&world.dir));
    let mut validator = world.start(&[]);
    let count = |count: usize| move |chain: &Chain| chain.sets.len() == count;
    blocks_until("weights are set", &world.node, count(1));
    assert!(is_healthy(&world.dir));
    let log = world.dir.join("log");
    blocks_until("it is noticed", &world.node, |_| {
        read(&log).contains("weights were set in block")
    });
    validator.kill();
    world.server.process.kill();
    let mut validator = world.start(&[]);
    blocks_until("they are set again", &world.node, count(2));
    // Nobody can decrypt a commit here.
    world.node.shared.chain.lock().unwrap().commit_reveal = true;
    blocks_until("they are committed", &world.node, count(3));
    blocks_until("the lost commit is noticed", &world.node, |_| {
        read(&log).contains("was not revealed by block")
    });
    validator.kill();

    let sets = world.sets();
    let uids: Vec<u16> = sets[0].weights.iter().map(|(uid, _)| *uid).collect();
    assert_eq!(uids, [1, 2, 3]);
    assert!(
        sets[0]
            .weights
            .iter()
            .any(|(_, weight)| *weight == u16::MAX)
    );
    assert_eq!(sets[1].weights, sets[0].weights);
    let validator_key = world.node.shared.chain.lock().unwrap().hotkeys[0];
    assert!(sets.iter().all(|set| set.hotkey == validator_key));
    assert!(Chain::epoch(sets[0].block) < Chain::epoch(sets[1].block));
    let log = read(&log);
    for expected in ["retrying every 2s", "weights were committed in block"] {
        assert!(log.contains(expected), "{log}");
    }
    std::fs::remove_dir_all(&world.dir).unwrap();
}

#[test]
fn what_would_be_set_is_shown_also_without_a_permit_and_nothing_is_sent() {
    let runtime = Runtime::new().unwrap();
    let world = validators("chain-shown", &runtime);
    world.node.shared.chain.lock().unwrap().permits[0] = false;
    let validator = world.start(&["--no-set-weights"]);
    let out = world.dir.join("out");
    let shown = |text: &str| read(&out).contains(text);
    let (without, due) = (
        "weights of 3 uids would be set at once, once the hotkey has a validator permit: 1: ",
        "weights of 3 uids would be set at once: 1: ",
    );
    blocks_until("they are shown", &world.node, |_| shown(without));
    assert!(!shown(due));
    world.node.shared.chain.lock().unwrap().permits[0] = true;
    blocks_until("they are due", &world.node, |_| shown(due));
    assert!(world.sets().is_empty());
    assert_eq!(*world.node.shared.submitted.lock().unwrap(), 0);
    drop(validator);
    std::fs::remove_dir_all(&world.dir).unwrap();
}

/// Otherwise a node could write lines of its own into the log.
#[test]
fn what_a_node_says_is_one_line_of_the_log() {
    let dir = folder("chain-log");
    let wallets = Wallets(dir.join("wallets"));
    wallets.make("validator");
    let runtime = Runtime::new().unwrap();
    let node = runtime.block_on(Node::start(Chain::new([0xa5; 32], &[[1; 32]])));
    *node.shared.lie.lock().unwrap() = Some(Lie::TwoLines);
    let chain = format!("--chain={}", node.url());
    let state = format!("--state={}", dir.join("state").display());
    let flags = [chain.as_str(), "--netuid=7", &state];
    let mut command = wallets.validator("http://127.0.0.1:1", &flags);
    let log = dir.join("log");
    let validator = Process::start(command.stderr(File::create(&log).unwrap()));
    wait_until("the node has refused", || {
        read(&log).contains("is refused: ")
    });
    assert!(read(&log).contains("is refused: first\\nsecond (code -32000)"));
    drop(validator);
    std::fs::remove_dir_all(dir).unwrap();
}
