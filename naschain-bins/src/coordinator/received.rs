//! Files that miners deliver in parts, until they are complete.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use naschain_consensus::QuestionId;

use crate::files::create_folder;

/// Ending of the file of an incomplete delivery.
const PART: &str = "part";

/// A part of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FilePart {
    /// Where it begins in the file, in bytes.
    pub offset: u64,
    /// The size of the whole file.
    pub size: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// Why a part is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrongPart {
    /// It leaves a gap, or repeats what was received.
    #[error("offset is {offset}; the next part begins at {received}")]
    Offset {
        /// Where it begins.
        offset: u64,
        /// Where it should begin.
        received: u64,
    },
    /// It goes beyond the end, or is empty.
    #[error("the part has {bytes} bytes from {offset} on; the file has {size}")]
    Length {
        /// Where it begins.
        offset: u64,
        /// Its length.
        bytes: u64,
        /// The size of the file.
        size: u64,
    },
    /// The file is larger than what was asked for can be.
    #[error("size is {size}; a file of this network has at most {most} bytes")]
    Size {
        /// The size announced.
        size: u64,
        /// The largest one.
        most: u64,
    },
}

/// Folder of incomplete files, one for each question.
pub(super) struct ReceivedFiles {
    dir: PathBuf,
}

impl ReceivedFiles {
    pub(super) fn in_folder(dir: PathBuf) -> ReceivedFiles {
        ReceivedFiles { dir }
    }

    fn path(&self, question: QuestionId) -> PathBuf {
        let name = format!("question-{}", question.0);
        self.dir.join(name).with_extension(PART)
    }

    /// How many bytes of the answer to this question were received.
    pub(super) fn received(&self, question: QuestionId) -> Result<u64> {
        let path = self.path(question);
        match std::fs::metadata(&path) {
            Ok(file) => Ok(file.len()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// Adds a part of at most `most` bytes in all. Returns the bytes of the file once it is complete.
    /// The caller must not add two parts of one file at a time.
    pub(super) fn add(
        &self,
        question: QuestionId,
        part: &FilePart,
        most: u64,
    ) -> Result<Result<Option<Vec<u8>>, WrongPart>> {
        if part.offset == 0 {
            // The miner begins again, as after a file that was wrong.
            self.forget(question);
        }
        let received = self.received(question)?;
        if let Err(wrong) = check(part, received, most) {
            return Ok(Err(wrong));
        }
        create_folder(&self.dir)?;
        let path = self.path(question);
        let written = write_at(&path, part);
        written.with_context(|| format!("cannot write {}", path.display()))?;
        if part.offset + (part.bytes.len() as u64) < part.size {
            return Ok(Ok(None));
        }
        let whole = std::fs::read(&path);
        Ok(Ok(Some(whole.with_context(|| {
            format!("cannot read {}", path.display())
        })?)))
    }

    /// Forgets what was received for a question.
    pub(super) fn forget(&self, question: QuestionId) {
        // There is no file if nothing was received.
        let _ = std::fs::remove_file(self.path(question));
    }

    /// Forgets the parts for all other questions than these.
    pub(super) fn keep_only(&self, open: &BTreeSet<QuestionId>) {
        let keep: BTreeSet<PathBuf> = open.iter().map(|id| self.path(*id)).collect();
        let files = std::fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let paths = files.map(|file| file.path());
        let is_part = |path: &PathBuf| path.extension().is_some_and(|ending| ending == PART);
        for path in paths.filter(|path| is_part(path) && !keep.contains(path)) {
            let _ = std::fs::remove_file(path);
        }
    }
}

fn check(part: &FilePart, received: u64, most: u64) -> Result<(), WrongPart> {
    let FilePart { offset, size, .. } = *part;
    let bytes = part.bytes.len() as u64;
    if size > most {
        return Err(WrongPart::Size { size, most });
    }
    if offset != received {
        return Err(WrongPart::Offset { offset, received });
    }
    if bytes == 0 || offset.saturating_add(bytes) > size {
        return Err(WrongPart::Length {
            offset,
            bytes,
            size,
        });
    }
    Ok(())
}

fn write_at(path: &Path, part: &FilePart) -> std::io::Result<()> {
    let mut options = File::options();
    options.create(true).write(true).truncate(false);
    let mut file = options.open(path)?;
    file.seek(SeekFrom::Start(part.offset))?;
    file.write_all(&part.bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_folder::test_folder;

    fn part(offset: u64, size: u64, bytes: &[u8]) -> FilePart {
        let bytes = bytes.to_vec();
        FilePart {
            offset,
            size,
            bytes,
        }
    }

    #[test]
    fn parts_make_a_file_and_wrong_ones_change_nothing() {
        let dir = test_folder("received");
        let files = ReceivedFiles::in_folder(dir.clone());
        let id = QuestionId(3);
        let add = |part| files.add(id, &part, 10).unwrap();
        assert_eq!(add(part(0, 5, b"ab")), Ok(None));
        assert_eq!(files.received(id).unwrap(), 2);
        let wrong = [
            (part(3, 5, b"d"), "offset is 3; the next part begins at 2"),
            (part(2, 5, b""), "the part has 0 bytes from 2 on"),
            (part(2, 5, b"cdef"), "the part has 4 bytes from 2 on"),
            (
                part(2, 11, b"c"),
                "size is 11; a file of this network has at most 10",
            ),
        ];
        for (part, text) in wrong {
            let error = add(part).unwrap_err().to_string();
            assert!(error.starts_with(text), "{error}");
        }
        // A restart of the program, and of the file.
        assert_eq!(add(part(0, 5, b"ab")), Ok(None));
        let again = ReceivedFiles::in_folder(dir.clone());
        let whole = again.add(id, &part(2, 5, b"cde"), 10).unwrap().unwrap();
        assert_eq!(whole.unwrap(), b"abcde");
        again.keep_only(&BTreeSet::from([QuestionId(4)]));
        assert_eq!(files.received(id).unwrap(), 0);
        std::fs::remove_dir_all(dir).unwrap();
    }
}
