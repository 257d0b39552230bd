//! What a validator remembers when it is restarted: the genomaster at each address, and of each run
//! what it has verified.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use naschain_consensus::{JobId, Row};
use naschain_core::Digest;
use naschain_run::{Equivocation, JournalHead, SampleSecret, SignedHead};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::files::user_state_folder;
use crate::files::write_whole;
use crate::random::random_bytes;

/// Addresses of genomasters by URL.
const GENOMASTERS_FILE: &str = "genomasters.json";
const SECRET_FILE: &str = "secret";

/// A validator's folder.
#[derive(Clone, Debug)]
pub(crate) struct StateFolder(PathBuf);

/// What was verified of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SavedRun {
    /// The run.
    pub run: Digest,
    /// The genomaster's address, if it has one.
    pub genomaster: Option<String>,
    /// Number of verified events of the journal.
    pub events: u64,
    /// The hash of the last one.
    #[serde(rename = "events_link")]
    pub events_hash: Digest,
    /// Number of ended jobs.
    #[serde(rename = "batches")]
    pub jobs: usize,
    /// The hash of their history.
    #[serde(rename = "batches_link")]
    pub jobs_hash: Digest,
    /// The latest heads that the genomaster has signed, the last one at the end.
    pub heads: Vec<SignedHead>,
    /// Results of the validator's own trainings.
    pub retrained: BTreeMap<JobId, Row>,
}

impl SavedRun {
    /// The verified position in the journal.
    pub(crate) fn journal(&self) -> JournalHead {
        JournalHead {
            number: self.events,
            hash: self.events_hash,
        }
    }
}

impl StateFolder {
    /// The default folder: `naschain/validator` in the user's folder for state.
    pub(crate) fn default_path() -> Result<PathBuf> {
        user_state_folder("validator")
            .ok_or_else(|| anyhow!("HOME is not set; give a folder for the validator with --state"))
    }

    /// Opens a folder, which is created if it is missing.
    pub(crate) fn open(path: PathBuf) -> Result<StateFolder> {
        let created = std::fs::create_dir_all(&path);
        created.with_context(|| format!("cannot create {}", path.display()))?;
        Ok(StateFolder(path))
    }

    /// A file of this name.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The file of a run.
    pub(crate) fn run_file(&self, run: Digest) -> PathBuf {
        self.0.join(format!("{run}.json"))
    }

    /// The file of the proof that the genomaster has signed two histories of a run.
    pub(crate) fn equivocation_file(&self, run: Digest) -> PathBuf {
        self.0.join(format!("{run}-two-histories.json"))
    }

    /// The file of the proof that a ruling of the referee is wrong.
    pub(crate) fn wrong_ruling_file(&self, run: Digest, job: JobId) -> PathBuf {
        self.0.join(format!("{run}-wrong-ruling-{}.json", job.0))
    }

    /// The file of the proof that a job has wrong rows.
    pub(crate) fn wrong_job_file(&self, run: Digest, job: JobId) -> PathBuf {
        self.0.join(format!("{run}-wrong-batch-{}.json", job.0))
    }

    /// What was verified of a run before, if anything.
    ///
    /// # Errors
    /// If the file cannot be read: then nothing may be trusted instead.
    pub(crate) fn run(&self, run: Digest) -> Result<Option<SavedRun>> {
        read(&self.run_file(run))
    }

    /// Replaces what was verified of a run.
    pub(crate) fn save_run(&self, record: &SavedRun) -> Result<()> {
        write(&self.run_file(record.run), record)
    }

    /// The proof that the genomaster of this run has signed two histories, if there is a valid one.
    pub(crate) fn equivocation(&self, run: Digest) -> Result<Option<Equivocation>> {
        let file = self.equivocation_file(run);
        let Some(proof) = read::<Equivocation>(&file)? else {
            return Ok(None);
        };
        let checked = proof.check();
        checked.with_context(|| format!("{} is not a proof", file.display()))?;
        Ok(Some(proof))
    }

    /// Writes a proof.
    pub(crate) fn save_proof(&self, file: &Path, proof: &impl Serialize) -> Result<()> {
        write(file, proof)
    }

    /// Compares the genomaster's address with that of earlier times, and remembers the first one.
    /// `required` is the address that the operator demands; it replaces the remembered one. Returns
    /// what is wrong, if anything.
    pub(crate) fn pin(
        &self,
        url: &str,
        found: Option<&str>,
        required: Option<&str>,
    ) -> Result<Option<String>> {
        let file = self.0.join(GENOMASTERS_FILE);
        let mut pins: BTreeMap<String, String> = read(&file)?.unwrap_or_default();
        let url = without_passwords(url);
        let pinned = pins.get(&url).map(String::as_str);
        if pinned == found {
            return Ok(None);
        }
        match (pinned, found) {
            (Some(pinned), _) if required.is_none() => {
                let found = found.unwrap_or("without a hotkey");
                Ok(Some(format!(
                    "the genomaster at {url} was {pinned} and is now {found}; if that is right, give --genomaster-hotkey or remove its line from {}",
                    file.display()
                )))
            }
            (_, Some(found)) => {
                pins.insert(url, found.to_owned());
                write(&file, &pins)?;
                Ok(None)
            }
            (_, None) => Ok(None),
        }
    }

    /// The secret that draws this validator's sample of jobs; drawn at first use.
    pub(crate) fn sample_secret(&self) -> Result<SampleSecret> {
        let path = self.0.join(SECRET_FILE);
        if let Some(secret) = read::<Digest>(&path)? {
            return Ok(SampleSecret(secret.0));
        }
        let secret = random_bytes()?;
        write(&path, &Digest(secret))?;
        Ok(SampleSecret(secret))
    }
}

/// The addresses of genomasters without user and password, which do not belong into the file.
pub(crate) fn without_passwords(urls: &str) -> String {
    let clean = |url: &str| match reqwest::Url::parse(url) {
        Ok(mut url) => {
            // Only URLs without a host have neither, and the client refuses those.
            let _ = url.set_username("");
            let _ = url.set_password(None);
            url.to_string()
        }
        Err(_) => url.to_owned(),
    };
    urls.split(',').map(clean).collect::<Vec<_>>().join(",")
}

fn read<T: DeserializeOwned>(file: &Path) -> Result<Option<T>> {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).context(format!("cannot read {}", file.display())),
    };
    let parsed = serde_json::from_str(&text).with_context(|| {
        format!(
            "{} is damaged; restore it, or remove it to start over",
            file.display()
        )
    });
    parsed.map(Some)
}

/// Writes a file atomically. Only its owner may read it: it may be the secret.
fn write(file: &Path, content: &impl Serialize) -> Result<()> {
    // Created before with these permissions, which the writer keeps.
    let partial = file.with_extension("partial");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let opened = options.open(&partial);
    opened.with_context(|| format!("cannot write {}", file.display()))?;
    write_whole(file, &serde_json::to_vec_pretty(content)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_folder::test_folder;

    fn folder(test: &str) -> StateFolder {
        StateFolder::open(test_folder(&format!("state-{test}"))).unwrap()
    }

    #[test]
    fn the_first_address_of_a_genomaster_is_kept() {
        let folder = folder("pins");
        let url = "http://me:secret@genomaster:5000";
        let pin = |found, required| folder.pin(url, found, required).unwrap();
        assert_eq!(pin(None, None), None);
        assert_eq!(pin(Some("A"), None), None);
        assert_eq!(pin(Some("A"), None), None);
        let problem = pin(Some("B"), None).unwrap();
        assert!(problem.contains("was A and is now B"), "{problem}");
        let problem = pin(None, None).unwrap();
        assert!(problem.contains("without a hotkey"), "{problem}");
        assert_eq!(pin(Some("B"), Some("B")), None);
        assert!(pin(Some("A"), None).is_some());
        let text = std::fs::read_to_string(folder.0.join(GENOMASTERS_FILE)).unwrap();
        assert!(!text.contains("secret"), "{text}");
        std::fs::remove_dir_all(folder.0).unwrap();
    }

    #[test]
    fn the_secret_stays_and_a_damaged_file_is_an_error() {
        let folder = folder("secret");
        let first = folder.sample_secret().unwrap();
        assert!(folder.sample_secret().unwrap() == first);
        std::fs::write(folder.0.join(SECRET_FILE), "x").unwrap();
        let error = folder.sample_secret().unwrap_err();
        assert!(format!("{error:#}").contains("is damaged"), "{error:#}");
        std::fs::remove_dir_all(folder.0).unwrap();
    }
}
