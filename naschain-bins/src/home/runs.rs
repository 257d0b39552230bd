//! The runs of a home: who owns them, what they are called, and whether they go on.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use anyhow::{Result, bail};
use naschain_core::Digest;
use serde::{Deserialize, Serialize};
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::home::folders::{NewFolder, add_folder};
use crate::home::leads::set_leader;
use crate::home::{Home, now_s};

/// Whether a run goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RunStatus {
    /// Its jobs are handed out to miners.
    Running,
    /// It waits until its owner lets it go on.
    Paused,
    /// Its owner has ended it; its files are being written.
    Stopping,
    /// Its owner ended it before the search was finished.
    Stopped,
    /// The search is finished, and its front's models are stored.
    Finished,
}

impl RunStatus {
    pub(crate) const ALL: [RunStatus; 5] = [
        RunStatus::Running,
        RunStatus::Paused,
        RunStatus::Stopping,
        RunStatus::Stopped,
        RunStatus::Finished,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            RunStatus::Running => "running",
            RunStatus::Paused => "paused",
            RunStatus::Stopping => "stopping",
            RunStatus::Stopped => "stopped",
            RunStatus::Finished => "finished",
        }
    }

    /// Whether it counts towards the number of runs that a user may have at a time.
    pub(crate) fn is_open(self) -> bool {
        matches!(
            self,
            RunStatus::Running | RunStatus::Paused | RunStatus::Stopping
        )
    }
}

impl fmt::Display for RunStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for RunStatus {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<RunStatus> {
        let found = RunStatus::ALL.into_iter().find(|one| one.name() == text);
        match found {
            Some(status) => Ok(status),
            None => {
                bail!(
                    "{text:?} is no state of a run; use running, paused, stopping, stopped or finished"
                )
            }
        }
    }
}

/// A run as the home knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredRun {
    /// Its place among all runs, from the oldest on.
    pub(crate) number: i64,
    /// The digest of its specification.
    pub(crate) id: Digest,
    pub(crate) owner: String,
    pub(crate) name: String,
    /// The digest of its data set.
    pub(crate) data: Digest,
    /// The flags of `genomaster search` that describe it.
    pub(crate) settings: RunSettings,
    /// The miners that may train it, as lines of an allow-list; all that may join where it is empty.
    pub(crate) miners: String,
    /// Whether everybody may read it.
    pub(crate) is_public: bool,
    pub(crate) status: RunStatus,
    pub(crate) created_s: i64,
    /// The genomaster that leads it, where several share the database; none if it has ended or moves.
    pub(crate) leader: Option<String>,
}

/// The columns of [`StoredRun`].
const SELECT: &str = "SELECT runs.*, leads.genomaster AS leader
    FROM runs LEFT JOIN leads ON leads.run = runs.id";

/// Flags of `genomaster search` by name, without the dashes.
pub(crate) type RunSettings = BTreeMap<String, serde_json::Value>;

/// What became of a run that was to be added.
#[derive(Debug)]
pub(crate) enum AddedRun {
    Added(Box<StoredRun>),
    /// There is one with the same specification.
    Exists,
    /// Its owner has too many.
    TooMany,
    /// Its data was deleted meanwhile.
    NoData,
}

/// Which runs to list.
#[derive(Clone, Debug, Default)]
pub(crate) struct RunFilter {
    pub(crate) status: Option<RunStatus>,
    /// Only the public runs and those of this user; all if `None`.
    pub(crate) reader: Option<String>,
    /// Only runs of this user.
    pub(crate) owner: Option<String>,
    /// Only runs with a smaller number.
    pub(crate) before: Option<i64>,
}

impl StoredRun {
    fn from_row(row: &AnyRow) -> Result<StoredRun> {
        let text = |column: &str| -> Result<String> { Ok(row.try_get(column)?) };
        Ok(StoredRun {
            number: row.try_get("number")?,
            id: text("id")?.parse()?,
            owner: text("owner")?,
            name: text("name")?,
            data: text("data")?.parse()?,
            settings: serde_json::from_str(&text("settings")?)?,
            miners: text("miners")?,
            is_public: row.try_get::<i64, _>("is_public")? != 0,
            status: text("state")?.parse()?,
            created_s: row.try_get("created_s")?,
            leader: row.try_get("leader")?,
        })
    }
}

impl Home {
    /// Adds a run, whose `number` and `created_s` are set here, unless its owner has `max_open` runs
    /// that have not ended, or may not use its data any more. `has_data` says that everybody has it.
    /// Its leader, if it has one, needs the folder to be known to the others.
    pub(crate) async fn add_run(
        &self,
        mut run: StoredRun,
        folder: &NewFolder,
        max_open: u32,
        has_data: bool,
    ) -> Result<AddedRun> {
        run.created_s = now_s();
        // So that requests at the same time cannot exceed the limit together, and data that is deleted
        // meanwhile is noticed.
        let mut transaction = self.database.exclusive().await?;
        let number: Option<i64> = sqlx::query_scalar(
            "INSERT INTO runs (number, id, owner, name, data, settings, miners, is_public, state, created_s)
             SELECT (SELECT COALESCE(MAX(number), 0) + 1 FROM runs), $1, $2, $3, $4, $5, $6, $7, $8, $9
             WHERE (SELECT COUNT(*) FROM runs
                    WHERE owner = $2 AND state IN ('running', 'paused', 'stopping')) < $10
               AND ($11 = 1 OR EXISTS (SELECT 1 FROM data_sets
                    WHERE digest = $4 AND (owner = $2 OR is_public = 1)))
               AND NOT EXISTS (SELECT 1 FROM deleted_runs WHERE run = $1)
             ON CONFLICT (id) DO NOTHING
             RETURNING number",
        )
        .bind(run.id.to_string())
        .bind(&run.owner)
        .bind(&run.name)
        .bind(run.data.to_string())
        .bind(serde_json::to_string(&run.settings)?)
        .bind(&run.miners)
        .bind(i64::from(run.is_public))
        .bind(run.status.name())
        .bind(run.created_s)
        .bind(i64::from(max_open))
        .bind(i64::from(has_data))
        .fetch_optional(&mut *transaction)
        .await?;
        if let (Some(_), Some(leader)) = (number, &run.leader) {
            add_folder(&mut transaction, folder).await?;
            set_leader(&mut transaction, run.id, leader).await?;
        }
        transaction.commit().await?;
        Ok(match number {
            Some(number) => AddedRun::Added(Box::new(StoredRun { number, ..run })),
            None if self.run(run.id).await?.is_some() => AddedRun::Exists,
            None if self.is_deleted(run.id).await? => AddedRun::Exists,
            None if self.count_open_runs(&run.owner).await? >= max_open => AddedRun::TooMany,
            None => AddedRun::NoData,
        })
    }

    /// The run with this id.
    pub(crate) async fn run(&self, id: Digest) -> Result<Option<StoredRun>> {
        let row = sqlx::query(&format!("{SELECT} WHERE id = $1"))
            .bind(id.to_string())
            .fetch_optional(&self.database.pool)
            .await?;
        row.as_ref().map(StoredRun::from_row).transpose()
    }

    /// Up to `limit` runs, the newest first.
    pub(crate) async fn runs(&self, filter: &RunFilter, limit: u32) -> Result<Vec<StoredRun>> {
        let rows = sqlx::query(&format!(
            "{SELECT}
             WHERE ($1 = '' OR state = $1) AND ($2 = '' OR owner = $2)
               AND ($3 = '' OR is_public = 1 OR owner = $3) AND number < $4
             ORDER BY number DESC LIMIT $5"
        ))
        .bind(filter.status.map_or("", RunStatus::name))
        .bind(filter.owner.as_deref().unwrap_or(""))
        .bind(filter.reader.as_deref().unwrap_or(""))
        .bind(filter.before.unwrap_or(i64::MAX))
        .bind(i64::from(limit))
        .fetch_all(&self.database.pool)
        .await?;
        rows.iter().map(StoredRun::from_row).collect()
    }

    /// Number of runs of a user that have not ended.
    pub(crate) async fn count_open_runs(&self, user: &str) -> Result<u32> {
        let count: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM runs WHERE owner = $1 AND state IN ('running', 'paused', 'stopping')",
        )
        .bind(user)
        .fetch_one(&self.database.pool)
        .await?;
        Ok(u32::try_from(count)?)
    }

    /// The runs that have not ended, the oldest first.
    pub(crate) async fn open_runs(&self) -> Result<Vec<StoredRun>> {
        let rows = sqlx::query(&format!(
            "{SELECT} WHERE state IN ('running', 'paused', 'stopping') ORDER BY number"
        ))
        .fetch_all(&self.database.pool)
        .await?;
        rows.iter().map(StoredRun::from_row).collect()
    }

    /// Up to 100 runs on a data set, those that have not ended first.
    pub(crate) async fn runs_on(&self, data: Digest) -> Result<Vec<StoredRun>> {
        let rows = sqlx::query(&format!(
            "{SELECT} WHERE data = $1
             ORDER BY CASE WHEN state IN ('running', 'paused', 'stopping') THEN 0 ELSE 1 END, number
             LIMIT 100"
        ))
        .bind(data.to_string())
        .fetch_all(&self.database.pool)
        .await?;
        rows.iter().map(StoredRun::from_row).collect()
    }

    /// Changes the state of a run from one of `before`; false if it is in another.
    pub(crate) async fn set_status(
        &self,
        id: Digest,
        before: &[RunStatus],
        status: RunStatus,
    ) -> Result<bool> {
        let mut changed = 0;
        for before in before {
            let done = sqlx::query("UPDATE runs SET state = $3 WHERE id = $1 AND state = $2")
                .bind(id.to_string())
                .bind(before.name())
                .bind(status.name())
                .execute(&self.database.pool)
                .await?;
            changed += done.rows_affected();
        }
        Ok(changed > 0)
    }

    /// The runs that were deleted and of which something may be left, with their data sets.
    pub(crate) async fn deleted_runs(&self) -> Result<Vec<(Digest, Digest)>> {
        let rows: Vec<(String, String)> = sqlx::query_as("SELECT run, data FROM deleted_runs")
            .fetch_all(&self.database.pool)
            .await?;
        let parsed = rows
            .into_iter()
            .map(|(run, data)| Ok((run.parse()?, data.parse()?)));
        parsed.collect()
    }

    /// Whether something of a run that was deleted may be left.
    async fn is_deleted(&self, run: Digest) -> Result<bool> {
        Ok(self
            .deleted_runs()
            .await?
            .iter()
            .any(|(one, _)| *one == run))
    }

    /// Nothing is left of a run that was deleted.
    pub(crate) async fn forget_deleted(&self, run: Digest) -> Result<()> {
        sqlx::query("DELETE FROM deleted_runs WHERE run = $1")
            .bind(run.to_string())
            .execute(&self.database.pool)
            .await?;
        Ok(())
    }

    /// Forgets a run; its files stay until [`Home::forget_deleted`].
    pub(crate) async fn delete_run(&self, id: Digest) -> Result<bool> {
        let mut transaction = self.database.exclusive().await?;
        let mut deleted = 0;
        for delete in [
            "INSERT INTO deleted_runs (run, data) SELECT id, data FROM runs WHERE id = $1",
            "DELETE FROM leads WHERE run = $1",
            "DELETE FROM run_folders WHERE run = $1",
            "DELETE FROM shares WHERE run = $1",
            "DELETE FROM runs WHERE id = $1",
        ] {
            let done = sqlx::query(delete)
                .bind(id.to_string())
                .execute(&mut *transaction)
                .await?;
            deleted = done.rows_affected();
        }
        transaction.commit().await?;
        Ok(deleted == 1)
    }
}
