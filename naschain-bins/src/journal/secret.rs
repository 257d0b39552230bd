//! The file of a run's secret, which keeps the seeds of its trainings unknown until they are needed.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use naschain_core::Digest;
use naschain_run::{RunSecret, RunSpec};

use crate::files::{create_folder, sync_folder};
use crate::journal::run_folder::read_spec;
use crate::journal::store::JournalPlace;
use crate::random::random_bytes;

pub(crate) const SECRET_FILE: &str = "secret";

/// The secret of the run in this folder, or a new one if there is no run yet. Genomasters that share
/// a database share the secret of the run with these settings, which are the specification without
/// its secret.
pub(crate) async fn create_or_read_secret(
    dir: &Path,
    place: &JournalPlace,
    settings: &RunSpec,
) -> Result<Option<RunSecret>> {
    let (run, path) = (dir.join("run.json"), dir.join(SECRET_FILE));
    if run.exists() {
        return read_secret(dir, &read_spec(&run)?);
    }
    if path.exists() {
        return secret_in(&path).map(Some);
    }
    let drawn = RunSecret(random_bytes()?);
    let secret = place.share_secret(settings.digest(), drawn).await?;
    store_secret(dir, secret)?;
    Ok(Some(secret))
}

/// Writes the secret of a run into its folder, unless it is there.
pub(crate) fn store_secret(dir: &Path, secret: RunSecret) -> Result<()> {
    let path = dir.join(SECRET_FILE);
    if path.exists() {
        return Ok(());
    }
    create_folder(dir)?;
    write_private(&path, format!("{}\n", Digest(secret.0)).as_bytes())
}

/// The secret of a run, if it has one.
pub(crate) fn read_secret(dir: &Path, spec: &RunSpec) -> Result<Option<RunSecret>> {
    let Some(hash) = spec.secret_hash else {
        return Ok(None);
    };
    let path = dir.join(SECRET_FILE);
    let secret = secret_in(&path)?;
    ensure!(
        secret.hash() == hash,
        "{} has hash {}; that of the run is {hash}: copy the file from the run's first genomaster",
        path.display(),
        secret.hash()
    );
    Ok(Some(secret))
}

fn secret_in(path: &Path) -> Result<RunSecret> {
    let text = std::fs::read_to_string(path).with_context(|| {
        let path = path.display();
        format!("cannot read {path}, the run's secret; copy it from the run's first genomaster or, if the run was fetched before it had ended, fetch it again")
    })?;
    let secret: Digest = text
        .trim()
        .parse()
        .with_context(|| format!("{} is not a run's secret", path.display()))?;
    Ok(RunSecret(secret.0))
}

/// Writes a new file that only its owner may read.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(path).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.with_context(|| format!("cannot write {}", path.display()))?;
    sync_folder(path)
}
