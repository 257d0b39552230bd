//! A run's events in SQLite, each chained to the one before by BLAKE3.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use naschain_consensus::{Event, Millis};
use naschain_core::Digest;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteLockingMode, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection, Row};

/// The events of one run, in the order in which they were accepted.
pub struct Journal {
    connection: SqliteConnection,
    length: i64,
    link: Digest,
}

const TABLE: &str = "CREATE TABLE IF NOT EXISTS journal (
    number INTEGER PRIMARY KEY,
    now_ms INTEGER NOT NULL,
    event TEXT NOT NULL,
    proof TEXT,
    link TEXT NOT NULL
)";

/// An event as it was accepted: when, what, and the signed request that asked for it.
pub type Entry = (Millis, Event, Option<String>);

impl Journal {
    /// Opens or makes the file and reads its events; `root` is the run's digest.
    ///
    /// Nobody else can open it meanwhile. A broken chain is an error that names the event.
    pub async fn open(path: &Path, root: Digest) -> Result<(Journal, Vec<Entry>)> {
        let context = || {
            let path = path.display();
            format!("cannot open the journal {path}; is another genomaster running on it?")
        };
        let mut connection = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .locking_mode(SqliteLockingMode::Exclusive)
            .busy_timeout(std::time::Duration::from_millis(200))
            .connect()
            .await
            .with_context(context)?;
        sqlx::query(TABLE)
            .execute(&mut connection)
            .await
            .with_context(context)?;
        let rows =
            sqlx::query("SELECT number, now_ms, event, proof, link FROM journal ORDER BY number")
                .fetch_all(&mut connection)
                .await
                .with_context(context)?;
        let mut journal = Journal {
            connection,
            length: 0,
            link: root,
        };
        let mut events = Vec::with_capacity(rows.len());
        for row in rows {
            let (number, now_ms): (i64, i64) = (row.try_get("number")?, row.try_get("now_ms")?);
            let (text, link): (String, String) = (row.try_get("event")?, row.try_get("link")?);
            let proof: Option<String> = row.try_get("proof")?;
            let number_expected = journal.length + 1;
            ensure!(
                number == number_expected,
                "{}: event {number_expected} is missing",
                path.display()
            );
            let now = Millis(now_ms.max(0) as u64);
            journal.link = next_link(journal.link, now, &text, proof.as_deref());
            ensure!(
                journal.link.to_string() == link,
                "{}: event {number} was changed after it was written",
                path.display()
            );
            journal.length = number;
            let event = serde_json::from_str(&text)
                .with_context(|| format!("{}: event {number} is unknown", path.display()))?;
            events.push((now, event, proof));
        }
        Ok((journal, events))
    }

    /// Appends one event and waits until it is on disk. `proof` is the JSON of the signed request
    /// that asked for it.
    pub async fn append(&mut self, now: Millis, event: &Event, proof: Option<&str>) -> Result<()> {
        let text = serde_json::to_string(event)?;
        let link = next_link(self.link, now, &text, proof);
        sqlx::query(
            "INSERT INTO journal (number, now_ms, event, proof, link) VALUES (?, ?, ?, ?, ?)",
        )
        .bind(self.length + 1)
        .bind(now.0 as i64)
        .bind(text)
        .bind(proof)
        .bind(link.to_string())
        .execute(&mut self.connection)
        .await
        .context("cannot write to the journal")?;
        self.length += 1;
        self.link = link;
        Ok(())
    }

    /// The latest `most` proofs.
    pub async fn recent_proofs(&mut self, most: u32) -> Result<Vec<String>> {
        let select = "SELECT proof FROM journal WHERE number > ? AND proof IS NOT NULL";
        let rows = sqlx::query(select)
            .bind(self.length - i64::from(most))
            .fetch_all(&mut self.connection)
            .await?;
        rows.iter().map(|row| Ok(row.try_get("proof")?)).collect()
    }

    /// Closes the file.
    pub async fn close(self) -> Result<()> {
        Ok(self.connection.close().await?)
    }
}

fn next_link(before: Digest, now: Millis, event: &str, proof: Option<&str>) -> Digest {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&before.0);
    hasher.update(&now.0.to_le_bytes());
    hasher.update(event.as_bytes());
    if let Some(proof) = proof {
        // JSON has no such byte, so nothing can move between the two.
        hasher.update(b"\0");
        hasher.update(proof.as_bytes());
    }
    Digest(*hasher.finalize().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    const ROOT: Digest = Digest([7; 32]);

    fn file(test: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("naschain-journal-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join(test);
        let _ = std::fs::remove_file(&path);
        path
    }

    fn events() -> Vec<Entry> {
        let miner = |name: &str| name.parse().unwrap();
        vec![
            (
                Millis(1),
                Event::Join { miner: miner("a") },
                Some("{1}".to_owned()),
            ),
            (
                Millis(1),
                Event::Request { miner: miner("a") },
                Some("{2}".to_owned()),
            ),
            (Millis(9), Event::Tick, None),
        ]
    }

    async fn written(path: &Path) -> SqliteConnection {
        let (mut journal, read) = Journal::open(path, ROOT).await.unwrap();
        assert!(read.is_empty());
        for (now, event, proof) in events() {
            journal.append(now, &event, proof.as_deref()).await.unwrap();
        }
        journal.close().await.unwrap();
        SqliteConnection::connect(path.to_str().unwrap())
            .await
            .unwrap()
    }

    async fn refusal(test: &str, change: &str) -> String {
        let path = file(test);
        let mut connection = written(&path).await;
        sqlx::query(change).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        match Journal::open(&path, ROOT).await {
            Ok(_) => panic!("a changed journal was accepted"),
            Err(error) => error.to_string(),
        }
    }

    #[tokio::test]
    async fn what_was_written_is_read() {
        let path = file("read.sqlite");
        written(&path).await.close().await.unwrap();
        let (mut journal, read) = Journal::open(&path, ROOT).await.unwrap();
        assert_eq!(read, events());
        assert_eq!(journal.recent_proofs(2).await.unwrap(), ["{2}"]);
    }

    #[tokio::test]
    async fn changes_are_found_and_named() {
        let error = refusal(
            "change.sqlite",
            "UPDATE journal SET now_ms = 2 WHERE number = 2",
        )
        .await;
        assert!(
            error.ends_with("event 2 was changed after it was written"),
            "{error}"
        );
        for change in ["'{3}'", "NULL"] {
            let change = format!("UPDATE journal SET proof = {change} WHERE number = 1");
            let error = refusal("proof.sqlite", &change).await;
            assert!(error.contains("event 1 was changed"), "{error}");
        }
        let error = refusal("drop.sqlite", "DELETE FROM journal WHERE number = 2").await;
        assert!(error.ends_with("event 2 is missing"), "{error}");
        let path = file("root.sqlite");
        written(&path).await.close().await.unwrap();
        assert!(Journal::open(&path, Digest([8; 32])).await.is_err());
    }

    #[tokio::test]
    async fn two_genomasters_cannot_share_a_journal() {
        let path = file("shared.sqlite");
        let (_journal, _) = Journal::open(&path, ROOT).await.unwrap();
        let error = match Journal::open(&path, ROOT).await {
            Ok(_) => panic!("opened twice"),
            Err(error) => error.to_string(),
        };
        assert!(error.contains("cannot open the journal"), "{error}");
    }
}
