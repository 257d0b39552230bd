//! Reading of files with bounds on memory.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use crate::Error;

/// Maximum size of a data file; no supported format needs more.
pub(super) const MAX_BYTES: u64 = 1 << 32;
/// Maximum compression ratio of deflate (<https://zlib.net/zlib_tech.html>).
const MAX_DEFLATE_RATIO: u64 = 1032;
/// Data of at most this size may have any compression ratio.
const FREE_BYTES: u64 = 256 << 20;
/// Maximum compression ratio of larger data. Images compress by much less; a file that claims more
/// is an attack on the memory of its reader.
const MAX_RATIO: u64 = 100;
/// Typical maximum compression ratio of images. Memory is reserved for this ratio and grows beyond
/// it only as data arrives.
const TYPICAL_DEFLATE_RATIO: u64 = 8;

/// The path of the file `name` or of `name.gz`, if one exists.
pub(super) fn file_or_gzip(dir: &Path, name: &str) -> Option<PathBuf> {
    let paths = [dir.join(name), dir.join(format!("{name}.gz"))];
    paths.into_iter().find(|path| path.is_file())
}

pub(super) fn io(path: &Path, source: std::io::Error) -> Error {
    Error::Io {
        path: path.to_owned(),
        source,
    }
}

pub(super) fn malformed(path: &Path, problem: impl Into<String>) -> Error {
    Error::Malformed {
        path: path.to_owned(),
        problem: problem.into(),
    }
}

/// A file's bytes, decompressed if its name ends in `.gz`.
pub(super) struct Input<R> {
    pub(super) reader: R,
    /// Maximum number of bytes that the file can decompress to.
    max_bytes: u64,
    /// Number of bytes to reserve memory for.
    typical_bytes: u64,
}

impl Input<Box<dyn Read>> {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let (file, stored) = open(path)?;
        let file = BufReader::new(file);
        if path.extension().is_some_and(|extension| extension == "gz") {
            return Ok(Input::deflated(Box::new(MultiGzDecoder::new(file)), stored));
        }
        Ok(Input {
            reader: Box::new(file),
            max_bytes: stored,
            typical_bytes: stored,
        })
    }
}

impl<R: Read> Input<R> {
    /// `reader` decompresses a deflate stream of `stored` bytes.
    pub(super) fn deflated(reader: R, stored: u64) -> Input<R> {
        Input {
            reader,
            max_bytes: stored
                .saturating_mul(MAX_DEFLATE_RATIO)
                .min(max_decompressed_bytes(stored)),
            typical_bytes: stored.saturating_mul(TYPICAL_DEFLATE_RATIO),
        }
    }

    /// Reads the rest of the file, which must be `expected` bytes. Reserves no more memory than a
    /// file of this size can hold, whatever its header claims.
    pub(super) fn read_rest(self, expected: u128) -> Result<Vec<u8>, String> {
        let max = u128::from(self.max_bytes.min(MAX_BYTES));
        if expected > max {
            return Err(format!(
                "its header claims {expected} bytes of data; a file of this size can hold at most {max}"
            ));
        }
        read_exactly(self.reader, expected as u64, self.typical_bytes)
    }
}

/// Maximum size of the data in a compressed file of `stored` bytes.
pub(super) fn max_decompressed_bytes(stored: u64) -> u64 {
    stored
        .saturating_mul(MAX_RATIO)
        .clamp(FREE_BYTES, MAX_BYTES)
}

/// A file and its length.
pub(super) fn open(path: &Path) -> Result<(File, u64), Error> {
    let file = File::open(path).map_err(|source| io(path, source))?;
    let metadata = file.metadata().map_err(|source| io(path, source))?;
    Ok((file, metadata.len()))
}

fn read_exactly(reader: impl Read, expected: u64, typical: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(expected.min(typical) as usize);
    let mut reader = reader.take(expected + 1);
    reader.read_to_end(&mut bytes).map_err(read_problem)?;
    let found = bytes.len() as u64;
    match found.cmp(&expected) {
        std::cmp::Ordering::Equal => Ok(bytes),
        std::cmp::Ordering::Less => Err(format!(
            "its header claims {expected} bytes of data; it has {found}"
        )),
        std::cmp::Ordering::Greater => Err(format!(
            "its header claims {expected} bytes of data; it has more"
        )),
    }
}

/// Describes the failure to read a truncated or corrupt file.
pub(super) fn read_problem(error: std::io::Error) -> String {
    match error.kind() {
        ErrorKind::UnexpectedEof => "it is truncated".to_owned(),
        _ => format!("it cannot be read: {error}"),
    }
}
