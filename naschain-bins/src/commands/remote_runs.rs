//! `genomaster status`, `fetch` and `change`: the runs of a genomaster with many.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use reqwest::Method;

use crate::cli::user_args::UserClientArgs;
use crate::client::users::UserClient;
use crate::files::{create_folder, write_whole};
use crate::home::runs::RunStatus;
use crate::hosting::artifact_routes::Artifact;
use crate::hosting::run_changes::Extension;
use crate::hosting::run_routes::{RunInfo, RunPage};
use crate::journal::run_folder::read_spec;
use crate::journal::secret::{SECRET_FILE, write_private};
use crate::printable::{counted, printable};

/// Flags of `status`.
#[derive(Args, Debug)]
pub struct StatusArgs {
    /// A run, by its id or the start of it; all runs without it
    run: Option<String>,
    /// Only runs in this state: running, paused, stopped or finished
    #[arg(long, value_name = "STATE", conflicts_with = "run")]
    state: Option<RunStatus>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    user: UserClientArgs,
}

/// Flags of `fetch`.
#[derive(Args, Debug)]
pub struct FetchArgs {
    /// The run, by its id or the start of it
    run: String,
    /// Folder to write to [default: runs/NAME-ID]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    user: UserClientArgs,
}

/// Flags of `change`.
#[derive(Args, Debug)]
pub struct ChangeArgs {
    /// The run, by its id or the start of it
    run: String,
    /// What to do: pause, resume, stop or delete it
    #[arg(value_enum)]
    action: RunAction,
    #[command(flatten)]
    user: UserClientArgs,
}

/// Flags of `extend`.
#[derive(Args, Debug)]
pub struct ExtendArgs {
    /// The run, by its id or the start of it
    run: String,
    /// Number of generations of the whole search
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    generations: u32,
    #[command(flatten)]
    user: UserClientArgs,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum RunAction {
    Pause,
    Resume,
    Stop,
    Delete,
}

/// The runs that the user may read, newest first, as a text.
pub(super) async fn status(args: StatusArgs) -> Result<String> {
    let client = args.user.client()?;
    if let Some(run) = &args.run {
        let run = found(&client, run).await?;
        let info: RunInfo = client.get(&format!("/v1/runs/{}", run.id)).await?;
        return if args.json {
            Ok(serde_json::to_string_pretty(&info)? + "\n")
        } else {
            Ok(described(&info))
        };
    }
    let runs = all(&client, args.state).await?;
    if args.json {
        return Ok(serde_json::to_string_pretty(&runs)? + "\n");
    }
    if runs.is_empty() {
        return Ok("no runs\n".to_owned());
    }
    Ok(runs.iter().map(line).collect())
}

/// All runs, page by page.
async fn all(client: &UserClient, state: Option<RunStatus>) -> Result<Vec<RunInfo>> {
    let state = state.map_or(String::new(), |state| format!("&state={state}"));
    let (mut runs, mut before) = (Vec::new(), String::new());
    loop {
        let page: RunPage = client
            .get(&format!("/v1/runs?limit=100{state}{before}"))
            .await?;
        runs.extend(page.runs);
        match page.next {
            Some(next) => before = format!("&before={next}"),
            None => return Ok(runs),
        }
    }
}

/// The run whose id begins with this.
async fn found(client: &UserClient, start: &str) -> Result<RunInfo> {
    let is_id = (4..=64).contains(&start.len()) && start.chars().all(|c| c.is_ascii_hexdigit());
    ensure!(
        is_id,
        "{start:?} is no run; give its id or at least the first 4 digits of it, as `genomaster status` shows them"
    );
    if start.len() == 64 {
        return Ok(client.get(&format!("/v1/runs/{start}")).await?);
    }
    let start = start.to_ascii_lowercase();
    let mut runs = all(client, None).await?;
    runs.retain(|run| run.id.to_string().starts_with(&start));
    match runs.len() {
        0 => bail!("there is no run {start}... that you may read"),
        1 => Ok(runs.remove(0)),
        count => bail!("{count} runs begin with {start}; give more digits"),
    }
}

fn line(run: &RunInfo) -> String {
    let id = run.id.to_string();
    let public = if run.public { ", public" } else { "" };
    format!(
        "{}  {:<8}  {} ({}{public})\n",
        &id[..12],
        run.state.name(),
        printable(&run.name),
        printable(&run.owner)
    )
}

fn described(run: &RunInfo) -> String {
    let mut text = line(run);
    if let Some(progress) = &run.progress {
        text += &format!("  {}", printable(&progress.text));
        if let Some(best) = progress.best_percent {
            text += &format!(", best {best:.2} %");
        }
        text += &format!(", {} on the front\n", counted(progress.front, "network"));
    }
    if let Some(reason) = &run.waits {
        text += &format!("  waits: {}\n", printable(reason));
    }
    for (name, value) in &run.settings {
        text += &format!(
            "  --{} {}\n",
            printable(name),
            printable(&value.to_string())
        );
    }
    let id = run.id.to_string();
    if !run.state.is_open() {
        text += &format!("fetch it: genomaster fetch {}\n", &id[..12]);
    }
    text
}

/// Copies the files of a run, on which `show`, `predict`, `export` and `retrain` then work.
pub(super) async fn fetch(args: FetchArgs) -> Result<String> {
    let client = args.user.client()?;
    let run = found(&client, &args.run).await?;
    let id = run.id.to_string();
    let plain = |c: char| {
        if c.is_alphanumeric() || "-_".contains(c) {
            c
        } else {
            '-'
        }
    };
    let name: String = run.name.chars().map(plain).collect();
    let default = PathBuf::from(format!("runs/{name}-{}", &id[..8]));
    let dir = args.out.unwrap_or(default);
    let files: Vec<Artifact> = client.get(&format!("/v1/runs/{id}/artifacts")).await?;
    ensure!(
        !files.is_empty(),
        "the genomaster has no files of run {} ({id}); its log may say why",
        run.name
    );
    if let Ok(other) = read_spec(&dir.join("run.json")) {
        ensure!(
            other.digest() == run.id,
            "{} has another run; give another folder with --out",
            dir.display()
        );
    }
    create_folder(&dir)?;
    for file in &files {
        // The list is the genomaster's.
        let path = std::path::Path::new(&file.path);
        let is_below = path
            .components()
            .all(|part| matches!(part, std::path::Component::Normal(_)));
        ensure!(
            is_below,
            "the genomaster names a file {}",
            printable(&file.path)
        );
        let url = reqwest::Url::parse_with_params("http://x/", [("path", &file.path)])?;
        let query = url.query().unwrap_or_default();
        let from = format!("/v1/runs/{id}/artifact?{query}");
        let content = client.download(&from, file.bytes).await;
        let content = content.with_context(|| file.path.clone())?;
        if let Some(folder) = dir.join(path).parent() {
            create_folder(folder)?;
        }
        let path = dir.join(path);
        if file.path == SECRET_FILE {
            let _ = std::fs::remove_file(&path);
            write_private(&path, &content)?;
        } else {
            write_whole(&path, &content)?;
        }
    }
    let shown = dir.display();
    Ok(format!(
        "{} in {shown}; open its report.html in a browser\n",
        counted(files.len(), "file")
    ))
}

/// Pauses, resumes, stops or deletes a run.
pub(super) async fn change(args: ChangeArgs) -> Result<String> {
    let client = args.user.client()?;
    let id = found(&client, &args.run).await?.id;
    let path = format!("/v1/runs/{id}");
    let done = match args.action {
        RunAction::Pause => (Method::POST, format!("{path}/pause"), "paused"),
        RunAction::Resume => (Method::POST, format!("{path}/resume"), "resumed"),
        RunAction::Stop => (Method::POST, format!("{path}/stop"), "stopping"),
        RunAction::Delete => (Method::DELETE, path, "deleted"),
    };
    let (method, path, done) = done;
    client.send(method, &path).await?;
    Ok(format!("{done}\n"))
}

/// Gives a run more generations.
pub(super) async fn extend(args: ExtendArgs) -> Result<String> {
    let client = args.user.client()?;
    let id = found(&client, &args.run).await?.id;
    let generations = args.generations;
    let extension = Extension { generations };
    client
        .post_only(&format!("/v1/runs/{id}/extend"), &extension)
        .await?;
    Ok(format!(
        "extended to {}\n",
        counted(generations as usize, "generation")
    ))
}
