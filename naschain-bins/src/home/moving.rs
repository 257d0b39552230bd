//! Moving a home to a database that several genomasters share.

use anyhow::{Result, ensure};
use naschain_core::Digest;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::home::Home;
use crate::home::folders::{NewFolder, add_folder};
use crate::home::runs::{RunFilter, StoredRun};

/// The tables that move, in an order in which no row names one that comes later; `#` marks a column of
/// integers.
const MOVED: [(&str, &str); 7] = [
    (
        "users",
        "name password #is_admin #weight #max_bytes #max_runs #max_hours #used_ms #created_s",
    ),
    ("tokens", "hash owner label scopes #created_s #expires_s"),
    ("invitations", "hash #created_s #expires_s used_by"),
    (
        "data_sets",
        "digest owner name kind licence #is_public #bytes #train_images #test_images #classes #created_s",
    ),
    (
        "miners",
        "hotkey run #changed_s #valid_in_a_row #credit #flops_per_second",
    ),
    (
        "runs",
        "#number id owner name data settings miners #is_public state #created_s",
    ),
    ("shares", "hash run #created_s"),
];

impl Home {
    /// All runs, the newest first.
    pub(crate) async fn all_runs(&self) -> Result<Vec<StoredRun>> {
        let (mut found, mut filter) = (Vec::new(), RunFilter::default());
        loop {
            let page = self.runs(&filter, 1_000).await?;
            let Some(last) = page.last() else {
                return Ok(found);
            };
            filter.before = Some(last.number);
            found.extend(page);
        }
    }

    /// The digests of all data sets.
    pub(crate) async fn all_data(&self) -> Result<Vec<Digest>> {
        let digests: Vec<String> = sqlx::query_scalar("SELECT DISTINCT digest FROM data_sets")
            .fetch_all(&self.database.pool)
            .await?;
        digests.iter().map(|text| Ok(text.parse()?)).collect()
    }

    /// Copies users, tokens, data sets and runs to another home, all or nothing. `folders` are those of
    /// its runs.
    ///
    /// # Errors
    /// If the other home has users that this one has not.
    pub(crate) async fn copy_tables(&self, to: &Home, folders: &[NewFolder]) -> Result<()> {
        for user in to.users().await? {
            ensure!(
                self.user(&user.name).await?.is_some(),
                "the database has a user {} already: give an empty one",
                user.name
            );
        }
        let mut transaction = to.database.exclusive().await?;
        for (table, columns) in MOVED {
            let columns: Vec<&str> = columns.split(' ').collect();
            let names: Vec<&str> = columns.iter().map(|c| c.trim_start_matches('#')).collect();
            let rows = sqlx::query(&format!("SELECT {} FROM {table}", names.join(", ")))
                .fetch_all(&self.database.pool)
                .await?;
            for row in rows {
                copy_row(&mut transaction, table, &columns, &names, &row).await?;
            }
        }
        sqlx::query("DELETE FROM run_folders")
            .execute(&mut *transaction)
            .await?;
        for folder in folders {
            add_folder(&mut transaction, folder).await?;
        }
        Ok(transaction.commit().await?)
    }
}

async fn copy_row(
    to: &mut AnyConnection,
    table: &str,
    columns: &[&str],
    names: &[&str],
    row: &AnyRow,
) -> Result<()> {
    let places: Vec<String> = (1..=names.len()).map(|at| format!("${at}")).collect();
    let insert = format!(
        "INSERT INTO {table} ({}) VALUES ({}) ON CONFLICT DO NOTHING",
        names.join(", "),
        places.join(", ")
    );
    let mut insert = sqlx::query(&insert);
    for (column, name) in columns.iter().zip(names) {
        insert = if column.starts_with('#') {
            insert.bind(row.try_get::<Option<i64>, _>(*name)?)
        } else {
            insert.bind(row.try_get::<Option<String>, _>(*name)?)
        };
    }
    insert.execute(to).await?;
    Ok(())
}
