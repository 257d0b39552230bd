//! The journal on every kind of store: entries are read as written, and changes are detected.

use crate::operations::stores::{places, postgres, tamper};
use crate::programs::folder;
use naschain_bins::{Journal, JournalPlace};
use naschain_consensus::{Event, Millis};
use naschain_core::Digest;
use naschain_run::Proof;

/// A run for each test, so that they can share a server.
fn run(test: &str) -> Digest {
    let name = format!("{test}-{}", std::process::id());
    Digest(*blake3::hash(name.as_bytes()).as_bytes())
}

type Proven = (Millis, Event, Option<Proof>);

fn events() -> Vec<Proven> {
    let miner = |name: &str| name.parse().unwrap();
    let proof = Some(Proof {
        method: "POST".to_owned(),
        path: "/v1/jobs".to_owned(),
        body: "{}".to_owned(),
        nonce: 1,
        receiver: "r".to_owned(),
        hotkey: "a".to_owned(),
        signature: "0x".to_owned(),
    });
    vec![
        (Millis(1), Event::Join { miner: miner("a") }, None),
        (Millis(1), Event::Request { miner: miner("a") }, proof),
        (Millis(9), Event::Tick, None),
        (Millis(9), Event::Join { miner: miner("b") }, None),
    ]
}

async fn write(place: &JournalPlace, run: Digest) {
    let mut journal = Journal::lead(place, run).await.unwrap().unwrap();
    for (number, (now, event, proof)) in events().iter().enumerate() {
        journal.append(*now, event, proof.as_ref()).unwrap();
        journal.set_feed(format!("[{number}]"));
        if number != 1 {
            journal.commit().await.unwrap();
        }
    }
    journal.close().await.unwrap();
}

async fn read(place: &JournalPlace, run: Digest) -> anyhow::Result<Vec<Proven>> {
    let mut journal = Journal::lead(place, run).await?.unwrap();
    let mut events = Vec::new();
    loop {
        let page = journal.read_next(3).await;
        match page {
            Ok(page) if page.is_empty() => break,
            Ok(page) => events.extend(page),
            Err(error) => {
                journal.close().await?;
                return Err(error);
            }
        }
    }
    journal.close().await?;
    Ok(events)
}

#[tokio::test]
async fn entries_are_read_as_written_with_proofs_and_feed() {
    let dir = folder("journal-read");
    let run = run("read");
    for place in places(&dir) {
        write(&place, run).await;
        assert_eq!(read(&place, run).await.unwrap(), events());
        let mut reader = place.read(run).await.unwrap();
        let entries = reader.entries(1, 2).await.unwrap();
        assert_eq!(entries.len(), 2);
        assert!(
            entries[0]
                .proof
                .as_deref()
                .unwrap()
                .contains("\"hotkey\":\"a\"")
        );
        assert_eq!((entries[1].number, &entries[1].proof), (3, &None));
        let feed = reader.feed(3, 10).await.unwrap();
        let expected = [(3, 9, "[2]".to_owned()), (4, 9, "[3]".to_owned())];
        assert_eq!(feed, expected);
        reader.close().await.unwrap();
        let other = Digest([8; 32]);
        let result = read(&place, other).await;
        match place {
            JournalPlace::File(_) => assert!(result.is_err(), "a file belongs to one run"),
            _ => assert!(result.unwrap().is_empty()),
        }
    }
    std::fs::remove_dir_all(dir).unwrap();
}

#[tokio::test]
async fn changes_are_found_and_named() {
    let cases = [
        (
            "UPDATE JOURNAL SET now_ms = 2 WHERE number = 2 AND OF_RUN",
            "event 2 was changed",
        ),
        (
            "UPDATE JOURNAL SET proof = '{\"signed\":2}' WHERE number = 2 AND OF_RUN",
            "event 2 was changed",
        ),
        (
            "UPDATE JOURNAL SET proof = '' WHERE number = 3 AND OF_RUN",
            "event 3 was changed",
        ),
        (
            "DELETE FROM JOURNAL WHERE number = 3 AND OF_RUN",
            "event 3 is missing",
        ),
        (
            "UPDATE JOURNAL SET link = 'x' WHERE number = 1 AND OF_RUN",
            "the entry hash of event 1 was changed",
        ),
    ];
    let dir = folder("journal-changes");
    for (number, (statement, expected)) in cases.into_iter().enumerate() {
        let dir = dir.join(number.to_string());
        std::fs::create_dir(&dir).unwrap();
        let run = run(&format!("changes-{number}"));
        for place in places(&dir) {
            write(&place, run).await;
            tamper(&place, run, statement).await;
            let error = format!("{:#}", read(&place, run).await.unwrap_err());
            assert!(error.contains(expected), "{place}: {error}");
        }
    }
    std::fs::remove_dir_all(dir).unwrap();
}

#[tokio::test]
async fn a_snapshot_is_used_only_if_intact_and_of_this_journal() {
    let dir = folder("journal-snapshot");
    let restore = |number: u64, bytes: &[u8]| Ok((number, bytes.to_vec()));
    let run = run("snapshot");
    for place in places(&dir) {
        write(&place, run).await;
        let lead = async || Journal::lead(&place, run).await.unwrap().unwrap();
        let mut journal = lead().await;
        assert!(journal.snapshot(restore).await.unwrap().is_none());
        journal.read_next(3).await.unwrap();
        let bytes = vec![7; 100_000];
        let kept = journal.keep_snapshot(Millis(9), bytes.clone()).await;
        kept.unwrap();
        journal.close().await.unwrap();

        let mut journal = lead().await;
        let restored = journal.snapshot(restore).await.unwrap();
        assert_eq!(restored, Some((Millis(9), (3, bytes))));
        assert_eq!(journal.read_next(9).await.unwrap(), events()[3..]);
        journal.close().await.unwrap();

        for statement in [
            "UPDATE SNAPSHOT SET number = 2 WHERE OF_RUN",
            "UPDATE SNAPSHOT SET number = 3, format = 'naschain 0.0.1 1' WHERE OF_RUN",
            "UPDATE SNAPSHOT SET digest = 'x' WHERE OF_RUN",
        ] {
            tamper(&place, run, statement).await;
            let mut journal = lead().await;
            let restored = journal.snapshot(restore).await.unwrap();
            assert_eq!(restored, None, "{statement}");
            assert_eq!(journal.read_next(9).await.unwrap(), events());
            journal.close().await.unwrap();
        }
    }
    std::fs::remove_dir_all(dir).unwrap();
}

#[tokio::test]
async fn changed_bytes_of_a_snapshot_are_found() {
    let dir = folder("journal-snapshot-bytes");
    let run = run("snapshot-bytes");
    for place in places(&dir) {
        write(&place, run).await;
        let mut journal = Journal::lead(&place, run).await.unwrap().unwrap();
        journal.read_next(9).await.unwrap();
        journal.keep_snapshot(Millis(9), vec![1, 2]).await.unwrap();
        journal.close().await.unwrap();
        let statement = match place {
            JournalPlace::File(_) => "UPDATE SNAPSHOT SET bytes = x'0103' WHERE OF_RUN",
            _ => "UPDATE SNAPSHOT SET bytes = '\\x0103' WHERE OF_RUN",
        };
        tamper(&place, run, statement).await;
        let mut journal = Journal::lead(&place, run).await.unwrap().unwrap();
        let restored = journal.snapshot(|_, _| Ok(())).await.unwrap();
        assert_eq!(restored, None);
        journal.close().await.unwrap();
    }
    std::fs::remove_dir_all(dir).unwrap();
}

#[tokio::test]
async fn two_genomasters_cannot_share_a_file() {
    let dir = folder("journal-shared");
    let place = JournalPlace::of_run(&dir);
    let journal = Journal::lead(&place, run("shared")).await.unwrap().unwrap();
    let error = match Journal::lead(&place, run("shared")).await {
        Ok(_) => panic!("opened twice"),
        Err(error) => error.to_string(),
    };
    assert!(error.contains("cannot open the journal"), "{error}");
    journal.close().await.unwrap();
    std::fs::remove_dir_all(dir).unwrap();
}

#[tokio::test]
async fn a_journal_of_an_earlier_version_is_continued() {
    let dir = folder("journal-earlier");
    let place = JournalPlace::of_run(&dir);
    let run = run("earlier");
    write(&place, run).await;
    for statement in [
        "UPDATE JOURNAL SET proof = NULL",
        "UPDATE JOURNAL SET feed = NULL",
    ] {
        tamper(&place, run, statement).await;
    }
    // The event with a proof has another hash now, so only the first entry is kept.
    tamper(&place, run, "DELETE FROM JOURNAL WHERE number > 1").await;
    let path = dir.join("journal.sqlite");
    let mut file = sqlx::SqliteConnection::connect(path.to_str().unwrap())
        .await
        .unwrap();
    use sqlx::Connection;
    for statement in [
        "ALTER TABLE journal DROP COLUMN proof",
        "ALTER TABLE journal DROP COLUMN feed",
    ] {
        sqlx::query(statement).execute(&mut file).await.unwrap();
    }
    file.close().await.unwrap();
    assert_eq!(read(&place, run).await.unwrap(), events()[..1]);
    std::fs::remove_dir_all(dir).unwrap();
}

#[tokio::test]
async fn only_the_current_leader_can_write() {
    let Some(place) = postgres() else { return };
    let run = run("lead");
    let mut first = Journal::lead(&place, run).await.unwrap().unwrap();
    let (now, event, _) = &events()[0];
    first.append(*now, event, None).unwrap();
    first.commit().await.unwrap();
    assert!(Journal::lead(&place, run).await.unwrap().is_none());
    // Its term ends although its session is still open, as behind a connection pooler.
    let JournalPlace::Postgres(url) = &place else {
        panic!()
    };
    let mut server = <sqlx::PgConnection as sqlx::Connection>::connect(url)
        .await
        .unwrap();
    let next = format!("UPDATE naschain_leader SET term = term + 1 WHERE run = '{run}'");
    sqlx::query(&next).execute(&mut server).await.unwrap();
    assert!(first.check().await.is_err());
    first.append(*now, event, None).unwrap();
    let error = format!("{:#}", first.commit().await.unwrap_err());
    assert!(error.contains("another genomaster leads"), "{error}");
    assert_eq!(first.entries(0, 9).await.unwrap().len(), 1);
    drop(first);
    let second =
        crate::programs::eventually(async || Journal::lead(&place, run).await.unwrap()).await;
    second.close().await.unwrap();
}

#[tokio::test]
async fn a_leader_that_loses_its_connection_is_replaced() {
    let Some(place) = postgres() else { return };
    let run = run("cut");
    let mut first = Journal::lead(&place, run).await.unwrap().unwrap();
    let JournalPlace::Postgres(url) = &place else {
        panic!()
    };
    let mut server = <sqlx::PgConnection as sqlx::Connection>::connect(url)
        .await
        .unwrap();
    let lock = i64::from_le_bytes(run.0[..8].try_into().unwrap()) as u64;
    let cut = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'
         AND classid = {} AND objid = {}",
        lock >> 32,
        lock & 0xffff_ffff
    );
    let cut = sqlx::query(&cut).fetch_all(&mut server).await.unwrap();
    assert_eq!(cut.len(), 1);
    let second =
        crate::programs::eventually(async || Journal::lead(&place, run).await.unwrap()).await;
    assert!(first.check().await.is_err());
    let (now, event, _) = &events()[0];
    first.append(*now, event, None).unwrap();
    assert!(first.commit().await.is_err());
    second.close().await.unwrap();
}
