//! A journal that is removed, replaced or shortened, under a running genomaster or before it starts;
//! a limit of file sizes; two genomasters on one folder.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use naschain_bins::{CallError, Coordinator, Journal, JournalPlace, Unavailable, read_spec};
use naschain_consensus::Event;

use crate::operations::simulated;
use crate::operations::stores::{postgres, tamper};
use crate::programs::{
    Server, call, eventually, folder, genomaster, refused, search, succeeded, wait_until,
};

async fn join(coordinator: &Coordinator, number: usize) -> Result<(), CallError> {
    let miner = simulated::miner(number);
    let joined = coordinator.handle(Event::Join { miner }, None).await;
    joined.map(drop)
}

/// A genomaster that has acknowledged 20 joins.
async fn with_joins(dir: &Path) -> Arc<Coordinator> {
    let spec = simulated::spec(2, 2, 3);
    let coordinator = Coordinator::open(JournalPlace::of_run(dir), spec)
        .await
        .unwrap();
    for number in 0..20 {
        join(&coordinator, number).await.unwrap();
    }
    coordinator
}

fn is_journal_trouble(result: &Result<(), CallError>) -> bool {
    matches!(result, Err(CallError::Unavailable(Unavailable::Journal(_))))
}

#[tokio::test]
async fn a_lost_journal_is_noticed_before_the_next_acknowledgement() {
    type Attack = fn(&Path, &Path);
    let attacks: [(&str, Attack); 5] = [
        ("unlinked", |file, _| std::fs::remove_file(file).unwrap()),
        ("log-unlinked", |_, log| std::fs::remove_file(log).unwrap()),
        ("truncated", |file, _| truncate(file)),
        ("log-truncated", |_, log| truncate(log)),
        ("replaced", |file, _| {
            let copy = file.with_extension("copy");
            std::fs::copy(file, &copy).unwrap();
            std::fs::rename(&copy, file).unwrap();
        }),
    ];
    for (name, attack) in attacks {
        let dir = folder(&format!("lost-journal-{name}"));
        let coordinator = with_joins(&dir).await;
        let file = dir.join("journal.sqlite");
        attack(&file, &dir.join("journal.sqlite-wal"));
        let new = join(&coordinator, 20).await;
        assert!(is_journal_trouble(&new), "{name}: {new:?}");
        // One that is already in the journal is not acknowledged either, until it is opened again.
        assert!(coordinator.unavailable().is_some(), "{name}");
        std::fs::remove_dir_all(dir).unwrap();
    }
}

fn truncate(file: &Path) {
    let file = std::fs::File::options().write(true).open(file).unwrap();
    file.set_len(0).unwrap();
}

#[tokio::test]
async fn a_repetition_is_not_acknowledged_without_the_journal() {
    let dir = folder("lost-journal-repetition");
    let coordinator = with_joins(&dir).await;
    std::fs::remove_file(dir.join("journal.sqlite")).unwrap();
    let again = join(&coordinator, 3).await;
    assert!(is_journal_trouble(&again), "{again:?}");
    std::fs::remove_dir_all(dir).unwrap();
}

/// The health shows it without any request, and a journal that is put back is used again.
#[tokio::test]
async fn a_journal_that_is_put_back_is_continued() {
    let dir = folder("lost-journal-back");
    let coordinator = with_joins(&dir).await;
    let moved = dir.join("elsewhere");
    std::fs::create_dir(&moved).unwrap();
    let files: Vec<PathBuf> = ["journal.sqlite", "journal.sqlite-wal"]
        .map(PathBuf::from)
        .into();
    for file in &files {
        std::fs::rename(dir.join(file), moved.join(file)).unwrap();
    }
    let trouble = async || coordinator.unavailable();
    let found = eventually(trouble).await;
    assert!(matches!(found, Unavailable::Journal(_)), "{found:?}");
    // Opened again, it is not created anew.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let found = coordinator.unavailable().unwrap().to_string();
    assert!(found.contains("missing or empty"), "{found}");
    assert!(!dir.join("journal.sqlite").exists());
    for file in &files {
        std::fs::rename(moved.join(file), dir.join(file)).unwrap();
    }
    eventually(async || coordinator.unavailable().is_none().then_some(())).await;
    join(&coordinator, 20).await.unwrap();
    let events = coordinator.with_state(|state| state.events()).await;
    assert_eq!(events, 21);
    coordinator.close().await.unwrap();
    std::fs::remove_dir_all(dir).unwrap();
}

/// A journal that ends earlier is valid in itself; only who acknowledged the rest can know.
#[tokio::test]
async fn a_shortened_journal_is_not_continued() {
    let dir = folder("shortened-journal");
    let coordinator = with_joins(&dir).await;
    let file = dir.join("journal.sqlite");
    let place = JournalPlace::File(dir.join("shorter.sqlite"));
    std::fs::rename(&file, dir.join("shorter.sqlite")).unwrap();
    std::fs::rename(
        dir.join("journal.sqlite-wal"),
        dir.join("shorter.sqlite-wal"),
    )
    .unwrap();
    eventually(async || coordinator.unavailable()).await;
    tamper(
        &place,
        coordinator.run(),
        "DELETE FROM JOURNAL WHERE number > 19",
    )
    .await;
    std::fs::rename(dir.join("shorter.sqlite"), &file).unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let found = coordinator.unavailable().unwrap().to_string();
    assert!(found.contains("has lost event 20"), "{found}");
    std::fs::remove_dir_all(dir).unwrap();
}

#[tokio::test]
async fn a_truncated_table_is_noticed() {
    let Some(place) = postgres() else { return };
    for (seed, requests) in [(71, true), (72, false)] {
        let spec = simulated::spec(2, 2, seed + u64::from(std::process::id()) * 100);
        let coordinator = Coordinator::open(place.clone(), spec).await.unwrap();
        for number in 0..20 {
            join(&coordinator, number).await.unwrap();
        }
        tamper(
            &place,
            coordinator.run(),
            "DELETE FROM JOURNAL WHERE OF_RUN",
        )
        .await;
        if requests {
            let new = join(&coordinator, 20).await;
            assert!(is_journal_trouble(&new), "{new:?}");
        }
        let found = eventually(async || coordinator.unavailable())
            .await
            .to_string();
        assert!(found.contains("event 20"), "{found}");
    }
}

const TINY: [&str; 2] = ["--generations=1", "--population=2"];

#[tokio::test]
async fn a_folder_with_a_history_needs_its_journal() {
    let dir = folder("history-without-journal");
    let run = dir.join("run");
    succeeded(search(&run, &TINY).output().unwrap());
    let journal = run.join("journal.sqlite");
    let kept = std::fs::read(&journal).unwrap();
    std::fs::remove_file(&journal).unwrap();
    for _ in 0..2 {
        let error = refused(&mut search(&run, &TINY));
        assert!(error.contains("missing or empty"), "{error}");
        // As it is when it was truncated.
        std::fs::write(&journal, "").unwrap();
    }
    // A valid journal without events.
    std::fs::remove_file(&journal).unwrap();
    let spec = read_spec(&run.join("run.json")).unwrap();
    let empty = Journal::lead(&JournalPlace::of_run(&run), spec.digest()).await;
    empty.unwrap().unwrap().close().await.unwrap();
    let error = refused(&mut search(&run, &TINY));
    assert!(
        error.contains("has 0 ended jobs, and the history in the run's folder has 2"),
        "{error}"
    );
    // The log of another file would be applied to the one that is put back.
    let _ = std::fs::remove_file(run.join("journal.sqlite-wal"));
    std::fs::write(&journal, kept).unwrap();
    succeeded(search(&run, &TINY).output().unwrap());
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn two_genomasters_cannot_share_a_folder() {
    let dir = folder("shared-folder");
    let run = dir.join("run");
    let server = Server::start(&run, 0);
    let other = format!("--store={}", dir.join("other.sqlite").display());
    let error = refused(&mut search(&run, &[&other]));
    assert!(
        error.contains("another genomaster is running on the folder"),
        "{error}"
    );
    // The lock ends with the process, however it ends.
    drop(server);
    drop(Server::start(&run, 0));
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
#[cfg(unix)]
fn a_limit_of_file_sizes_does_not_end_the_program() {
    let dir = folder("file-size-limit");
    let mut command = Command::new("bash");
    let script = format!(
        "ulimit -f 300; exec \"$@\" 2> {}",
        dir.join("log").display()
    );
    command.args(["-c", &script, "bash"]);
    command.arg(genomaster().get_program()).arg("serve");
    command.args(crate::programs::SMALL);
    command.args(["--unsigned", "--listen=127.0.0.1:0", "--run"]);
    command.arg(dir.join("run")).stdout(Stdio::piped());
    let mut server = Server::spawn(&mut command);
    let refusal = (0..1_000).find_map(|number| {
        let body = format!(r#"{{"miner":"m-{number}"}}"#);
        let answer = call(&server, "POST", "/v1/join", "", &body);
        (answer.status != 204).then_some(answer)
    });
    let refusal = refusal.expect("1,000 joins fit into 300 KiB");
    assert_eq!(refusal.status, 503, "{refusal:?}");
    assert!(
        refusal.body.contains("cannot write to the journal"),
        "{refusal:?}"
    );
    // It tries to lead again by itself, and is well until the next write fails.
    wait_until("the trouble is reported", || {
        call(&server, "POST", "/v1/join", "", r#"{"miner":"m-more"}"#);
        call(&server, "GET", "/healthz", "", "").status == 503
    });
    assert!(server.process.0.try_wait().unwrap().is_none());
    drop(server);
    std::fs::remove_dir_all(dir).unwrap();
}

/// Each file that is renamed to its name was waited for, and so was its folder afterwards.
#[test]
fn written_files_are_synced_with_their_folder() {
    let dir = folder("synced-files");
    let (run, trace) = (dir.join("run"), dir.join("trace"));
    let plain = search(&run, &TINY);
    let mut traced = Command::new("strace");
    traced.args([
        "-f",
        "-y",
        "-e",
        "trace=fsync,fdatasync,rename,renameat,renameat2",
        "-o",
    ]);
    traced
        .arg(&trace)
        .arg(plain.get_program())
        .args(plain.get_args());
    match traced.output() {
        Ok(output) if output.status.success() => {}
        _ => {
            crate::programs::skipped("strace is missing or not allowed");
            return;
        }
    }
    let calls = std::fs::read_to_string(&trace).unwrap();
    let calls: Vec<&str> = calls.lines().collect();
    let synced = |calls: &[&str], path: &Path| {
        let path = format!("<{}>", path.display());
        calls
            .iter()
            .any(|call| call.contains("sync(") && call.contains(&path))
    };
    let mut renamed = 0;
    for (at, call) in calls.iter().enumerate() {
        let Some(path) = renamed_to(call) else {
            continue;
        };
        // A checkpoint that is lost costs a training, and is written after each epoch.
        if path
            .components()
            .any(|part| part.as_os_str() == "checkpoints")
        {
            continue;
        }
        renamed += 1;
        let partial = path.with_extension("partial");
        assert!(
            synced(&calls[..at], &partial) || synced(&calls[at..], &path),
            "{} is not synced",
            path.display()
        );
        assert!(
            synced(&calls[at..], path.parent().unwrap()),
            "the folder of {}",
            path.display()
        );
    }
    // run.json, history.jsonl, front.json, front.svg, report.html, and a model and its description.
    assert!(renamed >= 7, "{renamed}");
    assert!(synced(&calls, &run.join("history.jsonl")));
    assert!(
        synced(&calls, &dir),
        "the folder in which the run's was created"
    );
    std::fs::remove_dir_all(dir).unwrap();
}

/// The new name in a line of strace.
fn renamed_to(call: &str) -> Option<PathBuf> {
    let (_, arguments) = call.split_once("rename")?;
    let name = arguments.split('"').nth(3)?;
    Some(PathBuf::from(name))
}
