//! `genomaster update`, `miner update`, `validator update`: whether there is another release, by its
//! signed manifest. Nothing is installed.

mod manifest;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde::Serialize;

use crate::cli::program::print;
use crate::cli::wallet_args::WalletArgs;
use crate::clock::unix_nanos;
use crate::commands::update::manifest::{
    MAX_MANIFEST_BYTES, MAX_SIGNATURE_BYTES, ReleaseFile, ReleaseManifest, numbers, own_protocols,
    sha256,
};
use crate::files::write_whole;
use crate::journal::versions::{are_compatible, versions, versions_of};

/// Time limit for fetching a manifest.
const FETCH_TIMEOUT: Duration = Duration::from_secs(30);
/// Exit codes; others are 0 and that of errors.
const EXIT_UPDATE_NOW: u8 = 10;
const EXIT_UPDATE_AFTER_RUN: u8 = 11;
const PROGRAMS: [&str; 3] = ["genomaster", "miner", "validator"];

/// What `--help` of the command ends with.
const EXIT_CODES: &str = "Exit codes:
   0  there is no newer release
  10  there is one with the same arithmetic: digests stay equal, runs go on
  11  there is one that does not go on with a run of this version: finish it first
   2  the manifest cannot be read, or --release-key has not signed it

The project has no place and no key for releases yet, so both have to be given.
Only the manifest and its signature are fetched; nothing is installed.";

/// Flags of the command.
#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub struct UpdateArgs {
    /// Say whether there is a newer release, and whether a run can go on with it
    #[arg(
        long,
        required_unless_present = "sign",
        requires = "manifest",
        requires = "release_key"
    )]
    check: bool,
    /// The manifest of the newest release. Its signature is at the same place with .sig added
    #[arg(long, value_name = "URL|FILE")]
    manifest: Option<String>,
    /// Address of the key that has to have signed the manifest
    #[arg(long, value_name = "SS58")]
    release_key: Option<String>,
    /// Print one JSON object
    #[arg(long, requires = "check")]
    json: bool,
    /// Write the manifest of a release of this version to FILE and its signature, by the key that
    /// --wallet.name and --wallet.hotkey name, to FILE.sig
    #[arg(long, value_name = "FILE", conflicts_with_all = ["check", "manifest", "release_key"], requires = "builds")]
    sign: Option<PathBuf>,
    #[command(flatten)]
    wallet: WalletArgs,
    /// With --sign: what the programs run on and the folder in which they are, such as
    /// x86_64-linux=target/release
    #[arg(value_name = "TARGET=FOLDER", requires = "sign")]
    builds: Vec<Build>,
}

/// The programs that were built for one kind of machine.
#[derive(Clone, Debug)]
struct Build {
    target: String,
    folder: PathBuf,
}

impl FromStr for Build {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Build> {
        let parts = text.split_once('=');
        let parts = parts.filter(|(target, folder)| target.contains('-') && !folder.is_empty());
        let (target, folder) = parts.with_context(|| {
            format!(
                "{text:?} must be a target and a folder, such as {}=target/release",
                target_here()
            )
        })?;
        Ok(Build {
            target: target.to_owned(),
            folder: folder.into(),
        })
    }
}

/// What the command finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum UpdateState {
    /// The release is this version.
    UpToDate,
    /// The release is older than this program.
    Ahead,
    /// The release is newer, and runs go on with it.
    UpdateNow,
    /// The release is newer, and runs do not go on with it.
    UpdateAfterRun,
}

/// What the command prints.
#[derive(Debug, Serialize)]
struct UpdateReport<'a> {
    state: UpdateState,
    version: &'static str,
    arithmetic: u32,
    release: &'a ReleaseManifest,
    program: &'static str,
    target: String,
    /// Whether this program's file is the one of the release, if that has its version and one for this
    /// machine.
    is_released_file: Option<bool>,
}

/// Checks for a release, or signs one. `program` is the name of this program.
pub async fn update(args: UpdateArgs, program: &'static str) -> Result<ExitCode> {
    if let Some(file) = &args.sign {
        print(&sign(file, &args.builds, &args.wallet)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let (Some(place), Some(key)) = (&args.manifest, &args.release_key) else {
        bail!("--check needs --manifest and --release-key");
    };
    let bytes = read(place, MAX_MANIFEST_BYTES).await?;
    let signature = read(&format!("{place}.sig"), MAX_SIGNATURE_BYTES).await;
    let signature = signature.context("a manifest without its signature is not trusted")?;
    let release = ReleaseManifest::verified(place, &bytes, &signature, key)?;
    let report = UpdateReport::new(&release, program)?;
    if args.json {
        print(&(serde_json::to_string(&report)? + "\n"))?;
    } else {
        print(&report.text())?;
    }
    Ok(match report.state {
        UpdateState::UpToDate | UpdateState::Ahead => ExitCode::SUCCESS,
        UpdateState::UpdateNow => EXIT_UPDATE_NOW.into(),
        UpdateState::UpdateAfterRun => EXIT_UPDATE_AFTER_RUN.into(),
    })
}

impl UpdateReport<'_> {
    fn new<'a>(release: &'a ReleaseManifest, program: &'static str) -> Result<UpdateReport<'a>> {
        let version = env!("CARGO_PKG_VERSION");
        let target = target_here();
        let state = state(release, version)?;
        let file = release.file(program, &target);
        let file = file.filter(|_| state == UpdateState::UpToDate);
        let own = || -> Result<String> {
            let path = std::env::current_exe().context("this program's file is not known")?;
            let bytes = std::fs::read(&path);
            Ok(sha256(&bytes.with_context(|| path.display().to_string())?))
        };
        let is_released_file = match file {
            Some(file) => Some(own()? == file.sha256),
            None => None,
        };
        Ok(UpdateReport {
            state,
            version,
            arithmetic: naschain_train::ARITHMETIC_VERSION,
            release,
            program,
            target,
            is_released_file,
        })
    }

    fn text(&self) -> String {
        let UpdateReport {
            version,
            arithmetic,
            release,
            program,
            target,
            ..
        } = self;
        let (newer, signed) = (&release.version, &release.signed);
        let file = match (release.file(program, target), self.is_released_file) {
            (None, _) => format!("it has no {program} for {target}\n"),
            (Some(_), Some(true)) => "this file is the one of the release\n".to_owned(),
            (Some(_), Some(false)) => {
                "this file is not the one of the release: it was built elsewhere, or changed\n"
                    .to_owned()
            }
            (Some(file), None) => format!(
                "{program} for {target}: {} bytes, SHA-256 {}\n",
                file.bytes, file.sha256
            ),
        };
        match self.state {
            UpdateState::UpToDate => {
                format!("{version} is the newest release, signed {signed}\n{file}")
            }
            UpdateState::Ahead => format!(
                "this program is {version}, newer than the release of the manifest, {newer}, signed {signed}\n"
            ),
            UpdateState::UpdateNow => format!(
                "{newer} is released, signed {signed}; this is {version}. It has the same arithmetic, {arithmetic}: digests stay equal, and a run goes on with it\n{file}"
            ),
            UpdateState::UpdateAfterRun => {
                let reason = if release.arithmetic != *arithmetic {
                    format!(
                        "It has arithmetic {}, this program {arithmetic}: digests will differ",
                        release.arithmetic
                    )
                } else if release.protocols != own_protocols() {
                    "It speaks other protocols, so all parties of a run change together".to_owned()
                } else {
                    "It has the same arithmetic, but may replay the journal of a run in another way"
                        .to_owned()
                };
                format!(
                    "{newer} is released, signed {signed}; this is {version}. {reason}: finish the run first\n{file}"
                )
            }
        }
    }
}

fn state(release: &ReleaseManifest, version: &str) -> Result<UpdateState> {
    let own = numbers(version)?;
    let released = numbers(&release.version)?;
    let of_release = versions_of(&release.version, release.arithmetic);
    let goes_on = are_compatible(&versions(), &of_release) && release.protocols == own_protocols();
    Ok(match released.cmp(&own) {
        std::cmp::Ordering::Equal => UpdateState::UpToDate,
        std::cmp::Ordering::Less => UpdateState::Ahead,
        std::cmp::Ordering::Greater if goes_on => UpdateState::UpdateNow,
        std::cmp::Ordering::Greater => UpdateState::UpdateAfterRun,
    })
}

/// Processor and operating system of this machine.
fn target_here() -> String {
    format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS)
}

/// Writes a signed manifest; returns what the command prints.
fn sign(file: &Path, builds: &[Build], wallet: &WalletArgs) -> Result<String> {
    let key = wallet.load()?;
    let mut files = Vec::new();
    for build in builds {
        for program in PROGRAMS {
            let path = build.folder.join(program);
            let bytes = std::fs::read(&path);
            let bytes = bytes.with_context(|| format!("cannot read {}", path.display()))?;
            files.push(ReleaseFile {
                program: program.to_owned(),
                target: build.target.clone(),
                bytes: bytes.len() as u64,
                sha256: sha256(&bytes),
            });
        }
    }
    let now = UNIX_EPOCH + Duration::from_nanos(unix_nanos());
    let signed = humantime::format_rfc3339_seconds(now).to_string();
    let count = files.len();
    let manifest = ReleaseManifest::of_this_version(signed, files);
    let (text, signature) = manifest.signed_by(&key)?;
    ensure!(
        text.len() <= MAX_MANIFEST_BYTES,
        "the manifest has {} bytes; the limit is {MAX_MANIFEST_BYTES}",
        text.len()
    );
    let mut beside = file.as_os_str().to_owned();
    beside.push(".sig");
    write_whole(file, text.as_bytes())?;
    write_whole(Path::new(&beside), signature.as_bytes())?;
    Ok(format!(
        "{} and {}: release {} with {count} files, signed by {}\n",
        file.display(),
        Path::new(&beside).display(),
        manifest.version,
        key.address()
    ))
}

/// Reads a file or what a URL shows, of at most `limit` bytes.
async fn read(place: &str, limit: usize) -> Result<Vec<u8>> {
    let bytes = if place.starts_with("http://") || place.starts_with("https://") {
        fetch(place, limit).await
    } else {
        let mut bytes = Vec::new();
        let file = File::open(place);
        file.and_then(|file| file.take(limit as u64 + 1).read_to_end(&mut bytes))
            .map(|_| bytes)
            .map_err(anyhow::Error::from)
    };
    let bytes = bytes.with_context(|| format!("cannot read {place}"))?;
    ensure!(
        bytes.len() <= limit,
        "{place} has more than {limit} bytes, the limit of such a file"
    );
    Ok(bytes)
}

/// May return a little more than `limit`.
async fn fetch(url: &str, limit: usize) -> Result<Vec<u8>> {
    let client = reqwest::Client::builder().timeout(FETCH_TIMEOUT).build()?;
    let response = client.get(url).send().await;
    let response = response.and_then(reqwest::Response::error_for_status);
    // The caller names the place.
    let mut response = response.map_err(reqwest::Error::without_url)?;
    let mut bytes = Vec::new();
    while bytes.len() <= limit
        && let Some(part) = response.chunk().await?
    {
        bytes.extend_from_slice(&part);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
