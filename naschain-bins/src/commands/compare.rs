//! `genomaster compare`: the fronts of several runs in one picture.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Args;

use crate::artifacts::plot::fronts_svg;
use crate::artifacts::results::Results;
use crate::files::write_whole;

/// Flags of the command.
#[derive(Args, Debug)]
pub struct CompareArgs {
    /// Folders of the runs
    #[arg(value_name = "RUN", required = true, num_args = 2..)]
    runs: Vec<PathBuf>,
    /// SVG file to write
    #[arg(long, value_name = "FILE", default_value = "compare.svg")]
    out: PathBuf,
}

/// Writes the picture and returns what the command prints.
pub fn compare(args: &CompareArgs) -> Result<String> {
    let runs: Vec<Results> = args
        .runs
        .iter()
        .map(|dir| Results::read(dir))
        .collect::<Result<_>>()?;
    let evaluated = runs.iter().map(|run| run.front.len()).sum::<usize>();
    ensure!(
        evaluated > 0,
        "none of the {} runs has a result yet; compare them when some networks are evaluated",
        runs.len()
    );
    let (svg, shares) = fronts_svg(&runs)?;
    write_whole(&args.out, svg.as_bytes())?;
    let names: Vec<String> = args
        .runs
        .iter()
        .map(|dir| dir.display().to_string())
        .collect();
    let width = names.iter().map(String::len).max().unwrap_or(0).max(3);
    let mut text = format!(
        "{:<width$}  {:<16}  {:>9}  {:>5}  {:>12}  {:>11}\n",
        "run", "data", "evaluated", "front", "validation %", "hypervolume"
    );
    for ((run, name), share) in runs.iter().zip(&names).zip(shares) {
        let best = run.front.first().map(|member| member.measurement.accuracy);
        let best = best.map_or("-".to_owned(), |accuracy| accuracy.to_string());
        text += &format!(
            "{name:<width$}  {:<16}  {:>9}  {:>5}  {best:>12}  {share:>11.4}\n",
            run.spec.data.name,
            run.ended.len(),
            run.useful_front().len()
        );
    }
    let digests = runs.iter().map(|run| run.spec.data.digest);
    if !digests.eq(std::iter::repeat_n(runs[0].spec.data.digest, runs.len())) {
        text += "the runs have different data sets, so their accuracies are not comparable\n";
    }
    text += &format!(
        "hypervolume: share of the box from 100 % at no cost to 0 % at the largest parameters and FLOPs of these fronts\nwrote {}\n",
        args.out.display()
    );
    Ok(text)
}
