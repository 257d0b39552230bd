use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// A file of this kind has less than 100 KiB.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// An extrinsic that was sent, or was about to be sent, and whose end is not known yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sent {
    /// The account's nonce in it.
    pub nonce: u32,
    /// Its hash, in hexadecimal.
    pub extrinsic: String,
    /// The last block that can include it.
    pub last_block: u64,
    /// The latest finalised block in which it was searched for.
    pub searched: u64,
    /// The weights by uid.
    pub weights: Vec<(u16, u16)>,
    /// What is to be revealed, if it is a commit.
    pub commit: Option<Commit>,
}

/// A timelocked commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commit {
    /// The encrypted weights, in hexadecimal.
    pub sealed: String,
    /// The round of drand that decrypts them.
    pub round: u64,
    /// The block that reveals them, or the first that can.
    pub reveal_block: u64,
    /// After this block they are not revealed any more.
    pub last_reveal_block: u64,
    /// The weights by uid.
    pub weights: Vec<(u16, u16)>,
}

/// What has to survive a restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct State {
    /// The chain's genesis hash, in hexadecimal; empty before the first connection.
    pub genesis: String,
    pub netuid: u16,
    /// The hotkey's address.
    pub hotkey: String,
    /// The block in which weights were last set or committed; 0 if never.
    pub settled_block: u64,
    pub sent: Option<Sent>,
    /// Commits that are included and not seen revealed yet.
    pub commits: Vec<Commit>,
}

/// The file of a [`State`]. It is locked, so that two programs never send for one hotkey.
pub(crate) struct StateFile {
    path: PathBuf,
    pub state: State,
    _lock: File,
}

impl StateFile {
    /// Opens the file, or creates it if it is missing.
    pub(crate) fn open(path: &Path, netuid: u16, hotkey: &str) -> Result<StateFile, Error> {
        let failed = |error: std::io::Error| problem(path, error);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.with_extension("lock"))
            .map_err(failed)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => problem(path, "another program uses it"),
            TryLockError::Error(error) => problem(path, format!("it cannot be locked: {error}")),
        })?;
        let mut text = String::new();
        let state = match File::open(path) {
            Ok(file) => {
                let mut file = file.take(MAX_FILE_BYTES);
                file.read_to_string(&mut text).map_err(failed)?;
                let state: State = serde_json::from_str(&text)
                    .map_err(|error| problem(path, format!("it is damaged: {error}; restore it, or delete it when 64 blocks have passed since the validator last ran")))?;
                if (state.netuid, state.hotkey.as_str()) != (netuid, hotkey) {
                    let (netuid, hotkey) = (state.netuid, &state.hotkey);
                    let reason = format!("it is of hotkey {hotkey} on subnet {netuid}");
                    return Err(problem(path, reason));
                }
                state
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => State {
                genesis: String::new(),
                netuid,
                hotkey: hotkey.to_owned(),
                settled_block: 0,
                sent: None,
                commits: Vec::new(),
            },
            Err(error) => return Err(failed(error)),
        };
        Ok(StateFile {
            path: path.to_owned(),
            state,
            _lock: lock,
        })
    }

    /// Writes the state so that it survives a power failure, before anything is sent.
    pub(crate) fn save(&self) -> Result<(), Error> {
        let write = || -> std::io::Result<()> {
            let partial = self.path.with_extension("partial");
            let mut file = File::create(&partial)?;
            file.write_all(&serde_json::to_vec_pretty(&self.state)?)?;
            file.sync_all()?;
            std::fs::rename(&partial, &self.path)?;
            #[cfg(unix)]
            if let Some(folder) = self
                .path
                .parent()
                .filter(|path| !path.as_os_str().is_empty())
            {
                File::open(folder)?.sync_all()?;
            }
            Ok(())
        };
        write().map_err(|error| problem(&self.path, error))
    }

    pub(crate) fn problem(&self, reason: impl ToString) -> Error {
        problem(&self.path, reason)
    }
}

fn problem(path: &Path, reason: impl ToString) -> Error {
    Error::StateFile {
        path: path.display().to_string(),
        reason: reason.to_string(),
    }
}
