//! `genomaster data`: the data sets of a user of a genomaster with many runs.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use naschain_core::Digest;
use reqwest::Method;

use crate::cli::user_args::UserClientArgs;
use crate::commands::uploading::{named_by_content, send};
use crate::hosting::data_routes::DataInfo;
use crate::hosting::upload_routes::{NewUpload, UploadInfo, UploadState};
use crate::printable::{counted, printable};

/// Flags of the command.
#[derive(Args, Debug)]
pub struct DataCommandArgs {
    #[command(subcommand)]
    command: DataAction,
}

#[derive(Subcommand, Debug)]
enum DataAction {
    /// List the data sets that the user may use, and the uploads that are not data sets yet
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        user: UserClientArgs,
    },
    /// Upload an archive: .zip, .tar or .tar.gz of pictures (CLASS/FILE), or .npz
    ///
    /// The same command continues an upload that was interrupted.
    Upload(UploadArgs),
    /// Delete a data set that none of the user's runs is on
    Delete {
        /// Its digest, or the start of it
        data: String,
        #[command(flatten)]
        user: UserClientArgs,
    },
    /// Delete an upload
    Cancel {
        /// Its id
        upload: String,
        #[command(flatten)]
        user: UserClientArgs,
    },
}

#[derive(Args, Debug)]
struct UploadArgs {
    /// The archive
    file: PathBuf,
    /// What the data set is called [default: the name of the file]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Under what terms others may use it
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    licence: String,
    /// Let everybody use it
    #[arg(long)]
    public: bool,
    /// Size to which pictures are scaled, such as 32, 64x48 or 1x28x28
    #[arg(long, value_name = "SIZE")]
    image_size: Option<String>,
    /// Leave out pictures that cannot be read
    #[arg(long)]
    skip_bad: bool,
    #[command(flatten)]
    user: UserClientArgs,
}

/// Does what the command says, and returns what to print.
pub(super) async fn data(args: DataCommandArgs) -> Result<String> {
    match args.command {
        DataAction::List { json, user } => list(json, &user).await,
        DataAction::Upload(args) => upload(args).await,
        DataAction::Delete { data, user } => {
            let client = user.client()?;
            let known: Vec<DataInfo> = client.get("/v1/data-sets").await?;
            let digest = found(&known, &data)?;
            let path = format!("/v1/data-sets/{digest}");
            client.send(Method::DELETE, &path).await?;
            Ok("deleted\n".to_owned())
        }
        DataAction::Cancel { upload, user } => {
            let is_id = upload.chars().all(|c| c.is_ascii_hexdigit());
            if !is_id || upload.is_empty() {
                bail!("{upload:?} is no upload; `genomaster data list` lists them");
            }
            let path = format!("/v1/uploads/{upload}");
            user.client()?.send(Method::DELETE, &path).await?;
            Ok("deleted\n".to_owned())
        }
    }
}

async fn list(json: bool, user: &UserClientArgs) -> Result<String> {
    let client = user.client()?;
    let known: Vec<DataInfo> = client.get("/v1/data-sets").await?;
    let mut uploads: Vec<UploadInfo> = client.get("/v1/uploads").await?;
    uploads.retain(|upload| upload.state != UploadState::Stored);
    if json {
        let both = serde_json::json!({ "data_sets": known, "uploads": uploads });
        return Ok(serde_json::to_string_pretty(&both)? + "\n");
    }
    let mut text = String::new();
    for data in &known {
        let digest = data.digest.to_string();
        text += &format!(
            "{}  {} ({}): {} and {} for testing, {}, {} MiB{}\n",
            &digest[..12],
            printable(&data.name),
            printable(&data.owner),
            counted(data.train_images as usize, "image"),
            data.test_images,
            match data.classes {
                1 => "1 class".to_owned(),
                count => format!("{count} classes"),
            },
            data.bytes.div_ceil(1 << 20),
            if data.public { ", public" } else { "" }
        );
    }
    for upload in &uploads {
        let state = match (upload.state, &upload.problem) {
            (UploadState::Checking, _) => "is being read".to_owned(),
            (_, Some(problem)) => format!("refused: {}", printable(problem)),
            _ => format!("{} of {} bytes have arrived", upload.offset, upload.bytes),
        };
        text += &format!(
            "upload {} of {}: {state}\n",
            upload.id,
            printable(&upload.name)
        );
    }
    if text.is_empty() {
        text =
            "no data sets; `genomaster submit --data PATH` or `genomaster data upload` adds one\n"
                .to_owned();
    }
    Ok(text)
}

async fn upload(args: UploadArgs) -> Result<String> {
    let client = args.user.client()?;
    let (file, context) = (&args.file, || {
        format!("cannot read {}", args.file.display())
    });
    let bytes = std::fs::metadata(file).with_context(context)?.len();
    let named = file.file_name().unwrap_or_default().to_string_lossy();
    let new = NewUpload {
        name: args.name.clone().unwrap_or_else(|| named.to_string()),
        file_name: named_by_content(file, &args.image_size, args.skip_bad, &args.licence)?,
        bytes,
        licence: args.licence.clone(),
        public: args.public,
        image_size: args.image_size.clone(),
        skip_bad: args.skip_bad,
    };
    let digest = send(&client, &new, file).await?;
    Ok(format!(
        "{digest}\nsearch on it: genomaster submit --data-digest {digest}\n"
    ))
}

/// The data set whose digest begins like this.
fn found(known: &[DataInfo], start: &str) -> Result<Digest> {
    let is_it = |data: &&DataInfo| data.digest.to_string().starts_with(start);
    // The same content may have several owners.
    let found: BTreeSet<Digest> = known.iter().filter(is_it).map(|data| data.digest).collect();
    let found: Vec<Digest> = found.into_iter().collect();
    match &found[..] {
        [one] if !start.is_empty() => Ok(*one),
        [] => bail!("there is no data set {start:?}; `genomaster data list` lists them"),
        _ => bail!("{start:?} is the start of several digests; give more of it"),
    }
}
