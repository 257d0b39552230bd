//! `genomaster check-upload`: reads what a user has uploaded, in a process that can be killed.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use naschain_core::Shape;
use naschain_train::{DataName, Dataset, PackedDataset};

use crate::archive::{Kind, is_npz, kind_of, unpack};
use crate::cli::data_args::{DataChoice, image_shape, resized};
use crate::hosting::upload_checks::CheckedData;

/// Bytes that are written at a time.
const PART_BYTES: usize = 4 << 20;

/// Flags of the command.
#[derive(Args, Debug)]
pub struct CheckUploadArgs {
    /// The uploaded file
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// Folder for unpacking and for the packed data set
    #[arg(long, value_name = "DIR")]
    work: PathBuf,
    /// Size to which pictures are scaled
    #[arg(long, value_name = "N|CxHxW", value_parser = image_shape)]
    image_size: Option<Shape>,
    /// Leave out pictures that cannot be read
    #[arg(long)]
    skip_bad: bool,
    /// Maximum size of what is unpacked, and of the packed data set
    #[arg(long, value_name = "BYTES")]
    max_bytes: u64,
    /// Maximum memory of this process
    #[arg(long, value_name = "BYTES")]
    max_memory: u64,
    /// Maximum processor time of this process
    #[arg(long, value_name = "SECONDS")]
    max_seconds: u64,
}

/// Reads the upload, writes `WORK/packed`, and describes it in a line of JSON.
pub(super) fn check_upload(args: &CheckUploadArgs) -> Result<String> {
    limit(args)?;
    end_with_parent();
    let choice = chosen(args)?;
    let name = resized(&choice.name, args.image_size)?;
    let dataset = if args.skip_bad {
        Dataset::load_readable(&name, choice.dir.as_deref())?.0
    } else {
        Dataset::load(&name, choice.dir.as_deref())?
    };
    let packed = PackedDataset::new(&dataset);
    anyhow::ensure!(
        packed.size() <= args.max_bytes,
        "its {} images of {} take {} bytes; {} are allowed: scale them to a smaller --image-size",
        dataset.train.len() + dataset.test.len(),
        dataset.shape,
        packed.size(),
        args.max_bytes
    );
    write_packed(&packed, &args.work.join("packed"))?;
    let checked = CheckedData {
        digest: dataset.digest(),
        kind: dataset.name.clone(),
        bytes: packed.size(),
        train_images: dataset.train.len() as u64,
        test_images: dataset.test.len() as u64,
        classes: dataset.classes as u64,
        class_names: dataset.class_names().to_vec(),
    };
    Ok(serde_json::to_string(&checked)? + "\n")
}

/// What the upload is.
fn chosen(args: &CheckUploadArgs) -> Result<DataChoice> {
    let kind = kind_of(&args.file)?;
    if kind == Kind::Zip && is_npz(&args.file)? {
        let dir = args.work.join("npz");
        std::fs::create_dir_all(&dir)?;
        std::fs::hard_link(&args.file, dir.join("upload.npz"))
            .or_else(|_| std::fs::copy(&args.file, dir.join("upload.npz")).map(drop))?;
        return Ok(DataChoice {
            name: DataName::Npz("upload.npz".to_owned()),
            dir: Some(dir),
        });
    }
    let root = unpack(&args.file, kind, &args.work.join("files"), args.max_bytes)?;
    DataChoice::in_folder(&root)
}

fn write_packed(packed: &PackedDataset, path: &Path) -> Result<()> {
    let context = || format!("cannot write {}", path.display());
    let mut file = File::create(path).with_context(context)?;
    let mut start = 0;
    while start < packed.size() {
        let part = packed.read(start, PART_BYTES)?;
        file.write_all(&part).with_context(context)?;
        start += part.len() as u64;
    }
    file.sync_all().with_context(context)
}

/// Ends this process when standard input is closed, which the genomaster holds open as long as it runs.
fn end_with_parent() {
    std::thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        std::process::exit(1);
    });
}

/// Limits what this process may use, whatever the upload makes it do.
fn limit(args: &CheckUploadArgs) -> Result<()> {
    #[cfg(unix)]
    {
        use rlimit::{Resource, setrlimit};
        let limits = [
            (Resource::AS, args.max_memory),
            (Resource::CPU, args.max_seconds),
            (Resource::FSIZE, args.max_bytes),
            (Resource::CORE, 0),
        ];
        for (resource, most) in limits {
            setrlimit(resource, most, most)?;
        }
    }
    Ok(())
}
