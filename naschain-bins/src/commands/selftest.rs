//! `miner selftest`: checks that trainings on this machine are reproducible and equal to those of
//! other machines.

use anyhow::{Result, ensure};
use clap::Args;
use naschain_core::Digest;
use naschain_train::{ARITHMETIC_VERSION, Dataset, Device, Isa, Options};
use serde::Serialize;

use crate::cli::program::print;
use crate::cli::run_args::DeviceArgs;
use crate::cli::space_args::SpaceName;
use crate::commands::synthetic_trainings::synthetic_trainings;
use crate::miner::exercises::{Exercise, ExerciseResult, RECORDED, digest_of, exercises};

/// Flags of the command.
#[derive(Args, Clone, Copy, Debug)]
pub struct SelftestArgs {
    #[command(flatten)]
    device: DeviceArgs,
    /// Run N random trainings instead of the fixed ones; on a GPU, run them on the CPU too and
    /// compare
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    random: Option<u64>,
    /// Space of the networks of the random trainings
    #[arg(long, value_name = "SPACE", value_enum, requires = "random", default_value_t = SpaceName::Macro)]
    space: SpaceName,
    /// Number of epochs of each random training, of two batches each
    #[arg(long, value_name = "N", requires = "random", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1000))]
    epochs: u32,
    /// Print one JSON object; with --random, one per line
    #[arg(long)]
    json: bool,
}

/// What the command prints.
#[derive(Debug, Serialize)]
struct SelftestReport {
    /// BLAKE3 of the digests of all trainings, in order.
    digest: Digest,
    /// The highest grade that was shown.
    grade: Option<&'static str>,
    device: String,
    /// Operations that the device does not round as the CPU does.
    inexact_operations: Vec<&'static str>,
    threads: usize,
    /// The digest that every machine must produce.
    recorded: &'static str,
    /// Speed of the first run.
    images_per_second: f64,
    checks: Vec<Check>,
    trainings: Vec<ExerciseResult>,
    arithmetic: u32,
    naschain: &'static str,
}

/// A check that two ways of training give equal digests.
#[derive(Debug, Serialize)]
struct Check {
    grade: &'static str,
    what: String,
    /// `None` if there was nothing to compare with.
    holds: Option<bool>,
}

/// Trains fixed genomes on the digits in several ways, prints which digests are equal, and fails if
/// any differ.
pub fn selftest(args: &SelftestArgs) -> Result<()> {
    args.device.device.check()?;
    if let Some(count) = args.random {
        return synthetic_trainings(
            args.space,
            count,
            args.epochs,
            args.device.options(),
            args.json,
        );
    }
    let report = SelftestReport::new(args.device.options())?;
    if args.json {
        print(&(serde_json::to_string_pretty(&report)? + "\n"))?;
    } else {
        print(&report.text())?;
    }
    let broken = report
        .checks
        .iter()
        .find(|check| check.holds == Some(false));
    ensure!(
        broken.is_none(),
        "digests that must be equal are not ({}): this machine, or this build, does not train \
         bit-identically to others, and its results would be rejected",
        broken.map_or("", |check| check.what.as_str())
    );
    Ok(())
}

impl SelftestReport {
    fn new(options: Options) -> Result<SelftestReport> {
        let digits = Dataset::digits();
        let exercises = exercises(&digits)?;
        let in_turn = |options: Options| -> Result<Vec<ExerciseResult>> {
            let run = |exercise: &Exercise| exercise.run(&digits, options);
            exercises.iter().map(run).collect()
        };
        let trainings = in_turn(options)?;
        let digest = digest_of(&trainings);
        let again = digest_of(&in_turn(options)?);
        let mut checks = vec![Check::new("D0", "trained twice", Some(again == digest))];

        let concurrent = digest_of(&at_once(&exercises, &digits, options)?) == digest;
        checks.push(match options.device {
            Device::Cpu => {
                let mut equal = concurrent;
                for threads in [2, 4] {
                    equal &= digest_of(&in_turn({
                        let mut options = options;
                        options.threads = threads;
                        options
                    })?) == digest;
                }
                Check::new("D1", "with 2 and 4 threads, and concurrently", Some(equal))
            }
            _ => Check::new("D1", "concurrently", Some(concurrent)),
        });

        checks.extend(other_machines(&in_turn, options, digest)?);

        let device = Device::Cpu;
        let equal = match options.device {
            Device::Cpu => None,
            _ => Some(
                digest_of(&in_turn({
                    let mut options = options;
                    options.device = device;
                    options
                })?) == digest,
            ),
        };
        checks.push(Check::new("D3", "on CPU and GPU", equal));

        let images: u64 = trainings.iter().map(|training| training.images).sum();
        let seconds: f64 = trainings.iter().map(|training| training.seconds).sum();
        Ok(SelftestReport {
            digest,
            grade: grade(&checks),
            device: options.device.to_string(),
            inexact_operations: options.device.inexact_operations()?,
            threads: options.threads,
            recorded: RECORDED,
            images_per_second: (images as f64 / seconds).round(),
            checks,
            trainings,
            arithmetic: ARITHMETIC_VERSION,
            naschain: env!("CARGO_PKG_VERSION"),
        })
    }

    fn text(&self) -> String {
        let threads = match self.threads {
            1 => "1 thread".to_owned(),
            threads => format!("{threads} threads"),
        };
        let mut text = format!("device   {}, {threads}\n", self.device);
        for operation in &self.inexact_operations {
            text += &format!("rounding {operation} is not rounded as IEEE 754 requires\n");
        }
        for training in &self.trainings {
            text += &format!(
                "         {} {} {}\n",
                training.digest, training.space, training.genome
            );
        }
        text += &format!("digest   {}\n", self.digest);
        text += &format!("speed    {} images/s\n", self.images_per_second);
        for check in &self.checks {
            let found = match check.holds {
                Some(true) => "equal",
                Some(false) => "NOT EQUAL",
                None => "not tried, needs --device cuda:N or wgpu:N",
            };
            text += &format!("{}       {}: {found}\n", check.grade, check.what);
        }
        text + &format!("grade    {}\n", self.grade.unwrap_or("none"))
    }
}

impl Check {
    fn new(grade: &'static str, what: &str, holds: Option<bool>) -> Check {
        Check {
            grade,
            what: what.to_owned(),
            holds,
        }
    }
}

/// Checks that other machines produce this digest: the one on which it was recorded, and machines
/// with fewer instructions than this one, one check for each. The portable instructions are not
/// tried, since they would take too long.
fn other_machines(
    in_turn: &impl Fn(Options) -> Result<Vec<ExerciseResult>>,
    options: Options,
    digest: Digest,
) -> Result<Vec<Check>> {
    let recorded = digest.to_string() == RECORDED;
    let what = "as recorded on another machine";
    let mut checks = vec![Check::new("D2", what, Some(recorded))];
    let fast = [Isa::Avx512, Isa::Avx2].into_iter();
    for isa in fast.filter(|isa| options.device == Device::Cpu && isa.is_available()) {
        let options = {
            let mut options = options;
            options.isa = Some(isa);
            options
        };
        let equal = digest_of(&in_turn(options)?) == digest;
        checks.push(Check::new("D2", &format!("with {isa}"), Some(equal)));
    }
    Ok(checks)
}

/// The highest grade below the lowest one that failed. A grade holds if all of its checks do.
fn grade(checks: &[Check]) -> Option<&'static str> {
    let failed = checks.iter().find(|check| check.holds == Some(false));
    let failed = failed.map(|check| check.grade);
    let before = checks
        .iter()
        .take_while(|check| Some(check.grade) != failed);
    let passed = before.filter(|check| check.holds == Some(true));
    passed.last().map(|check| check.grade)
}

/// Runs all exercises concurrently, each in a thread of its own.
fn at_once(
    exercises: &[Exercise],
    digits: &Dataset,
    options: Options,
) -> Result<Vec<ExerciseResult>> {
    std::thread::scope(|scope| {
        let start = |exercise| scope.spawn(move || Exercise::run(exercise, digits, options));
        let threads: Vec<_> = exercises.iter().map(start).collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, Result<ExerciseResult>>| {
            let joined = thread.join();
            joined.unwrap_or_else(|_| Err(anyhow::anyhow!("a training panicked")))
        };
        threads.into_iter().map(join).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_grade_limits_the_grades_above_it() {
        let grade_with = |grades: &[&'static str], holds: &[Option<bool>]| {
            let checks: Vec<Check> = grades
                .iter()
                .zip(holds)
                .map(|(grade, holds)| Check::new(grade, "", *holds))
                .collect();
            grade(&checks)
        };
        let grade_of = |holds: [Option<bool>; 4]| grade_with(&["D0", "D1", "D2", "D3"], &holds);
        let (yes, no) = (Some(true), Some(false));
        assert_eq!(grade_of([yes, yes, yes, None]), Some("D2"));
        assert_eq!(grade_of([yes, yes, None, None]), Some("D1"));
        assert_eq!(grade_of([yes, yes, None, yes]), Some("D3"));
        assert_eq!(grade_of([yes, no, yes, None]), Some("D0"));
        assert_eq!(grade_of([no, yes, yes, None]), None);
        assert_eq!(grade_of([yes, yes, no, yes]), Some("D1"));
        let twice = ["D0", "D1", "D2", "D2", "D3"];
        assert_eq!(grade_with(&twice, &[yes, yes, yes, no, yes]), Some("D1"));
        assert_eq!(grade_with(&twice, &[yes, yes, yes, yes, no]), Some("D2"));
    }
}
