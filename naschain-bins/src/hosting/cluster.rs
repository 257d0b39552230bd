//! Genomasters that share a database: which of them are there.
//!
//! Each holds an advisory lock in a session of its own: when its process ends, the server sees the
//! connection closed and frees the lock at once; when its machine is gone, the keep-alives of the
//! connection end it within 11 seconds. Each also notes the time, for one that hangs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use naschain_core::Digest;
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Row};

use crate::clock;
use crate::files::write_whole;
use crate::hosting::without_work::WithoutWork;
use crate::journal::store::postgres::connect;
use crate::journal::store::{AssignedJournals, JournalPlace};
use crate::random::random_bytes;
use crate::tls::certificates;

/// The file with the name of a genomaster among those that share its database.
const ID_FILE: &str = "genomaster.id";
/// A genomaster that has not noted the time for as long hangs.
const MAX_SILENCE: Duration = Duration::from_secs(15);
/// How long the start waits for the session of the process before to end.
const SESSION_WAIT: Duration = Duration::from_secs(20);
/// The names of genomasters that have not been there for as long are forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(86_400);

/// This genomaster and those that share its database.
pub(crate) struct Cluster {
    id: String,
    address: String,
    url: String,
    /// What requests that one sends on to another have in a header.
    password: String,
    pub(super) journals: AssignedJournals,
    /// The session that has the lock; none while the server cannot be reached.
    session: tokio::sync::Mutex<Option<PgConnection>>,
    /// The addresses of the others that are there, by their names.
    others: Mutex<BTreeMap<String, String>>,
    /// Users with runs that others lead, and which.
    pub(super) elsewhere: Mutex<BTreeMap<String, BTreeSet<String>>>,
    pub(super) without_work: WithoutWork,
    pub(super) http: reqwest::Client,
}

impl Cluster {
    /// Joins the genomasters on a server; `address` is where they reach this one, by TLS with the
    /// certificates of `ca_file` besides the public ones.
    ///
    /// # Errors
    /// If the server cannot be reached, or another process uses the same folder.
    pub(crate) async fn join(
        dir: &Path,
        place: &JournalPlace,
        address: String,
        ca_file: Option<&Path>,
    ) -> Result<Cluster> {
        let JournalPlace::Postgres(url) = place else {
            bail!("--store is {place}; it must be postgres://USER@HOST/DATABASE");
        };
        let id = own_id(dir)?;
        let journals = AssignedJournals::connect(url, id.clone()).await?;
        let password = sqlx::query_scalar(
            "INSERT INTO naschain_home.password_of_genomasters AS known (id, password)
             VALUES (1, $1)
             ON CONFLICT (id) DO UPDATE SET password = known.password RETURNING password",
        )
        .bind(hex::encode(random_bytes()?))
        .fetch_one(journals.pool())
        .await?;
        let cluster = Cluster {
            id,
            address,
            url: url.clone(),
            password,
            journals,
            session: tokio::sync::Mutex::default(),
            others: Mutex::default(),
            elsewhere: Mutex::default(),
            without_work: WithoutWork::default(),
            http: client(ca_file)?,
        };
        let give_up = clock::now() + SESSION_WAIT;
        while let Err(error) = cluster.note_presence().await {
            if clock::now() >= give_up {
                return Err(error);
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        cluster.read_others().await?;
        Ok(cluster)
    }

    /// Checks that this genomaster has the hotkey of the others that are there.
    ///
    /// # Errors
    /// If it has not: miners sign their requests for one hotkey.
    pub(crate) async fn check_hotkey(&self, hotkey: Option<&str>) -> Result<()> {
        let own = hotkey.unwrap_or("missing (--unsigned)");
        let is_first = self.lock_others().is_empty();
        let agreed: String = sqlx::query_scalar(
            "INSERT INTO naschain_home.shared_settings AS known (name, value) VALUES ('hotkey', $1)
             ON CONFLICT (name) DO UPDATE
             SET value = CASE WHEN $2 THEN $1 ELSE known.value END RETURNING value",
        )
        .bind(own)
        .bind(is_first)
        .fetch_one(self.journals.pool())
        .await?;
        if agreed != own {
            self.leave().await;
            bail!(
                "the hotkey is {own}; that of the other genomasters with this --store is {agreed}, and all must have the same"
            );
        }
        Ok(())
    }

    /// This genomaster's name.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// The URL at which others reach it.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// The password of requests that genomasters send on to each other.
    pub(super) fn password(&self) -> &str {
        &self.password
    }

    /// Whether a place for files belongs to the genomasters with this database.
    pub(crate) async fn has_files(&self) -> Result<bool> {
        let select = "SELECT COUNT(*) FROM naschain_home.shared_settings WHERE name = 'files'";
        let count: i64 = sqlx::query_scalar(select)
            .fetch_one(self.journals.pool())
            .await?;
        Ok(count > 0)
    }

    /// Notes that a place for files belongs to them.
    pub(crate) async fn note_files(&self) -> Result<()> {
        sqlx::query(
            "INSERT INTO naschain_home.shared_settings (name, value) VALUES ('files', '')
             ON CONFLICT (name) DO NOTHING",
        )
        .execute(self.journals.pool())
        .await?;
        Ok(())
    }

    /// What all genomasters with this database are called, which tells nothing of their password.
    pub(crate) fn name_of_all(&self) -> String {
        blake3::hash(self.password.as_bytes()).to_hex().to_string()
    }

    /// Notes that this genomaster is there.
    pub(super) async fn note_presence(&self) -> Result<()> {
        let mut session = self.session.lock().await;
        let noted = async {
            if session.is_none() {
                *session = Some(self.begin_session().await?);
            }
            let connection = session.as_mut().context("there is no session")?;
            sqlx::query(
                "INSERT INTO naschain_home.genomasters (id, address, lock, seen_ms)
                 VALUES ($1, $2, $3, (extract(epoch FROM clock_timestamp()) * 1000)::bigint)
                 ON CONFLICT (id) DO UPDATE
                 SET address = excluded.address, seen_ms = excluded.seen_ms",
            )
            .bind(&self.id)
            .bind(&self.address)
            .bind(lock_of(&self.id))
            .execute(connection)
            .await?;
            anyhow::Ok(())
        };
        let noted = tokio::time::timeout(MAX_SILENCE / 2, noted).await;
        let noted = noted.context("PostgreSQL did not answer in time");
        let noted = noted.and_then(|noted| noted);
        if noted.is_err() {
            *session = None;
        }
        noted
    }

    /// A session with the lock.
    async fn begin_session(&self) -> Result<PgConnection> {
        let mut connection = connect(&self.url).await?;
        let is_free: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
            .bind(lock_of(&self.id))
            .fetch_one(&mut connection)
            .await?;
        if !is_free {
            bail!(
                "another process is this genomaster ({}), or was until a moment ago: each needs a folder of its own",
                self.id
            );
        }
        Ok(connection)
    }

    /// Reads which others are there.
    pub(super) async fn read_others(&self) -> Result<()> {
        let rows = sqlx::query(
            "SELECT id, address,
                pg_try_advisory_xact_lock_shared(lock) AS is_free,
                (extract(epoch FROM clock_timestamp()) * 1000)::bigint - seen_ms AS silent_ms
             FROM naschain_home.genomasters WHERE id <> $1",
        )
        .bind(&self.id)
        .fetch_all(self.journals.pool())
        .await?;
        let mut others = BTreeMap::new();
        for row in rows {
            let (id, address): (String, String) = (row.try_get("id")?, row.try_get("address")?);
            let silent_ms: i64 = row.try_get("silent_ms")?;
            let silent = Duration::from_millis(u64::try_from(silent_ms).unwrap_or(0));
            let is_free: bool = row.try_get("is_free")?;
            if !is_free && silent < MAX_SILENCE {
                others.insert(id, address);
            } else if silent > FORGOTTEN_AFTER {
                self.forget(&id).await?;
            }
        }
        let mut known = self.lock_others();
        for (id, address) in &others {
            if !known.contains_key(id) {
                tracing::info!("the genomaster at {address} is there");
            }
        }
        for (id, address) in known.iter() {
            if !others.contains_key(id) {
                tracing::warn!("the genomaster at {address} is gone");
            }
        }
        *known = others;
        Ok(())
    }

    async fn forget(&self, id: &str) -> Result<()> {
        for table in ["genomasters WHERE id", "work WHERE genomaster"] {
            sqlx::query(&format!("DELETE FROM naschain_home.{table} = $1"))
                .bind(id)
                .execute(self.journals.pool())
                .await?;
        }
        Ok(())
    }

    fn lock_others(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.others.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The others that are there, by their names, and their addresses.
    pub(super) fn others(&self) -> BTreeMap<String, String> {
        self.lock_others().clone()
    }

    /// The address of another genomaster that is there.
    pub(super) fn address_of(&self, id: &str) -> Option<String> {
        self.lock_others().get(id).cloned()
    }

    /// Waits until the genomaster at this address is not there any more.
    pub(super) async fn gone(&self, address: &str) {
        while self.lock_others().values().any(|one| one == address) {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// The names of all that are there, this one included.
    pub(super) fn alive(&self) -> BTreeSet<String> {
        let mut alive: BTreeSet<String> = self.lock_others().keys().cloned().collect();
        alive.insert(self.id.clone());
        alive
    }

    /// The users with runs that others lead.
    pub(super) fn users_elsewhere(&self) -> Vec<String> {
        let elsewhere = self.elsewhere.lock();
        let elsewhere = elsewhere.unwrap_or_else(PoisonError::into_inner);
        elsewhere.keys().cloned().collect()
    }

    /// Ends the session, so that the others take over at once.
    pub(super) async fn leave(&self) {
        if let Some(session) = self.session.lock().await.take() {
            let _ = session.close().await;
        }
    }

    /// The start of the ids of uploads that this genomaster has received.
    pub(super) fn upload_prefix(&self) -> &str {
        &self.id[..UPLOAD_PREFIX]
    }

    /// The address of the genomaster that has received an upload, unless it is this one; an error if
    /// it is not there.
    pub(super) fn receiver_of(&self, upload: &str) -> Result<Option<String>> {
        let Some(prefix) = upload.get(..UPLOAD_PREFIX) else {
            return Ok(None);
        };
        if prefix == self.upload_prefix() {
            return Ok(None);
        }
        let others = self.lock_others();
        let found = others.iter().find(|(id, _)| id.starts_with(prefix));
        let (_, address) = found.context(
            "the genomaster that receives this upload is not there now; the upload goes on when it is back, or begin it again",
        )?;
        Ok(Some(address.clone()))
    }
}

/// The client for requests to other genomasters.
fn client(ca_file: Option<&Path>) -> Result<reqwest::Client> {
    let mut client = reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(2))
        // Longer than any answer, and any pause of a stream, takes.
        .read_timeout(Duration::from_secs(60))
        .tcp_keepalive(Duration::from_secs(5))
        .pool_idle_timeout(Duration::from_secs(20))
        // What genomasters send each other is for nobody else.
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none());
    for certificate in ca_file.map(certificates).transpose()?.unwrap_or_default() {
        client = client.add_root_certificate(certificate);
    }
    Ok(client.build()?)
}

/// Digits at the start of an upload's id that name the genomaster.
const UPLOAD_PREFIX: usize = 8;

/// The number of the advisory lock of a genomaster.
fn lock_of(id: &str) -> i64 {
    let hash = blake3::hash(id.as_bytes());
    let first = hash.as_bytes().first_chunk().copied();
    i64::from_le_bytes(first.unwrap_or_default())
}

/// The name of the genomaster with this folder, drawn at its first start.
fn own_id(dir: &Path) -> Result<String> {
    let file = dir.join(ID_FILE);
    if let Ok(text) = std::fs::read_to_string(&file) {
        let id: Result<Digest, _> = text.trim().parse();
        let id = id.with_context(|| format!("{} is damaged", file.display()))?;
        return Ok(id.to_string());
    }
    let id = Digest(random_bytes()?).to_string();
    write_whole(&file, id.as_bytes())?;
    Ok(id)
}
