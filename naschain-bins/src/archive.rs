//! Unpacking archives of strangers: ZIP and tar, with limits on files, bytes and names.

use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::printable::printable;

/// Files of an archive, at most.
const MAX_FILES: u64 = 2_000_000;
/// Bytes of one file, at most: a picture is far smaller.
const MAX_FILE_BYTES: u64 = 64 << 20;
/// Folders above a file, at most.
const MAX_DEPTH: usize = 8;

/// What a file is, by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// ZIP; NumPy archives are ZIP files as well.
    Zip,
    Tar,
    /// A tar that is compressed by gzip.
    TarGz,
}

/// What a file is.
///
/// # Errors
/// If it is none of these.
pub(crate) fn kind_of(path: &Path) -> Result<Kind> {
    let mut start = Vec::new();
    File::open(path)?.take(512).read_to_end(&mut start)?;
    Ok(match &start[..] {
        // The second is that of an archive without files.
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Kind::Zip,
        [0x1f, 0x8b, ..] => Kind::TarGz,
        _ if start.len() > 262 && &start[257..262] == b"ustar" => Kind::Tar,
        _ => bail!(
            "it is neither a ZIP nor a tar archive (.tar or .tar.gz) nor a NumPy archive (.npz)"
        ),
    })
}

/// Whether a ZIP file is a NumPy archive.
pub(crate) fn is_npz(path: &Path) -> Result<bool> {
    let archive = zip::ZipArchive::new(BufReader::new(File::open(path)?));
    let archive = archive.context("the ZIP archive cannot be read")?;
    let is_npy = |name: &str| name.ends_with(".npy");
    Ok(archive.file_names().flatten().any(|name| is_npy(&name)))
}

/// Unpacks an archive of pictures into a new folder, and returns the folder that holds the classes.
/// What is neither a file nor a folder, such as links, is refused.
///
/// # Errors
/// If it has more files or bytes than allowed, or a name that leads out of the folder.
pub(crate) fn unpack(archive: &Path, kind: Kind, dir: &Path, max_bytes: u64) -> Result<PathBuf> {
    std::fs::create_dir_all(dir)?;
    let mut unpacked = Unpacked {
        dir: dir.to_owned(),
        files: 0,
        bytes: 0,
        max_bytes,
    };
    let file = BufReader::new(File::open(archive)?);
    match kind {
        Kind::Zip => unpacked.zip(file)?,
        Kind::Tar => unpacked.tar(file)?,
        Kind::TarGz => unpacked.tar(flate2::read::MultiGzDecoder::new(file))?,
    }
    ensure!(unpacked.files > 0, "the archive has no files");
    Ok(root_of(dir))
}

/// An archive often has one folder that holds everything else.
fn root_of(dir: &Path) -> PathBuf {
    let mut root = dir.to_owned();
    while let Ok(entries) = std::fs::read_dir(&root) {
        let inside: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        match &inside[..] {
            [only] if only.is_dir() => root.clone_from(only),
            _ => break,
        }
    }
    root
}

struct Unpacked {
    dir: PathBuf,
    files: u64,
    bytes: u64,
    max_bytes: u64,
}

impl Unpacked {
    fn zip(&mut self, file: impl Read + std::io::Seek) -> Result<()> {
        let archive = zip::ZipArchive::new(file);
        let mut archive = archive.context("the ZIP archive cannot be read")?;
        for index in 0..archive.len() {
            let entry = archive.by_index(index);
            let mut entry = entry.with_context(|| format!("file {index} of the ZIP archive"))?;
            if entry.is_dir() {
                continue;
            }
            let raw = std::str::from_utf8(entry.name_raw());
            raw.context("a name in the ZIP archive is not UTF-8; pack it again with UTF-8 names")?;
            let name = entry
                .name()
                .context("a name in the ZIP archive")?
                .into_owned();
            ensure!(
                entry.is_file() && !entry.is_symlink(),
                "{} is neither a file nor a folder",
                printable(&name)
            );
            self.file(Path::new(&name), &mut entry)?;
        }
        Ok(())
    }

    fn tar(&mut self, file: impl Read) -> Result<()> {
        let mut archive = tar::Archive::new(file);
        for entry in archive
            .entries()
            .context("the tar archive cannot be read")?
        {
            let mut entry = entry.context("the tar archive is damaged")?;
            let kind = entry.header().entry_type();
            if kind.is_dir() || kind.is_pax_global_extensions() {
                continue;
            }
            let path = entry.path()?.into_owned();
            ensure!(
                kind.is_file(),
                "{} is neither a file nor a folder",
                printable(&path.display().to_string())
            );
            self.file(&path, &mut entry)?;
        }
        Ok(())
    }

    /// Writes one file of the archive.
    fn file(&mut self, name: &Path, content: &mut impl Read) -> Result<()> {
        let shown = printable(&name.display().to_string()).into_owned();
        let mut parts = Vec::new();
        for part in name.components() {
            match part {
                Component::Normal(part) => match part.to_str() {
                    Some(text) if !text.contains('\\') => parts.push(text),
                    Some(_) => bail!("the name {shown} has a backslash"),
                    None => bail!(
                        "the name {shown} is not UTF-8; pack the archive again with UTF-8 names"
                    ),
                },
                Component::CurDir => {}
                _ => bail!("the name {shown} leads out of the archive"),
            }
        }
        // Of macOS and of version control; never pictures.
        let is_hidden = |part: &&str| part.starts_with('.') || *part == "__MACOSX";
        if parts.iter().any(is_hidden) {
            return Ok(());
        }
        ensure!(
            (1..=MAX_DEPTH).contains(&parts.len()),
            "{shown} is in {} folders; {MAX_DEPTH} are allowed",
            parts.len()
        );
        self.files += 1;
        ensure!(
            self.files <= MAX_FILES,
            "the archive has more than {MAX_FILES} files"
        );
        let path: PathBuf = parts
            .iter()
            .fold(self.dir.clone(), |path, part| path.join(part));
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(|| shown.clone())?;
        }
        let mut file =
            File::create_new(&path).with_context(|| format!("{shown} is there twice"))?;
        let most = MAX_FILE_BYTES.min(self.max_bytes - self.bytes);
        let mut limited = content.take(most + 1);
        let written = std::io::copy(&mut limited, &mut file);
        let written = written.with_context(|| format!("{shown} cannot be unpacked"))?;
        ensure!(
            written <= MAX_FILE_BYTES,
            "{shown} has more than {} MiB",
            MAX_FILE_BYTES >> 20
        );
        ensure!(
            written <= most,
            "the archive unpacks to more than {} bytes, which is what is left for it",
            self.max_bytes
        );
        file.flush()?;
        self.bytes += written;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_folder::test_folder;

    fn zip_of(path: &Path, files: &[(&str, &[u8])]) {
        let mut zip = zip::ZipWriter::new(File::create(path).unwrap());
        for (name, content) in files {
            let options = zip::write::SimpleFileOptions::default();
            zip.start_file(*name, options).unwrap();
            zip.write_all(content).unwrap();
        }
        zip.finish().unwrap();
    }

    #[test]
    fn an_archive_is_unpacked_below_its_only_folder() {
        let dir = test_folder("archive");
        let path = dir.join("a.zip");
        let files: [(&str, &[u8]); 4] = [
            ("pets/cat/1.png", b"1"),
            ("pets/dog/2.png", b"2"),
            ("__MACOSX/pets/._1.png", b"3"),
            ("pets/.DS_Store", b"4"),
        ];
        zip_of(&path, &files);
        assert_eq!(kind_of(&path).unwrap(), Kind::Zip);
        assert!(!is_npz(&path).unwrap());
        let root = unpack(&path, Kind::Zip, &dir.join("out"), 1 << 20).unwrap();
        assert_eq!(root, dir.join("out/pets"));
        assert_eq!(std::fs::read(root.join("dog/2.png")).unwrap(), b"2");
        assert!(!root.join(".DS_Store").exists());
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn names_that_lead_out_and_archives_that_unpack_to_too_much_are_refused() {
        let dir = test_folder("archive-bad");
        let path = dir.join("a.zip");
        let problem = |files: &[(&str, &[u8])], most: u64, out: &str| {
            zip_of(&path, files);
            let unpacked = unpack(&path, Kind::Zip, &dir.join(out), most);
            format!("{:#}", unpacked.unwrap_err())
        };
        let error = problem(&[("../evil", b"x")], 100, "1");
        assert!(error.contains("leads out of the archive"), "{error}");
        assert!(!dir.join("evil").exists());
        let error = problem(&[("/etc/evil", b"x")], 100, "2");
        assert!(error.contains("leads out of the archive"), "{error}");
        let zeros = vec![0; 1_000];
        let error = problem(&[("a/1", &zeros), ("a/2", &zeros)], 1_500, "3");
        assert!(error.contains("unpacks to more than 1500"), "{error}");
        let error = problem(&[("a/b/c/d/e/f/g/h/i", b"x")], 100, "4");
        assert!(error.contains("in 9 folders"), "{error}");
        let error = problem(&[], 100, "5");
        assert!(error.contains("no files"), "{error}");
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn links_in_a_tar_are_refused() {
        let dir = test_folder("archive-tar");
        let path = dir.join("a.tar");
        let mut tar = tar::Builder::new(File::create(&path).unwrap());
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        tar.append_link(&mut header, "a/link", "/etc/passwd")
            .unwrap();
        tar.into_inner().unwrap();
        assert_eq!(kind_of(&path).unwrap(), Kind::Tar);
        let unpacked = unpack(&path, Kind::Tar, &dir.join("out"), 100);
        let error = format!("{:#}", unpacked.unwrap_err());
        assert!(error.contains("neither a file nor a folder"), "{error}");
        std::fs::remove_dir_all(dir).unwrap();
    }
}
