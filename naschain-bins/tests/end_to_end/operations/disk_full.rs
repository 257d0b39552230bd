//! The disk is full while events are journaled: a clear error, no damage, and the run continues when
//! there is space again. The tests mount a file system of a few megabytes, which requires root.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::programs::{Server, call, folder, read, wait_until};
use naschain_bins::{CallError, Coordinator, JournalPlace, Unavailable};
use naschain_run::{Auditor, Signers};

/// A file system in memory, unmounted when this is dropped.
struct Tmpfs(PathBuf);

impl Tmpfs {
    fn mount(dir: &Path, size: &str) -> Option<Tmpfs> {
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(dir)
            .stderr(Stdio::null())
            .status();
        let mounted = mount.is_ok_and(|status| status.success());
        mounted.then(|| Tmpfs(dir.to_owned()))
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Creates a file that fills the remaining space, of at most `most` bytes.
fn fill(path: &Path, most: usize) {
    let mut bytes = most;
    while std::fs::write(path, vec![1; bytes]).is_err() {
        bytes -= 4 << 10;
    }
}

#[tokio::test]
async fn a_full_disk_is_reported_and_loses_nothing() {
    let dir = folder("disk-full");
    let Some(disk) = Tmpfs::mount(&dir, "32m") else {
        crate::programs::skipped("this user cannot mount a small tmpfs");
        return;
    };
    let place = JournalPlace::of_run(&disk.0);
    let spec = crate::operations::simulated::spec(20, 8, 4);
    let coordinator = Coordinator::open(place.clone(), spec.clone())
        .await
        .unwrap();
    crate::operations::simulated::mine(&coordinator, 4, 10)
        .await
        .unwrap();
    let filler = disk.0.join("filler");
    fill(&filler, 32 << 20);
    let mut refused = 0;
    let error = loop {
        match crate::operations::simulated::mine(&coordinator, 4, 1_000).await {
            Err(CallError::Unavailable(Unavailable::Journal(error))) => break error,
            other => assert!(other.is_err(), "the whole run fit on the disk"),
        }
        refused += 1;
        assert!(refused < 10);
    };
    assert!(error.contains("cannot write to the journal"), "{error}");
    assert!(error.contains("full"), "{error}");
    // Events are refused with the same reason until there is space.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let join = naschain_consensus::Event::Join {
        miner: crate::operations::simulated::miner(9),
    };
    let again = coordinator.handle(join, None).await;
    assert!(
        matches!(again, Err(CallError::Unavailable(Unavailable::Journal(_)))),
        "{again:?}"
    );
    assert!(matches!(
        coordinator.unavailable(),
        Some(Unavailable::Journal(_))
    ));

    std::fs::remove_file(&filler).unwrap();
    crate::programs::eventually(async || coordinator.unavailable().is_none().then_some(())).await;
    crate::operations::simulated::mine(&coordinator, 4, 1_000)
        .await
        .unwrap();
    let front = coordinator.with_state(|state| state.front()).await;
    coordinator.close().await.unwrap();
    audit(&place, &spec).await;

    let calm = Coordinator::open(JournalPlace::of_run(&folder("disk-calm")), spec)
        .await
        .unwrap();
    crate::operations::simulated::mine(&calm, 4, 1_000)
        .await
        .unwrap();
    assert_eq!(calm.with_state(|state| state.front()).await, front);
    drop(disk);
    std::fs::remove_dir_all(dir).unwrap();
}

/// The journal is on another disk; the folder of history, front and models is full.
#[test]
fn writing_a_report_is_retried_while_the_disk_is_full() {
    let dir = folder("report-full");
    let journal = folder("report-full-journal").join("journal.sqlite");
    let Some(disk) = Tmpfs::mount(&dir, "16m") else {
        crate::programs::skipped("this user cannot mount a small tmpfs");
        return;
    };
    let run = dir.join("run");
    let store = format!("--store={}", journal.display());
    let mut server = Server::start_with(&run, 0, &[&store]);
    fill(&dir.join("filler"), 16 << 20);
    let _miners = ["a", "b", "c"].map(|name| server.miner(name));
    let jobs = || {
        let answer = call(&server, "GET", "/v1/batches", "", "");
        let jobs: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        jobs["batches"].as_array().unwrap().len()
    };
    wait_until("some jobs ended", || jobs() >= 3);
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(call(&server, "GET", "/healthz", "", "").body, "ok\n");
    assert_eq!(read(run.join("history.jsonl")), "");
    std::fs::remove_file(dir.join("filler")).unwrap();
    wait_until("the front is written", || run.join("front.json").exists());
    let lines = read(run.join("history.jsonl")).lines().count();
    assert_eq!(lines, jobs());
    server.process.kill();
    drop(disk);
}

async fn audit(place: &JournalPlace, spec: &naschain_run::RunSpec) {
    let mut store = place.read(spec.digest()).await.unwrap();
    let mut auditor = Auditor::new(spec.clone(), Signers::default()).unwrap();
    for entry in store.entries(0, 100_000).await.unwrap() {
        auditor.verify_next(&entry, &[]).unwrap();
    }
    assert!(auditor.state().is_finished());
    store.close().await.unwrap();
}
