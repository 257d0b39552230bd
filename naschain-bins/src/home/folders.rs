//! What a run's folder begins with, for the other genomasters that share the home's database.

use anyhow::{Context, Result};
use naschain_core::Digest;
use naschain_run::{RunSecret, RunSpec};
use sqlx::{AnyConnection, Row};

use crate::home::{Home, run_path};
use crate::journal::run_folder::create_or_check;
use crate::journal::secret::store_secret;

/// What makes the folder of a run.
#[derive(Clone, Debug)]
pub(crate) struct NewFolder {
    pub(crate) spec: RunSpec,
    pub(crate) secret: Option<RunSecret>,
}

impl Home {
    /// Creates the folder of a run.
    pub(crate) fn create_run_folder(&self, folder: &NewFolder) -> Result<()> {
        let dir = self.run_dir(folder.spec.digest());
        // Before run.json: a folder with it has everything that the run needs.
        if let Some(secret) = folder.secret {
            store_secret(&dir, secret)?;
        }
        create_or_check(folder.spec.clone(), &dir)?;
        Ok(())
    }

    /// Creates the folder of a run that another genomaster has begun, unless it is there, and copies what
    /// miners have delivered to others, in these folders of it.
    pub(crate) async fn ensure_run_folder(&self, run: Digest, delivered: &[&str]) -> Result<()> {
        if !self.files.are_shared() {
            return Ok(());
        }
        if !self.run_dir(run).join("run.json").is_file() {
            self.create_known_folder(run).await?;
        }
        for folder in delivered {
            let folder = format!("{}/{folder}", run_path(run));
            for (file, _) in self.files.published(&folder).await?.unwrap_or_default() {
                self.files.fetch(&format!("{folder}/{file}")).await?;
            }
        }
        Ok(())
    }

    async fn create_known_folder(&self, run: Digest) -> Result<()> {
        let row = sqlx::query("SELECT spec, secret FROM run_folders WHERE run = $1")
            .bind(run.to_string())
            .fetch_optional(&self.database.pool)
            .await?
            .with_context(|| format!("the database has no settings of run {run}"))?;
        let (spec, secret): (String, Option<String>) =
            (row.try_get("spec")?, row.try_get("secret")?);
        let secret: Option<Digest> = secret.map(|text| text.parse()).transpose()?;
        self.create_run_folder(&NewFolder {
            spec: serde_json::from_str(&spec)?,
            secret: secret.map(|secret| RunSecret(secret.0)),
        })
    }
}

/// Stores what makes the folder of a run.
pub(super) async fn add_folder(connection: &mut AnyConnection, folder: &NewFolder) -> Result<()> {
    sqlx::query("INSERT INTO run_folders (run, spec, secret) VALUES ($1, $2, $3)")
        .bind(folder.spec.digest().to_string())
        .bind(serde_json::to_string(&folder.spec)?)
        .bind(folder.secret.map(|secret| Digest(secret.0).to_string()))
        .execute(connection)
        .await?;
    Ok(())
}
