//! `genomaster submit`: begins a run at a genomaster with many.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{ArgMatches, Args, Command, FromArgMatches};
use naschain_core::Digest;
use naschain_train::{DataName, Dataset};

use crate::cli::data_args::DataArgs;
use crate::cli::run_args::{RUN, RunArgs};
use crate::cli::user_args::UserClientArgs;
use crate::client::users::UserClient;
use crate::commands::uploading::{named_by_content, send};
use crate::home::runs::RunSettings;
use crate::hosting::data_routes::DataInfo;
use crate::hosting::planning::{TimeArgs, settings_of};
use crate::hosting::run_creation::NewRun;
use crate::hosting::run_routes::RunInfo;
use crate::hosting::upload_routes::NewUpload;

/// Heading of `--help`.
const DATA: &str = "The data";

/// Flags of the command.
#[derive(Args, Debug)]
pub struct SubmitArgs {
    #[command(flatten)]
    user: UserClientArgs,
    /// What the run is called [default: the name of the data]
    #[arg(long, value_name = "NAME", help_heading = RUN)]
    name: Option<String>,
    /// A data set that the genomaster has, by its digest, instead of --data
    #[arg(long, value_name = "DIGEST", conflicts_with = "data", help_heading = DATA)]
    data_digest: Option<Digest>,
    #[command(flatten)]
    data: DataArgs,
    /// Let everybody read the run
    #[arg(long, help_heading = RUN)]
    public: bool,
    /// File of the miners that may train the run, and so see its data: a hotkey's address and its
    /// owner's name on each line [default: all that the genomaster admits]
    #[arg(long, value_name = "FILE", help_heading = RUN)]
    miners: Option<PathBuf>,
    /// Under what terms others may use the data
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true, help_heading = DATA)]
    licence: String,
    #[command(flatten)]
    settings: SettingsFlags,
}

/// The flags of a search, as the genomaster gets them.
#[derive(Clone, Debug)]
struct SettingsFlags(RunSettings);

impl Args for SettingsFlags {
    fn augment_args(command: Command) -> Command {
        without_folder(TimeArgs::augment_args(RunArgs::augment_args(command)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        without_folder(TimeArgs::augment_args_for_update(
            RunArgs::augment_args_for_update(command),
        ))
    }
}

/// The folder of a run is the genomaster's.
fn without_folder(command: Command) -> Command {
    command.mut_arg("out", |out| out.hide(true))
}

impl FromArgMatches for SettingsFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(SettingsFlags(settings_of(matches)))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0 = settings_of(matches);
        Ok(())
    }
}

/// Uploads the data, unless the genomaster has it, and begins the run. Returns what to print.
pub(super) async fn submit(args: SubmitArgs) -> Result<String> {
    let client = args.user.client()?;
    let (data, shown) = data_of(&args, &client).await?;
    let miners = match &args.miners {
        Some(file) => {
            let text = std::fs::read_to_string(file);
            text.with_context(|| format!("cannot read {}", file.display()))?
        }
        None => String::new(),
    };
    let new = NewRun {
        name: args.name.unwrap_or(shown),
        data,
        settings: args.settings.0,
        public: args.public,
        miners,
    };
    let run: RunInfo = client.post("/v1/runs", &new).await?;
    let id = run.id.to_string();
    Ok(format!(
        "{id}\nfollow it: genomaster status {}\n",
        &id[..12]
    ))
}

/// How the request names the data, and what it is called.
async fn data_of(args: &SubmitArgs, client: &UserClient) -> Result<(String, String)> {
    if let Some(digest) = args.data_digest {
        let shown = digest.to_string()[..8].to_owned();
        return Ok((digest.to_string(), shown));
    }
    let name = args.data.name()?;
    if name == DataName::Digits {
        return Ok((name.to_string(), name.to_string()));
    }
    let place = args.data.place()?;
    let place = place.context("--data has no files")?;
    let shown = place
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let loading = args.data.clone();
    let loaded = tokio::task::spawn_blocking(move || loading.load()).await??;
    let digest = loaded.digest();
    let known: Vec<DataInfo> = client.get("/v1/data-sets").await?;
    if !known.iter().any(|data| data.digest == digest) {
        let size = args.data.image_size;
        upload(
            args,
            client,
            &place,
            &loaded,
            size.map(|size| size.to_string()),
        )
        .await?;
    }
    Ok((digest.to_string(), shown))
}

/// Uploads the files of a data set.
async fn upload(
    args: &SubmitArgs,
    client: &UserClient,
    place: &Path,
    dataset: &Dataset,
    image_size: Option<String>,
) -> Result<()> {
    let folder = std::env::temp_dir().join(format!("naschain-submit-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let _removed = RemovedFolder(folder.clone());
    let file = if place.is_file() {
        place.to_owned()
    } else {
        let (from, to) = (place.to_owned(), folder.join("data.tar"));
        let packed = to.clone();
        tokio::task::spawn_blocking(move || pack(&from, &packed)).await??;
        to
    };
    let named = place.file_name().unwrap_or_default().to_string_lossy();
    let new = NewUpload {
        name: args.name.clone().unwrap_or_else(|| named.to_string()),
        file_name: named_by_content(&file, &image_size, args.data.skip_bad, &args.licence)?,
        bytes: std::fs::metadata(&file)?.len(),
        licence: args.licence.clone(),
        public: false,
        image_size,
        skip_bad: args.data.skip_bad,
    };
    let found = send(client, &new, &file).await?;
    let digest = dataset.digest();
    anyhow::ensure!(
        found == digest,
        "the genomaster has read other data than this machine: {found}, not {digest}; it may be of another version"
    );
    Ok(())
}

/// Packs a folder, always to the same bytes, so that an interrupted upload can go on.
fn pack(from: &Path, to: &Path) -> Result<()> {
    let context = || format!("cannot pack {}", from.display());
    let mut tar = tar::Builder::new(File::create(to).with_context(context)?);
    tar.mode(tar::HeaderMode::Deterministic);
    let mut folders = vec![(from.to_owned(), PathBuf::from("data"))];
    while let Some((folder, name)) = folders.pop() {
        let entries = std::fs::read_dir(&folder).with_context(context)?;
        let mut paths: Vec<PathBuf> = entries
            .map(|entry| Ok(entry?.path()))
            .collect::<std::io::Result<_>>()?;
        paths.sort();
        for path in paths {
            let name = name.join(path.file_name().unwrap_or_default());
            if path.is_dir() {
                folders.push((path, name));
            } else {
                tar.append_path_with_name(&path, name)
                    .with_context(context)?;
            }
        }
    }
    tar.into_inner().with_context(context)?;
    Ok(())
}

/// A folder that is deleted in the end.
struct RemovedFolder(PathBuf);

impl Drop for RemovedFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
