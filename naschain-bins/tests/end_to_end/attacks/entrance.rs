//! Names are free, places are not: a hotkey that is new to a signed run trains an examination first.

use naschain_bins::{Client, ClientError, Credentials, Joined, read_spec};
use naschain_core::Digest;
use naschain_identity::Hotkey;
use naschain_run::ProblemKind;

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
