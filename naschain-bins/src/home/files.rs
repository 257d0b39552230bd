//! The files of a home: data sets, and what runs have found.
//!
//! They are in the home's folder. Genomasters that share a database also share the files, in a folder
//! or in a bucket: each stores there what it has made, and copies from there what it needs.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures_util::{StreamExt, TryStreamExt};
use object_store::buffered::BufWriter;
use object_store::path::Path as Key;
use object_store::{GetOptions, GetRange, ObjectStore};
use tokio::io::AsyncWriteExt;

use crate::files::{create_folder, sync_folder};
use crate::random::random_bytes;

/// Says whose a shared place is.
const OWNER_FILE: &str = "naschain-home";
/// How long a request for one object may take: other genomasters may wait for its end.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// The files of a home.
pub(crate) struct Files {
    dir: PathBuf,
    shared: Option<Shared>,
}

/// Where several genomasters store files.
struct Shared {
    store: Arc<dyn ObjectStore>,
    prefix: Key,
    /// As the operator has named it.
    shown: String,
}

impl Files {
    /// Those in the home's folder and, if given, at a shared place: a folder, or `s3://BUCKET/PREFIX`
    /// with the usual variables of the environment, such as `AWS_ACCESS_KEY_ID` and `AWS_ENDPOINT`.
    pub(super) fn open(dir: &Path, place: Option<&str>) -> Result<Files> {
        let dir = dir.to_owned();
        let shared = place.map(Shared::open).transpose()?;
        Ok(Files { dir, shared })
    }

    /// Whether other genomasters share these files.
    pub(crate) fn are_shared(&self) -> bool {
        self.shared.is_some()
    }

    /// The file in the home's folder.
    pub(crate) fn local(&self, path: &str) -> PathBuf {
        self.dir.join(path)
    }

    /// Checks that the shared place can be used, and belongs to the genomasters with this name; one that
    /// belongs to nobody is theirs from now on if `is_first`.
    ///
    /// # Errors
    /// If others use it already, or they use another.
    pub(crate) async fn check_owner(&self, name: &str, is_first: bool) -> Result<()> {
        let Some(shared) = &self.shared else {
            return Ok(());
        };
        let context = || format!("--files {}", shared.shown);
        let key = shared.key(OWNER_FILE);
        let found = match shared.store.get(&key).await {
            Ok(found) => found.bytes().await.with_context(context)?,
            Err(object_store::Error::NotFound { .. }) => {
                ensure!(
                    is_first,
                    "--files {} is not the place that the genomasters with this --store use: it has no {OWNER_FILE}",
                    shared.shown
                );
                let put = shared.store.put(&key, name.to_owned().into());
                put.await.with_context(context)?;
                return Ok(());
            }
            Err(error) => return Err(error).with_context(context),
        };
        ensure!(
            found == name.as_bytes(),
            "--files {} belongs to genomasters with another --store: give another folder or prefix",
            shared.shown
        );
        Ok(())
    }

    /// Stores a file at the shared place.
    pub(crate) async fn publish(&self, file: &Path, path: &str) -> Result<()> {
        let Some(shared) = &self.shared else {
            return Ok(());
        };
        let mut writer = BufWriter::new(shared.store.clone(), shared.key(path));
        let mut reader = tokio::fs::File::open(file).await?;
        let written = tokio::io::copy(&mut reader, &mut writer).await;
        let stored = match written {
            Ok(_) => writer.shutdown().await,
            Err(error) => {
                let _ = writer.abort().await;
                Err(error)
            }
        };
        stored.with_context(|| format!("cannot store {path} with --files"))
    }

    /// Copies a file into the home's folder, unless it is there; false if it is nowhere.
    pub(crate) async fn fetch(&self, path: &str) -> Result<bool> {
        let file = self.local(path);
        if tokio::fs::try_exists(&file).await? {
            return Ok(true);
        }
        let Some(shared) = &self.shared else {
            return Ok(false);
        };
        let context = || format!("cannot read {path} with --files");
        let found = match shared.store.get(&shared.key(path)).await {
            Err(object_store::Error::NotFound { .. }) => return Ok(false),
            found => found.with_context(context)?,
        };
        // Two may fetch the same file.
        let partial = file.with_extension(format!("partial-{}", hex::encode(random_bytes()?)));
        let copied = async {
            if let Some(folder) = file.parent() {
                create_folder(folder)?;
            }
            let mut output = tokio::fs::File::create(&partial).await?;
            let mut parts = found.into_stream();
            while let Some(part) = parts.next().await {
                output.write_all(&part?).await?;
            }
            output.sync_all().await?;
            tokio::fs::rename(&partial, &file).await?;
            sync_folder(&file)
        };
        let copied = copied.await;
        if copied.is_err() {
            let _ = std::fs::remove_file(&partial);
        }
        copied.with_context(context)?;
        Ok(true)
    }

    /// Deletes the copy in the home's folder of a file that can be fetched again.
    pub(crate) fn drop_copy(&self, path: &str) {
        if self.are_shared() {
            let _ = std::fs::remove_file(self.local(path));
        }
    }

    /// Deletes all copies in a folder of the home's that can be fetched again.
    pub(crate) fn drop_copies(&self, folder: &str) {
        let files = std::fs::read_dir(self.local(folder));
        for file in files.into_iter().flatten().flatten() {
            self.drop_copy(&format!("{folder}/{}", file.file_name().display()));
        }
    }

    /// Whether the file is at the shared place, or no place is shared.
    pub(crate) async fn is_published(&self, path: &str) -> Result<bool> {
        Ok(!self.are_shared() || self.published_size(path).await?.is_some())
    }

    /// The files below a folder at the shared place, with their sizes in bytes; `None` if no place is
    /// shared.
    pub(crate) async fn published(&self, folder: &str) -> Result<Option<Vec<(String, u64)>>> {
        let Some(shared) = &self.shared else {
            return Ok(None);
        };
        let below = shared.key(folder);
        let listed = shared.store.list(Some(&below));
        let found: Vec<_> = listed.try_collect().await?;
        let files = found.iter().filter_map(|file| {
            let path = file.location.as_ref().strip_prefix(below.as_ref())?;
            Some((path.trim_start_matches('/').to_owned(), file.size))
        });
        Ok(Some(files.collect()))
    }

    /// The size of a file at the shared place, if it is there.
    pub(crate) async fn published_size(&self, path: &str) -> Result<Option<u64>> {
        match &self.shared {
            Some(shared) => shared.size(path).await,
            None => Ok(None),
        }
    }

    /// Up to `limit` bytes of a file at the shared place from `start` on.
    pub(crate) async fn published_range(
        &self,
        path: &str,
        start: u64,
        limit: u64,
    ) -> Result<Vec<u8>> {
        let Some(shared) = &self.shared else {
            bail!("no place is shared");
        };
        let options = GetOptions {
            range: Some(GetRange::Bounded(start..start + limit)),
            ..GetOptions::default()
        };
        let found = shared.store.get_opts(&shared.key(path), options).await?;
        Ok(found.bytes().await?.to_vec())
    }

    /// Deletes a file here and at the shared place. Other genomasters may have copies until they need it
    /// no more.
    pub(crate) async fn delete(&self, path: &str) -> Result<()> {
        let _ = std::fs::remove_file(self.local(path));
        let Some(shared) = &self.shared else {
            return Ok(());
        };
        let key = shared.key(path);
        let deleted = tokio::time::timeout(ANSWER_TIMEOUT, shared.store.delete(&key)).await;
        match deleted.with_context(|| format!("{path} was not deleted in time"))? {
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            deleted => Ok(deleted?),
        }
    }

    /// Deletes what is below a folder at the shared place.
    pub(crate) async fn delete_published(&self, folder: &str) -> Result<()> {
        for (file, _) in self.published(folder).await?.unwrap_or_default() {
            let shared = self.shared.as_ref().context("no place is shared")?;
            let key = shared.key(&format!("{folder}/{file}"));
            match shared.store.delete(&key).await {
                Err(object_store::Error::NotFound { .. }) => {}
                deleted => deleted?,
            }
        }
        Ok(())
    }
}

impl Shared {
    fn open(place: &str) -> Result<Shared> {
        let context = || {
            format!(
                "--files is {place}; it must be a folder that exists, or s3://BUCKET/PREFIX with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, unless it is at Amazon, AWS_ENDPOINT in the environment"
            )
        };
        let url = match place.split_once("://") {
            Some(("s3", _)) => place.parse().with_context(context)?,
            Some(_) => bail!("{}", context()),
            None => {
                let folder = Path::new(place).canonicalize().with_context(context)?;
                let url = reqwest::Url::from_directory_path(folder);
                url.map_err(|()| anyhow::anyhow!("{}", context()))?
            }
        };
        // As everywhere where S3 is used; only these are for it.
        let options = std::env::vars().filter(|(name, _)| name.starts_with("AWS_"));
        let mut options: Vec<(String, String)> = options
            .map(|(name, value)| (name.to_ascii_lowercase(), value))
            .collect();
        let is_plain = |(name, value): &(String, String)| {
            name.starts_with("aws_endpoint") && value.starts_with("http://")
        };
        if options.iter().any(is_plain) {
            options.push(("aws_allow_http".to_owned(), "true".to_owned()));
        }
        let (store, prefix) = object_store::parse_url_opts(&url, options).with_context(context)?;
        let store = Arc::from(store);
        let shown = place.to_owned();
        Ok(Shared {
            store,
            prefix,
            shown,
        })
    }

    fn key(&self, path: &str) -> Key {
        let parts = path.split('/').filter(|part| !part.is_empty());
        parts.fold(self.prefix.clone(), |key, part| key.child(part))
    }

    /// The size of a file, if it is there.
    async fn size(&self, path: &str) -> Result<Option<u64>> {
        let key = self.key(path);
        let found = tokio::time::timeout(ANSWER_TIMEOUT, self.store.head(&key)).await;
        let context = || format!("{path} with --files: there is no answer");
        match found.with_context(context)? {
            Ok(found) => Ok(Some(found.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {path} with --files")),
        }
    }
}
