//! Miners with several jobs at once, and with answers that wait on disk.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use naschain_bins::feed::Message;
use naschain_bins::run_spec::RunSpec;
use naschain_bins::store::Place;
use naschain_consensus::Event;

use crate::programs::{Process, Server, call, folder, wait_until};

fn miner(url: &str, more: &[&str]) -> Process {
    let mut command = Command::new(env!("CARGO_BIN_EXE_miner"));
    Process::start(command.args(["--genomaster", url]).args(more))
}

async fn journal(run: &Path) -> (Vec<Event>, Vec<Message>) {
    let spec = RunSpec::read(&run.join("run.json")).unwrap();
    let mut store = Place::of_run(run).read(spec.digest()).await.unwrap();
    let entries = store.entries(0, 100_000).await.unwrap();
    store.close().await.unwrap();
    let event = |text: &String| serde_json::from_str(text).unwrap();
    let told = entries.iter().filter_map(|entry| entry.feed.as_ref());
    let told = told.flat_map(|text| serde_json::from_str::<Vec<Message>>(text).unwrap());
    (
        entries.iter().map(|entry| event(&entry.event)).collect(),
        told.collect(),
    )
}

#[tokio::test]
async fn a_miner_does_several_jobs_at_once_under_one_name() {
    let dir = folder("jobs");
    let run = dir.join("run");
    let flags = ["--replication=2", "--generations=1", "--population=6"];
    let mut server = Server::start_with(&run, 0, &flags);
    let _ada = miner(&server.url, &["--name=ada", "--jobs=3"]);
    let _bob = miner(&server.url, &["--name=bob", "--device=cpu,cpu"]);
    wait_until("the front is written", || run.join("front.json").exists());
    server.process.kill();
    let (_, told) = journal(&run).await;
    let mut now: BTreeMap<String, usize> = BTreeMap::new();
    let mut most = now.clone();
    for message in told {
        match message {
            Message::SeatTaken { miner, .. } => {
                let jobs = now.entry(miner.to_string()).or_default();
                *jobs += 1;
                let most = most.entry(miner.to_string()).or_default();
                *most = (*most).max(*jobs);
            }
            Message::Answered { miner, .. } | Message::SeatLost { miner, .. } => {
                *now.get_mut(miner.as_str()).unwrap() -= 1;
            }
            _ => {}
        }
    }
    let expected = [("ada".to_owned(), 3), ("bob".to_owned(), 2)];
    assert_eq!(most, BTreeMap::from(expected));
    std::fs::remove_dir_all(dir).unwrap();
}

#[tokio::test]
async fn an_answer_that_could_not_be_sent_is_delivered_by_the_next_process() {
    let dir = folder("unsent");
    let (run, kept) = (dir.join("run"), dir.join("kept"));
    let flags = ["--epochs=60", "--lease-seconds=30"];
    let mut server = Server::start_with(&run, 0, &flags);
    let port = server.port();
    let unsent = format!("--unsent={}", kept.display());
    let mut ada = miner(&server.url, &["--name=ada", &unsent]);
    let told = || call(&server, "GET", "/metrics", "", "").body;
    let leased = "naschain_actions_total{kind=\"leased\"} 1";
    wait_until("ada trains", || told().contains(leased));
    server.process.kill();
    let files = || std::fs::read_dir(&kept).map_or(0, Iterator::count);
    wait_until("the answer is kept", || files() == 1);
    ada.kill();
    assert_eq!(files(), 1);

    let mut server = Server::start_with(&run, port, &flags);
    let _ada = miner(&server.url, &["--name=ada", &unsent]);
    let answered = "naschain_actions_total{kind=\"answered\"}";
    wait_until("it is delivered", || {
        call(&server, "GET", "/metrics", "", "")
            .body
            .contains(answered)
    });
    server.process.kill();
    let (events, _) = journal(&run).await;
    let submit = |event: &&Event| matches!(event, Event::Submit { .. });
    let Some(Event::Submit { lease, .. }) = events.iter().find(submit) else {
        panic!("nothing was delivered")
    };
    assert_eq!(
        lease.0, 1,
        "the answer under the lease of the first process"
    );
    std::fs::remove_dir_all(dir).unwrap();
}
