//! The stores of the tests: a file and, if available, PostgreSQL.

use std::path::Path;

use naschain_bins::JournalPlace;
use sqlx::{Connection, PgConnection, SqliteConnection};

/// A store of each kind. `NASCHAIN_TEST_POSTGRES` is the URL of a server on which tests may create
/// tables; without it PostgreSQL is skipped.
pub(crate) fn places(dir: &Path) -> Vec<JournalPlace> {
    let file = JournalPlace::File(dir.join("journal.sqlite"));
    std::iter::once(file).chain(postgres()).collect()
}

pub(crate) fn postgres() -> Option<JournalPlace> {
    let url = std::env::var("NASCHAIN_TEST_POSTGRES").ok();
    if url.is_none() {
        crate::programs::skipped("no PostgreSQL, NASCHAIN_TEST_POSTGRES is not set");
    }
    url.map(JournalPlace::Postgres)
}

/// Changes the store directly with a SQL statement, in which `JOURNAL` and `SNAPSHOT` are tables and
/// `OF_RUN` selects the rows of the run.
pub(crate) async fn tamper(place: &JournalPlace, run: naschain_core::Digest, statement: &str) {
    let done = match place {
        JournalPlace::File(path) => {
            let statement = statement
                .replace("JOURNAL", "journal")
                .replace("SNAPSHOT", "snapshot")
                .replace("OF_RUN", "1 = 1");
            let mut file = SqliteConnection::connect(path.to_str().unwrap())
                .await
                .unwrap();
            let done = sqlx::query(&statement).execute(&mut file).await.unwrap();
            file.close().await.unwrap();
            done.rows_affected()
        }
        JournalPlace::Postgres(url) => {
            let statement = statement
                .replace("JOURNAL", "naschain_journal")
                .replace("SNAPSHOT", "naschain_snapshot")
                .replace("OF_RUN", &format!("run = '{run}'"));
            let mut server = PgConnection::connect(url).await.unwrap();
            let done = sqlx::query(&statement).execute(&mut server).await.unwrap();
            server.close().await.unwrap();
            done.rows_affected()
        }
        JournalPlace::Assigned(_) => panic!("these tests have no such place"),
    };
    assert!(done > 0, "{statement} changed nothing");
}
