//! A run from the settings of a request, which are the flags of `genomaster search`.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, CommandFactory, Parser};
use naschain_run::{RunSecret, RunSpec};
use naschain_train::{DataName, Dataset};

use crate::cli::config::flags_of;
use crate::cli::run_args::{RunArgs, SIZE};
use crate::home::runs::RunSettings;
use crate::random::random_bytes;

/// The flags that describe a run.
#[derive(Parser, Debug)]
#[command(name = "settings", no_binary_name = true, disable_help_flag = true)]
struct SettingsArgs {
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    time: TimeArgs,
}

/// How long a run may take.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct TimeArgs {
    /// Time after its beginning at which the run ends with the networks that it has by then, such as 30m
    /// or 8h
    #[arg(long, value_name = "DURATION", help_heading = SIZE, value_parser = humantime::parse_duration)]
    time: Option<Duration>,
}

/// Flags of a search in one process that mean nothing here.
const OF_ONE_PROCESS: [&str; 2] = ["out", "run"];

/// Largest number of trainings of one run, so that the state of a run has a bounded size.
const MAX_TRAININGS: usize = 100_000;

/// The specification of a run with these settings, and its secret where `has_secret`.
///
/// # Errors
/// Names the setting that is unknown or has a wrong value, and what would be right.
pub(crate) fn planned(
    settings: &RunSettings,
    kind: &str,
    dataset: &Dataset,
    has_strangers: bool,
) -> Result<(RunSpec, Option<RunSecret>)> {
    let mut args = parsed(settings)?.run;
    args.has_strangers = has_strangers;
    let name: DataName = kind.parse()?;
    let mut spec = args.spec_on(&name, dataset)?;
    spec.validate_received()?;
    let trainings = spec.search.max_candidates();
    ensure!(
        trainings <= MAX_TRAININGS,
        "population and generations make {trainings} trainings; a run has at most {MAX_TRAININGS}"
    );
    let secret = if has_strangers {
        Some(RunSecret(random_bytes()?))
    } else {
        None
    };
    spec.secret_hash = secret.map(|secret| secret.hash());
    Ok((spec, secret))
}

/// The flags in the settings of a request.
fn parsed(settings: &RunSettings) -> Result<SettingsArgs> {
    let mut command = SettingsArgs::command();
    command.build();
    let mut table = toml::Table::new();
    for (name, value) in settings {
        ensure!(
            !OF_ONE_PROCESS.contains(&name.as_str()),
            "settings.{name} is for a search in one process; a served run has no such setting"
        );
        let flag = name.replace('_', "-");
        let is_known = |arg: &clap::Arg| arg.get_long() == Some(flag.as_str());
        ensure!(
            command.get_arguments().any(is_known),
            "settings.{name} is unknown; the settings are the flags of `genomaster search`, such as epochs"
        );
        let value = toml::Value::try_from(value);
        let value = value.with_context(|| {
            format!("settings.{name} must be a text, a number, true or false, or a list of these")
        })?;
        table.insert(name.clone(), value);
    }
    let flags = flags_of(&command, &table, |_| false).context("settings")?;
    match SettingsArgs::try_parse_from(flags) {
        Ok(args) => Ok(args),
        Err(error) => bail!("settings: {}", plain(&error)),
    }
}

/// How long a run with these settings may take, if that is limited.
pub(crate) fn time_limit(settings: &RunSettings) -> Option<Duration> {
    // What is stored was checked when the run was created.
    parsed(settings).ok()?.time.time
}

/// Refuses flags of a search at a genomaster whose runs bring their own.
pub(crate) fn check_no_settings(run: &RunArgs) -> Result<()> {
    let usual = SettingsArgs::try_parse_from(std::iter::empty::<&str>())?;
    ensure!(
        format!("{run:?}") == format!("{:?}", usual.run),
        "with --home the settings of a run come with `genomaster submit`: flags of a search mean nothing to `serve`"
    );
    Ok(())
}

/// The first line of clap's message, which names the flag, its value, and what is right.
fn plain(error: &clap::Error) -> String {
    let text = error.to_string();
    let lines = text.lines().take_while(|line| !line.starts_with("Usage"));
    let joined = lines.map(str::trim).filter(|line| !line.is_empty());
    let joined: Vec<&str> = joined.collect();
    joined.join(" ").trim_start_matches("error: ").to_owned()
}

/// The settings that flags on a command line give, by their name.
pub(crate) fn settings_of(matches: &clap::ArgMatches) -> RunSettings {
    let mut command = SettingsArgs::command();
    command.build();
    let mut settings = BTreeMap::new();
    for arg in command.get_arguments() {
        let (id, Some(name)) = (arg.get_id().as_str(), arg.get_long()) else {
            continue;
        };
        let given = matches.value_source(id) == Some(clap::parser::ValueSource::CommandLine);
        if !given || OF_ONE_PROCESS.contains(&name) {
            continue;
        }
        let is_switch = matches!(arg.get_action(), clap::ArgAction::SetTrue);
        let raw = matches.get_raw(id).into_iter().flatten();
        let texts: Vec<String> = raw
            .map(|text| text.to_string_lossy().into_owned())
            .collect();
        let value = match &texts[..] {
            _ if is_switch => serde_json::Value::Bool(true),
            [one] => serde_json::Value::String(one.clone()),
            many => serde_json::json!(many),
        };
        settings.insert(name.to_owned(), value);
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn problem(name: &str, value: serde_json::Value) -> String {
        let settings = BTreeMap::from([(name.to_owned(), value)]);
        let digits = Dataset::digits();
        let planned = planned(&settings, "digits", &digits, false);
        format!("{:#}", planned.unwrap_err())
    }

    #[test]
    fn settings_are_the_flags_of_a_search() {
        let settings = json!({
            "epochs": 2, "population": 4, "generations": 2, "nesterov": true, "rule": ["max_retries=8"],
            "learning-rate": 0.5, "mode": "nsga2", "params_limit": 5000, "time": "2h",
        });
        let settings: RunSettings = serde_json::from_value(settings).unwrap();
        let digits = Dataset::digits();
        let (spec, secret) = planned(&settings, "digits", &digits, true).unwrap();
        assert_eq!((spec.recipe.epochs, spec.search.population), (2, 4));
        assert_eq!(spec.limits.max_params, Some(5_000));
        assert_eq!(time_limit(&settings), Some(Duration::from_secs(7_200)));
        assert!(spec.recipe.nesterov && spec.rules.reputation.is_some());
        assert_eq!(spec.rules.max_retries, 8);
        assert_eq!(spec.secret_hash, secret.map(|secret| secret.hash()));
        let (other, _) = planned(&settings, "digits", &digits, true).unwrap();
        assert_ne!(spec.digest(), other.digest(), "each run has its own secret");
    }

    #[test]
    fn wrong_settings_are_named() {
        for (name, value, expected) in [
            ("epoch", json!(3), "settings.epoch is unknown"),
            ("epochs", json!("many"), "'many' for '--epochs <N>'"),
            ("time", json!("soon"), "'soon' for '--time <DURATION>'"),
            ("epochs", json!({"a": 1}), "epochs is"),
            ("epochs", json!(null), "settings.epochs must be"),
            (
                "nesterov",
                json!("yes"),
                "nesterov is \"yes\"; it must be true or false",
            ),
            (
                "out",
                json!("/etc"),
                "settings.out is for a search in one process",
            ),
            ("population", json!(1), "population"),
            ("generations", json!(90_000), "trainings"),
            ("config", json!("/etc/passwd"), "settings.config is unknown"),
        ] {
            let problem = problem(name, value);
            assert!(problem.contains(expected), "{name}: {problem}");
        }
    }
}
