//! `genomaster move-home`: the home of one genomaster becomes that of several.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Args;
use naschain_core::Digest;
use naschain_run::JournalHead;

use crate::cli::access_args::HOTKEY_FILE;
use crate::coordinator::deliveries::{DELIVERED, STATES};
use crate::home::folders::NewFolder;
use crate::home::{Home, SharedPlaces, class_names_path, data_path, run_path};
use crate::journal::folder_lock::FolderLock;
use crate::journal::run_folder::read_run;
use crate::journal::secret::read_secret;
use crate::journal::store::{AssignedJournals, JournalPlace, PlaceParser};
use crate::printable::counted;

/// Entries of a journal that are copied at a time.
const PAGE: usize = 1_000;
/// How the database names the leader of a run while its journal is copied.
const MOVER: &str = "move-home";

/// Flags of the command.
#[derive(Args, Debug)]
pub struct MoveHomeArgs {
    /// The home of a genomaster without --store, which must have ended
    #[arg(long, value_name = "DIR")]
    home: PathBuf,
    /// An empty folder for the home of the first genomaster with --store
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// The database that the genomasters are going to share
    #[arg(long, value_name = "PLACE", value_parser = PlaceParser)]
    store: JournalPlace,
    /// The folder or s3://BUCKET/PREFIX that they are going to share
    #[arg(long, value_name = "PLACE")]
    files: String,
}

/// Copies users, data sets and runs with their journals; the old home stays as it is. Returns what to
/// print.
pub(super) async fn move_home(args: MoveHomeArgs) -> Result<String> {
    let JournalPlace::Postgres(url) = &args.store else {
        anyhow::bail!(
            "--store is {}; it must be postgres://USER@HOST/DATABASE",
            args.store
        );
    };
    ensure!(
        args.home.join("home.sqlite").is_file(),
        "{} is not the home of a genomaster without --store",
        args.home.display()
    );
    let _held = FolderLock::take(&args.home)?;
    let from = Home::open(&args.home, &SharedPlaces::default()).await?;
    let shared = SharedPlaces {
        store: Some(args.store.clone()),
        files: Some(args.files.clone()),
    };
    let to = Home::open(&args.to, &shared).await?;
    let journals = AssignedJournals::connect(url, MOVER.to_owned()).await?;
    let data = from.all_data().await?;
    for digest in &data {
        for path in [data_path(*digest), class_names_path(*digest)] {
            to.files.publish(&from.files.local(&path), &path).await?;
        }
    }
    let (runs, mut folders) = (from.all_runs().await?, Vec::new());
    for run in &runs {
        let context = || format!("run {} ({})", run.name, run.id);
        let dir = from.run_dir(run.id);
        let spec = read_run(&dir).with_context(context)?;
        let secret = read_secret(&dir, &spec).with_context(context)?;
        copy_journal(&to, &journals, run.id, &dir)
            .await
            .with_context(context)?;
        copy_files(&from, &to, run.id, run.status.is_open())
            .await
            .with_context(context)?;
        folders.push(NewFolder { spec, secret });
    }
    let hotkey = args.home.join(HOTKEY_FILE);
    if hotkey.exists() {
        let copied = std::fs::copy(&hotkey, args.to.join(HOTKEY_FILE));
        copied.with_context(|| format!("cannot copy {}", hotkey.display()))?;
    }
    from.copy_tables(&to, &folders).await?;
    Ok(format!(
        "{} and {} were copied; next: genomaster serve --home {} with --store and --files as here\n",
        counted(runs.len(), "run"),
        counted(data.len(), "data set"),
        args.to.display()
    ))
}

/// Copies the journal of a run, in the place of what an earlier attempt has copied.
async fn copy_journal(
    to: &Home,
    journals: &AssignedJournals,
    run: Digest,
    dir: &Path,
) -> Result<()> {
    let place = JournalPlace::of_run(dir);
    let mut source = place.read(run).await?;
    journals.delete(run).await?;
    to.claim(run, MOVER, &BTreeSet::new()).await?;
    let target = JournalPlace::Assigned(journals.clone())
        .lead(run, false)
        .await?;
    let mut target = target.context("the journal cannot be written")?;
    let mut head = JournalHead::root(run);
    loop {
        let entries = source.entries(head.number, PAGE).await?;
        let Some(last) = entries.last() else { break };
        target.append(head, &entries).await?;
        head = JournalHead {
            number: last.number,
            hash: last.hash,
        };
    }
    source.close().await?;
    target.close().await?;
    to.release(run, MOVER).await
}

/// Copies what a run has found, or what miners have delivered so far.
async fn copy_files(from: &Home, to: &Home, run: Digest, is_open: bool) -> Result<()> {
    for (file, _) in from.run_files(run, false).await? {
        let was_delivered = [STATES, DELIVERED].iter().any(|dir| file.starts_with(dir));
        if !is_open || was_delivered {
            let path = format!("{}/{file}", run_path(run));
            to.files.publish(&from.files.local(&path), &path).await?;
        }
    }
    Ok(())
}
