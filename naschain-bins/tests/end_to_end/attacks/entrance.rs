//! Names are free, places are not: a hotkey that is new to a signed run trains an examination first.

use std::sync::Arc;
use std::time::Duration;

use naschain_bins::{
    Access, Authenticator, Client, ClientError, Coordinator, Credentials, Exams, Joined,
    JournalPlace, read_spec, router, train_exam,
};
use naschain_consensus::{MinerId, Reputation};
use naschain_core::Digest;
use naschain_identity::Hotkey;
use naschain_run::{Exam, ProblemKind, RunSpec};
use naschain_train::{Dataset, Options};

use crate::operations::simulated;
use crate::programs::wallets::Wallets;
use crate::programs::{Process, Server, folder, read, wait_until};

#[test]
fn a_hotkey_that_does_not_train_gets_no_place() {
    let dir = folder("entrance");
    let wallets = Wallets(dir.join("wallets"));
    for name in ["genomaster", "ada", "bob", "eve"] {
        wallets.make(name);
    }
    let run = dir.join("run");
    let server = Server::spawn(&mut wallets.serve(&run, 0, &[]));
    let digest = read_spec(&run.join("run.json")).unwrap().digest();

    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        for seed in 1..=20 {
            let hotkey = Hotkey::from_seed(&[seed; 32]);
            let miner = hotkey.address().parse().unwrap();
            let credentials = Credentials {
                hotkey: Some(hotkey),
                ..Credentials::default()
            };
            let client = Client::with(&server.url, credentials).unwrap();
            let exam = match client.join(&miner, digest).await {
                Ok(Joined::Examined(exam)) => exam,
                // The first wrong result of this address pauses its examinations.
                Err(ClientError::Unavailable(reason)) if seed > 1 => {
                    assert!(reason.contains("was failed"), "{reason}");
                    continue;
                }
                other => panic!("{other:?}"),
            };
            let work = client.request(&miner, digest, 0).await.unwrap_err();
            assert!(work.is(&ProblemKind::UnknownMiner), "{work}");
            let guess = client.pass_exam(&miner, &exam, Digest([7; 32])).await;
            assert!(guess.unwrap_err().is(&ProblemKind::ExamFailed));
        }
    });
    // Nothing of this is in the journal, and honest miners pass.
    let start = |name: &str| Process::start(&mut wallets.miner(&server.url, name));
    let _miners = ["ada", "bob", "eve"].map(start);
    wait_until("a job has ended", || {
        !read(run.join("history.jsonl")).is_empty()
    });
    let journal = crate::programs::call(&server, "GET", "/v1/journal?after=0", "", "").body;
    for seed in 1..=20 {
        let stranger = Hotkey::from_seed(&[seed; 32]);
        assert!(!journal.contains(stranger.address()));
    }
    drop(server);
    std::fs::remove_dir_all(dir).unwrap();
}

/// A client that signs, and its miner's name.
fn signer(url: &str, seed: u8) -> (Client, MinerId) {
    let hotkey = Hotkey::from_seed(&[seed; 32]);
    let miner = hotkey.address().parse().unwrap();
    let credentials = Credentials {
        hotkey: Some(hotkey),
        ..Credentials::default()
    };
    (Client::with(url, credentials).unwrap(), miner)
}

fn train(exam: &Exam, spec: &RunSpec) -> Digest {
    let trained = train_exam(exam, spec, &Dataset::digits(), Options::default(), || false);
    trained.unwrap().unwrap()
}

/// Joins after an examination; returns that.
async fn enter(client: &Client, miner: &MinerId, spec: &RunSpec) -> (Exam, Digest) {
    let joined = client.join(miner, spec.digest()).await.unwrap();
    let Joined::Examined(exam) = joined else {
        panic!("{miner} is not examined");
    };
    let digest = train(&exam, spec);
    client.pass_exam(miner, &exam, digest).await.unwrap();
    let joined = client.join(miner, spec.digest()).await.unwrap();
    assert_eq!(joined, Joined::Admitted);
    (exam, digest)
}

/// A hotkey whose place was given to another once came back by the pass of its first examination.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_place_costs_another_training() {
    let dir = folder("lost-place");
    let mut spec = simulated::spec(2, 2, 3);
    let mut places = Reputation::default();
    (places.max_miners, places.place_ms) = (1, 1);
    spec.rules.reputation = Some(places);
    let coordinator = Coordinator::open(JournalPlace::of_run(&dir), spec.clone()).await;
    let coordinator = coordinator.unwrap();
    let access = Access {
        hotkey: Some(Hotkey::from_seed(&[99; 32])),
        ..Access::default()
    };
    let data = Arc::new(Dataset::digits());
    let exams = Exams::new(spec.clone(), data, Options::default()).unwrap();
    let auth = Authenticator::new(access, coordinator.nonces()).with_exams(exams);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = router(coordinator.clone(), auth.into(), None);
    let server = tokio::spawn(async move { axum::serve(listener, router).await });

    let ((ada, ada_name), (bob, bob_name)) = (signer(&url, 1), signer(&url, 2));
    let (first, digest) = enter(&ada, &ada_name, &spec).await;
    // It keeps its place when it leaves.
    ada.leave(&ada_name, spec.digest()).await.unwrap();
    let joined = ada.join(&ada_name, spec.digest()).await.unwrap();
    assert_eq!(joined, Joined::Admitted);
    tokio::time::sleep(Duration::from_millis(20)).await;
    enter(&bob, &bob_name, &spec).await;
    let Joined::Examined(second) = ada.join(&ada_name, spec.digest()).await.unwrap() else {
        panic!("{ada_name} has no place and is not examined");
    };
    assert_ne!(second.training_seed, first.training_seed);
    let old = ada.pass_exam(&ada_name, &first, digest).await.unwrap_err();
    assert!(old.is(&ProblemKind::ExamFailed), "{old}");
    server.abort();
    coordinator.close().await.unwrap();
    std::fs::remove_dir_all(dir).unwrap();
}

/// Where there are no examinations, one client once took all places with 100,000 names.
#[test]
fn new_hotkeys_of_a_network_are_limited() {
    let dir = folder("new-hotkeys");
    let wallets = Wallets(dir.join("wallets"));
    wallets.make("genomaster");
    let run = dir.join("run");
    let server = Server::spawn(&mut wallets.serve(&run, 0, &["--no-exam", "--new-hotkeys=3"]));
    let digest = read_spec(&run.join("run.json")).unwrap().digest();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        for seed in 1..=6 {
            let (client, miner) = signer(&server.url, seed);
            let joined = client.join(&miner, digest).await;
            match joined {
                Ok(Joined::Admitted) if seed <= 3 => {}
                Err(ClientError::Unavailable(reason)) if seed > 3 => {
                    let expected = "3 new hotkeys have joined from this machine";
                    assert!(reason.contains(expected), "{reason}");
                }
                other => panic!("{seed}: {other:?}"),
            }
        }
        // Those that have a place may join again.
        let (client, miner) = signer(&server.url, 2);
        assert_eq!(client.join(&miner, digest).await.unwrap(), Joined::Admitted);
    });
    drop(server);
    std::fs::remove_dir_all(dir).unwrap();
}
