//! `genomaster runs`: the runs in a folder.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Args;
use naschain_core::Genome;

use crate::artifacts::front_model::FRONT_FILE;
use crate::artifacts::history::HISTORY_FILE;
use crate::artifacts::models::{retrained_description, retrained_genomes};
use crate::artifacts::results::Results;
use crate::journal::folder_lock::is_locked;
use crate::journal::store::JournalPlace;
use crate::printable::{counted, printable};

/// Flags of the command.
#[derive(Args, Debug)]
pub struct RunsArgs {
    /// Folder of the runs' folders
    #[arg(value_name = "DIR", default_value = "runs")]
    dir: PathBuf,
}

/// One line of the list.
struct RunLine {
    name: String,
    cells: [String; 8],
    /// The networks that were retrained.
    retrained: Vec<String>,
}

/// Returns what the command prints.
pub async fn runs(args: &RunsArgs) -> Result<String> {
    let shown = args.dir.display();
    ensure!(
        args.dir.is_dir(),
        "there is no folder {shown}; `genomaster search` creates the folder runs where it is started, and `genomaster runs DIR` lists those in another"
    );
    let entries = std::fs::read_dir(&args.dir).with_context(|| format!("cannot read {shown}"))?;
    let mut folders = Vec::new();
    for entry in entries {
        let path = entry
            .with_context(|| format!("cannot read {shown}"))?
            .path();
        if path.join("run.json").is_file() {
            folders.push(path);
        }
    }
    folders.sort();
    if folders.is_empty() && args.dir.join("run.json").is_file() {
        // The user named the run itself.
        folders.push(args.dir.clone());
    }
    if folders.is_empty() {
        return Ok(format!(
            "{shown} contains no run (a folder with a run.json)\n"
        ));
    }
    let mut lines = Vec::new();
    let mut damaged = String::new();
    for folder in &folders {
        match line(folder).await {
            Ok(line) => lines.push(line),
            Err(error) => damaged += &format!("{}: {error:#}\n", folder.display()),
        }
    }
    let width = lines.iter().map(|line| line.name.len()).max().unwrap_or(0);
    let width = width.max(3);
    let mut text = row(width, "run", HEADS);
    for line in &lines {
        text += &row(width, &line.name, line.cells.each_ref().map(String::as_str));
        for retrained in &line.retrained {
            text += &format!("  retrained: {retrained}\n");
        }
    }
    Ok(text + &damaged)
}

const HEADS: [&str; 8] = [
    "input",
    "classes",
    "state",
    "evaluated",
    "validation %",
    "test %",
    "front",
    "time",
];

fn row(width: usize, name: &str, cells: [&str; 8]) -> String {
    let [
        input,
        classes,
        state,
        evaluated,
        validation,
        test,
        front,
        time,
    ] = cells;
    format!(
        "{name:<width$}  {input:>8}  {classes:>7}  {state:<11}  {evaluated:>11}  {validation:>12}  {test:>6}  {front:>5}  {time:>8}\n"
    )
}

async fn line(dir: &Path) -> Result<RunLine> {
    let name = dir.file_name().unwrap_or(dir.as_os_str()).to_string_lossy();
    let is_running = is_locked(dir)?;
    let has_begun = dir.join(HISTORY_FILE).is_file();
    let results = if has_begun {
        Results::read(dir)?
    } else {
        Results::not_begun(dir)?
    };
    let state = if has_begun || is_running {
        let has_front = dir.join(FRONT_FILE).is_file();
        state(is_running, has_front, results.extent.finished)
    } else {
        "not begun"
    };
    let front = results.useful_front();
    let best = front.first();
    let dash = || "-".to_owned();
    let test = best.and_then(|best| results.model(&best.genome));
    let is_validated = !results.spec.recipe.is_measured_on_test();
    let validated = best.filter(|_| is_validated);
    // The journal of a running genomaster is locked.
    let time = if is_running || !has_begun {
        None
    } else {
        run_time_ms(dir, &results).await?
    };
    Ok(RunLine {
        name: printable(&name).to_string(),
        retrained: retrained(&results),
        cells: [
            results.spec.space.input().to_string(),
            results.spec.space.classes().to_string(),
            state.to_owned(),
            results.extent.evaluated(results.ended.len()),
            validated.map_or_else(dash, |best| best.measurement.accuracy.to_string()),
            test.map_or_else(dash, |model| model.test_accuracy.to_string()),
            front.len().to_string(),
            time.map_or_else(dash, duration),
        ],
    })
}

/// The word for the state of a run.
fn state(is_running: bool, has_front: bool, is_finished: bool) -> &'static str {
    if is_running && !(is_finished && has_front) {
        "running"
    } else if !has_front {
        "interrupted"
    } else if is_finished {
        "finished"
    } else {
        // By --time, --target or, after it was extended, by Ctrl-C.
        "stopped"
    }
}

/// The networks of the run that `retrain` trained, with their epochs and test accuracies.
fn retrained(results: &Results) -> Vec<String> {
    let length = results.spec.space.part_len();
    let line = |genome: &Genome| {
        let named = genome.grouped(length);
        match retrained_description(&results.dir, genome) {
            Some(model) => {
                let epochs = counted(model.recipe.epochs, "epoch");
                let accuracy = model.test_accuracy;
                let accuracy =
                    accuracy.map_or_else(String::new, |test| format!(", test accuracy {test} %"));
                format!("{named}, {epochs}{accuracy}")
            }
            None => named,
        }
    };
    retrained_genomes(&results.dir).iter().map(line).collect()
}

/// The time in which a genomaster led the run, up to its last event; `None` if the journal is not
/// in the run's folder.
async fn run_time_ms(dir: &Path, results: &Results) -> Result<Option<u64>> {
    let place = JournalPlace::of_run(dir);
    if !matches!(&place, JournalPlace::File(file) if file.is_file()) {
        return Ok(None);
    }
    let mut store = place.read(results.spec.digest()).await?;
    let last_ms = store.last_ms().await?;
    store.close().await?;
    Ok(last_ms)
}

/// Formats milliseconds as hours, minutes and seconds.
fn duration(ms: u64) -> String {
    let seconds = ms.div_ceil(1000);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds:02}s"),
        _ => format!("{hours}h{minutes:02}m"),
    }
}

#[cfg(test)]
mod tests {
    use super::{duration, state};

    #[test]
    fn a_run_with_a_front_is_finished_only_if_its_search_is() {
        assert_eq!(state(true, false, true), "running");
        // Its genomaster may go on serving it.
        assert_eq!(state(true, true, true), "finished");
        assert_eq!(state(false, false, false), "interrupted");
        assert_eq!(state(false, true, false), "stopped");
        assert_eq!(state(false, true, true), "finished");
    }

    #[test]
    fn durations_are_short() {
        let texts = [0, 900, 59_000, 61_000, 3_725_000].map(duration);
        assert_eq!(texts, ["0s", "1s", "59s", "1m01s", "1h02m"]);
    }
}
