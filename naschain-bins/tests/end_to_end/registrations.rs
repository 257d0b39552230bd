//! With `--netuid` only hotkeys that are registered on the subnet may mine.

use std::path::Path;
use std::process::Command;

use naschain_bins::{Client, ClientError, Credentials, Joined, read_spec};
use naschain_consensus::{MinerId, Row};
use naschain_core::Digest;
use naschain_identity::{Hotkey, ss58};
use naschain_run::{JobReply, ProblemKind};

use crate::chain::{Chain, Key, NETUID};
use crate::node::Node;
use crate::programs::wallets::Wallets;
use crate::programs::{
    Process, Server, eventually, folder, genomaster, refused, succeeded, wait_until,
};

/// A miner of a test: its client, and its hotkey's address and public key.
struct Signer {
    client: Client,
    name: MinerId,
    key: Key,
}

fn signer(url: &str, hotkey: Hotkey) -> Signer {
    let (name, key) = (hotkey.address().parse(), ss58::decode(hotkey.address()));
    let credentials = Credentials {
        hotkey: Some(hotkey),
        ..Credentials::default()
    };
    Signer {
        client: Client::with(url, credentials).unwrap(),
        name: name.unwrap(),
        key: key.unwrap(),
    }
}

impl Signer {
    async fn join(&self, run: Digest) -> Result<Joined, ClientError> {
        self.client.join(&self.name, run).await
    }
}

fn serve(wallets: &Wallets, run: &Path, url: &str, netuid: u16) -> Command {
    let flags = [
        format!("--chain={url}"),
        format!("--netuid={netuid}"),
        "--no-exam".to_owned(),
        // No seat of the test is lost for being late.
        "--lease-seconds=60".to_owned(),
    ];
    wallets.serve(run, 0, &flags.each_ref().map(String::as_str))
}

/// The node comes only after the genomaster, loses one registration, and goes away.
#[test]
fn who_is_not_registered_gets_no_job() {
    let dir = folder("registered");
    let wallets = Wallets(dir.join("wallets"));
    wallets.make("genomaster");
    let run_dir = dir.join("run");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let [ada, bob, eve] = [1, 2, 3].map(|seed| Hotkey::from_seed(&[seed; 32]));
    let keys = [&ada, &bob].map(|hotkey| ss58::decode(hotkey.address()).unwrap());
    runtime.block_on(async {
        let mut node = Node::start(Chain::new([0xa5; 32], &keys)).await;
        node.stop().await;
        let server = Server::spawn(&mut serve(&wallets, &run_dir, &node.url(), NETUID));
        let run = read_spec(&run_dir.join("run.json")).unwrap().digest();
        let [ada, bob, eve] = [ada, bob, eve].map(|hotkey| signer(&server.url, hotkey));
        let early = ada.join(run).await;
        assert!(
            matches!(&early, Err(ClientError::Unavailable(reason)) if reason.contains("have not been read")),
            "{early:?}"
        );

        node.start_again().await;
        let joined = eventually(async || ada.join(run).await.ok()).await;
        assert_eq!(joined, Joined::Admitted);
        let stranger = eve.join(run).await.unwrap_err();
        assert!(stranger.is(&ProblemKind::NotRegistered), "{stranger}");
        let expected = format!("hotkey {} is not registered on subnet {NETUID}", eve.name);
        assert!(stranger.to_string().contains(&expected), "{stranger}");
        let reply = ada.client.request(&ada.name, run, 5_000).await.unwrap();
        let JobReply::Job(job) = reply else {
            panic!("{reply:?}");
        };

        // Eve takes Ada's place on the subnet.
        node.shared.chain.lock().unwrap().replace(0, eve.key);
        node.shared.advance(5);
        let joined = eventually(async || eve.join(run).await.ok()).await;
        assert_eq!(joined, Joined::Admitted);
        for refused in [
            ada.join(run).await.map(drop),
            ada.client.request(&ada.name, run, 0).await.map(drop),
        ] {
            assert!(refused.unwrap_err().is(&ProblemKind::NotRegistered));
        }
        let (name, lease) = (&ada.name, job.lease);
        ada.client.heartbeat(name, run, lease, 1).await.unwrap();
        let row = Row::Failed("by a test".to_owned());
        ada.client.submit(name, run, lease, &row).await.unwrap();

        // The last reading stays in force.
        node.stop().await;
        assert_eq!(bob.join(run).await.unwrap(), Joined::Admitted);
        let gone = ada.join(run).await.unwrap_err();
        assert!(gone.is(&ProblemKind::NotRegistered), "{gone}");
    });
    let mut audit = genomaster();
    let audited = succeeded(audit.arg("audit").arg(&run_dir).output().unwrap());
    assert!(!audited.is_empty());
    std::fs::remove_dir_all(dir).unwrap();
}

/// By the programs, with the examination; and a subnet that does not exist.
#[test]
fn a_registered_miner_trains_and_another_ends_with_the_reason() {
    let dir = folder("registered-miners");
    let wallets = Wallets(dir.join("wallets"));
    wallets.make("genomaster");
    let (ada, eve) = (wallets.make("ada"), wallets.make("eve"));
    let run_dir = dir.join("run");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let keys = [ss58::decode(ada.address()).unwrap()];
    let node = runtime.block_on(Node::start(Chain::new([0xa5; 32], &keys)));
    let missing = refused(&mut serve(&wallets, &dir.join("missing"), &node.url(), 8));
    assert!(missing.contains("there is no subnet 8"), "{missing}");

    let chain = [format!("--chain={}", node.url()), "--netuid=7".to_owned()];
    let flags = chain.each_ref().map(String::as_str);
    let server = Server::spawn(&mut wallets.serve(&run_dir, 0, &flags));
    let _ada = Process::start(&mut wallets.miner(&server.url, "ada"));
    let metrics = || crate::programs::call(&server, "GET", "/metrics", "", "").body;
    wait_until("ada has a lease", || {
        metrics().contains("naschain_actions_total{kind=\"leased\"}")
    });
    assert!(metrics().contains("naschain_registered_hotkeys 1\n"));
    let refused = refused(&mut wallets.miner(&server.url, "eve"));
    let expected = format!("hotkey {} is not registered on subnet 7", eve.address());
    assert!(refused.contains(&expected), "{refused}");
    drop(server);
    std::fs::remove_dir_all(dir).unwrap();
}
