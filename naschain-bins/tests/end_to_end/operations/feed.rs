//! The event stream: complete after any reconnect, the same for all readers, and without answers of
//! open jobs.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use crate::programs::folder;
use naschain_bins::{Access, Authenticator, Coordinator, JournalPlace, router};
use naschain_run::Entry;
use serde_json::Value;

/// A genomaster in this process, and its address.
async fn serve(dir: &Path) -> (std::sync::Arc<Coordinator>, String) {
    let spec = crate::operations::simulated::spec(4, 4, 3);
    let coordinator = Coordinator::open(JournalPlace::of_run(dir), spec)
        .await
        .unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let auth = Authenticator::new(Access::default(), coordinator.nonces());
    let router = router(coordinator.clone(), auth.into(), None);
    tokio::spawn(async move { axum::serve(listener, router).await });
    (coordinator, address)
}

/// The first public entries, read in parts, and the number of the last one.
pub(crate) async fn public_entries(coordinator: &Coordinator, limit: usize) -> (Vec<Entry>, u64) {
    let mut entries: Vec<Entry> = Vec::new();
    loop {
        let after = entries.last().map_or(0, |entry| entry.number);
        let part = coordinator.public_entries(after, limit - entries.len());
        let part = part.await.unwrap();
        entries.extend(part.entries);
        if !part.more || entries.len() == limit {
            return (entries, part.last);
        }
    }
}

struct Reader(BufReader<TcpStream>);

/// Identifier and data.
type ReceivedEvent = (String, Value);

impl Reader {
    fn connect(address: &str, last_id: Option<&str>) -> Reader {
        let mut stream = TcpStream::connect(address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let last_id = last_id.map_or(String::new(), |id| format!("Last-Event-ID: {id}\r\n"));
        write!(
            stream,
            "GET /v1/events HTTP/1.1\r\nHost: x\r\n{last_id}\r\n"
        )
        .unwrap();
        let mut reader = Reader(BufReader::new(stream));
        let status = reader.line();
        assert!(status.contains("200"), "{status}");
        let head: Vec<String> = std::iter::repeat_with(|| reader.line())
            .take_while(|line| !line.is_empty())
            .map(|line| line.to_lowercase())
            .collect();
        // Makes nginx forward events without buffering.
        let unbuffered = |line: &String| line == "x-accel-buffering: no";
        assert!(head.iter().any(unbuffered), "{head:?}");
        reader
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        assert!(
            self.0.read_line(&mut line).unwrap() > 0,
            "the event stream ended"
        );
        line.trim_end().to_owned()
    }

    /// The next event; skips chunk sizes.
    fn next(&mut self) -> ReceivedEvent {
        let mut id = String::new();
        loop {
            let line = self.line();
            if let Some(found) = line.strip_prefix("id: ") {
                id = found.to_owned();
            }
            if let Some(data) = line.strip_prefix("data: ") {
                return (id, serde_json::from_str(data).unwrap());
            }
        }
    }

    fn until_finished(mut self) -> Vec<ReceivedEvent> {
        let mut all = Vec::new();
        loop {
            let event = self.next();
            let last = event.1["type"] == "finished";
            all.push(event);
            if last {
                return all;
            }
        }
    }
}

/// Reads all events, with a new connection after every `piece` of them.
fn in_pieces(address: &str, piece: usize) -> Vec<ReceivedEvent> {
    let mut all: Vec<ReceivedEvent> = Vec::new();
    loop {
        let last = all.last().map(|(id, _)| id.clone());
        let mut reader = Reader::connect(address, last.as_deref());
        for _ in 0..piece {
            all.push(reader.next());
            if all.last().unwrap().1["type"] == "finished" {
                return all;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_reader_gets_everything_once_however_often_it_reconnects() {
    let dir = folder("feed");
    let (coordinator, _) = serve(&dir).await;
    crate::operations::simulated::mine(&coordinator, 4, 8)
        .await
        .unwrap();
    // A genomaster that was restarted in between sends the same.
    coordinator.close().await.unwrap();
    let (again, address_again) = serve(&dir).await;
    crate::operations::simulated::mine(&again, 4, 100)
        .await
        .unwrap();
    let address = address_again;
    let last = tokio::task::spawn_blocking({
        let address = address.clone();
        move || Reader::connect(&address, None).until_finished()
    });
    let all = last.await.unwrap();
    let pieces = tokio::task::spawn_blocking(move || in_pieces(&address, 5));
    assert_eq!(pieces.await.unwrap(), all);
    check(&all);
    again.close().await.unwrap();
    std::fs::remove_dir_all(dir).unwrap();
}

/// Asserts that the events are complete and in order.
fn check(all: &[ReceivedEvent]) {
    let count = |kind: &str| {
        all.iter()
            .filter(|(_, event)| event["type"] == kind)
            .count()
    };
    assert_eq!((count("batch_opened"), count("verdict")), (16, 16));
    assert_eq!((count("seat_taken"), count("answered")), (48, 48));
    assert_eq!((count("progress"), count("generation")), (48, 4));
    assert!(count("front_changed") > 0 && count("miner_joined") >= 4);
    let mut open: BTreeMap<u64, usize> = BTreeMap::new();
    for (id, event) in all {
        let job = event["batch"].as_u64();
        match event["type"].as_str().unwrap() {
            "batch_opened" => drop(open.insert(job.unwrap(), 0)),
            "answered" => *open.get_mut(&job.unwrap()).unwrap() += 1,
            "verdict" => {
                assert_eq!(open.remove(&job.unwrap()), Some(3));
                assert_eq!(event["rows"].as_array().unwrap().len(), 3);
                assert_eq!(event["rows"][0]["reason"], "agreed");
                continue;
            }
            "front_changed" => continue,
            _ => {}
        }
        // Measurements are published only for jobs that have ended.
        assert!(!event.to_string().contains("accuracy"), "{id}: {event}");
    }
    assert!(open.is_empty());
    let mut ids: Vec<_> = all.iter().map(|(id, _)| id.clone()).collect();
    ids.dedup();
    assert_eq!(ids.len(), all.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn live_and_late_readers_get_the_same_events() {
    let dir = folder("feed-live");
    let (coordinator, address) = serve(&dir).await;
    let read = |address: String| {
        tokio::task::spawn_blocking(move || Reader::connect(&address, None).until_finished())
    };
    let readers = [read(address.clone()), read(address.clone())];
    let pieces = tokio::task::spawn_blocking({
        let address = address.clone();
        move || in_pieces(&address, 2)
    });
    crate::operations::simulated::mine(&coordinator, 4, 100)
        .await
        .unwrap();
    let late = read(address.clone()).await.unwrap();
    for reader in readers {
        assert_eq!(reader.await.unwrap(), late);
    }
    assert_eq!(pieces.await.unwrap(), late);
    coordinator.close().await.unwrap();
    std::fs::remove_dir_all(dir).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_public_journal_ends_before_answers_of_open_jobs() {
    let dir = folder("feed-journal");
    let (coordinator, address) = serve(&dir).await;
    crate::operations::simulated::mine(&coordinator, 2, 0)
        .await
        .unwrap();
    let take = async |number| {
        let miner = crate::operations::simulated::miner(number);
        let reply = coordinator
            .request(&miner, Duration::ZERO, None)
            .await
            .unwrap();
        let naschain_run::JobReply::Job(job) = reply else {
            panic!()
        };
        (miner, job)
    };
    let (ada, first) = take(0).await;
    let before = coordinator.with_state(|state| state.events()).await;
    let row = crate::operations::simulated::answer(coordinator.spec(), &first);
    coordinator
        .submit(&ada, first.lease, row, None)
        .await
        .unwrap();
    take(1).await;
    let (entries, last) = public_entries(&coordinator, 1_000).await;
    assert_eq!((entries.len() as u64, last), (before, before));
    assert!(
        entries
            .iter()
            .all(|entry| !entry.event.contains("accuracy"))
    );
    crate::operations::simulated::mine(&coordinator, 4, 100)
        .await
        .unwrap();
    let all = coordinator.with_state(|state| state.events()).await;
    let (entries, last) = public_entries(&coordinator, 10_000).await;
    assert_eq!((entries.len() as u64, last), (all, all));
    let audit = tokio::task::spawn_blocking(move || {
        let mut audit = crate::programs::genomaster();
        audit.args(["audit", "--json", &format!("http://{address}")]);
        crate::programs::succeeded(audit.output().unwrap())
    });
    let report: Value = serde_json::from_str(&audit.await.unwrap()).unwrap();
    assert_eq!(
        (&report["events"], &report["batches"]),
        (&all.into(), &16.into())
    );
    assert_eq!(report["faults"], Value::Array(vec![]));
    coordinator.close().await.unwrap();
    std::fs::remove_dir_all(dir).unwrap();
}
