//! `--config FILE`: sets any flags of a command in a TOML file, as `flag-name = value`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Command, Parser};

use crate::cli::program::LogFormat;

/// Flags of every program.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "The program")]
pub struct ProgramArgs {
    /// TOML file of flags, such as `lease-seconds = 60`; flags on the command line take precedence
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// Format of the log on standard error: text, or json (one object per line)
    #[arg(long, value_name = "FORMAT", global = true, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
}

/// Parses the command line and the file of `--config`. Prints errors and exits as clap does.
pub fn parse<P: Parser>() -> P {
    match with_file(P::command(), std::env::args_os().collect()) {
        Ok(args) => P::try_parse_from(&args).unwrap_or_else(|error| {
            let command = P::command();
            with_hint(error, chosen(&command, &args).1).exit()
        }),
        Err(error) => {
            let kind = ErrorKind::InvalidValue;
            P::command().error(kind, format!("{error:#}")).exit()
        }
    }
}

/// The error of a path without a flag, with a hint, if `command` has `--data`.
fn with_hint(mut error: clap::Error, command: &Command) -> clap::Error {
    let takes_data = command.get_arguments().any(|arg| is_named(arg, "data"));
    let Some(ContextValue::String(found)) = error.get(ContextKind::InvalidArg) else {
        return error;
    };
    let is_path = !found.starts_with('-') && Path::new(found).exists();
    if takes_data && is_path && error.kind() == ErrorKind::UnknownArgument {
        let hint = format!("did you mean --data {found}?");
        let hint = ContextValue::StyledStrs(vec![hint.into()]);
        error.insert(ContextKind::Suggested, hint);
    }
    error
}

/// Inserts the flags of the file that `--config` names into the arguments.
///
/// clap then parses and checks them like any other flags. A flag that is also on the command line
/// is not inserted, rather than overridden, because clap would extend a list flag and may reject
/// any other that is repeated.
fn with_file(mut command: Command, mut args: Vec<OsString>) -> Result<Vec<OsString>> {
    let Some(path) = flag_value(&args, "config") else {
        return Ok(args);
    };
    command.build();
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", Path::new(&path).display()))?;
    let table: toml::Table = toml::from_str(&text)
        .map_err(|error| not_toml(&text, &error))
        .with_context(|| format!("{} is not TOML", Path::new(&path).display()))?;
    let (place, chosen) = chosen(&command, &args);
    let is_overridden = |flag: &Arg| names(flag).any(|name| is_given(&args, name));
    let flags = flags_of(chosen, &table, is_overridden);
    let flags = flags.with_context(|| format!("{}", Path::new(&path).display()))?;
    args.splice(place..place, flags.into_iter().map(OsString::from));
    Ok(args)
}

/// The flags of a command in a table, except those that are overridden.
pub(crate) fn flags_of(
    command: &Command,
    table: &toml::Table,
    is_overridden: impl Fn(&Arg) -> bool,
) -> Result<Vec<String>> {
    let mut flags = Vec::new();
    for (key, value) in &flat(table, "") {
        let name = key.replace('_', "-");
        let flag = command.get_arguments().find(|arg| is_named(arg, &name));
        // These apply to the command line itself: the first is already in use, the others end the
        // program.
        let flag = flag.filter(|_| !["config", "help", "version"].contains(&name.as_str()));
        let Some(flag) = flag else {
            bail!(
                "{key} is not a flag of `{}`; `--help` lists them",
                command.get_bin_name().unwrap_or(command.get_name())
            );
        };
        if !is_overridden(flag) {
            flags.extend(as_flags(flag, &name, value)?);
        }
    }
    Ok(flags)
}

/// The error and its line number. Unlike the error's own text it does not quote the line, which may
/// contain a password.
fn not_toml(text: &str, error: &toml::de::Error) -> anyhow::Error {
    let before = error.span().and_then(|span| text.get(..span.start));
    let line = before.map_or(0, |before| before.matches('\n').count()) + 1;
    anyhow::anyhow!("line {line}: {}", error.message())
}

/// The flags in a table. `wallet.name = ..` is in TOML the key `name` of a table `wallet`, but the
/// name of one flag here.
fn flat(table: &toml::Table, before: &str) -> Vec<(String, toml::Value)> {
    let key = |(key, value): (&String, &toml::Value)| match value {
        toml::Value::Table(inner) if before.is_empty() && key == "wallet" => flat(inner, "wallet."),
        _ => vec![(format!("{before}{key}"), value.clone())],
    };
    table.iter().flat_map(key).collect()
}

/// The subcommand that the arguments choose, or else `command`, and the index at which its flags
/// may be inserted.
fn chosen<'a>(command: &'a Command, args: &[OsString]) -> (usize, &'a Command) {
    let mut place = 1;
    while let Some(arg) = args.get(place).and_then(|arg| arg.to_str()) {
        if let Some(chosen) = command.find_subcommand(arg) {
            return (place + 1, chosen);
        }
        // Only these flags can precede a subcommand.
        let global = ["--config", "--log-format"];
        match global.iter().find(|flag| arg.starts_with(**flag)) {
            Some(flag) if arg == *flag => place += 2,
            Some(_) => place += 1,
            None => break,
        }
    }
    (1, command)
}

fn names(arg: &Arg) -> impl Iterator<Item = &str> {
    let aliases = arg.get_all_aliases().unwrap_or_default();
    arg.get_long().into_iter().chain(aliases)
}

fn is_named(arg: &Arg, name: &str) -> bool {
    names(arg).any(|other| other == name)
}

/// The arguments before `--`, which ends the flags.
fn flags(args: &[OsString]) -> impl Iterator<Item = (usize, &str)> {
    let texts = args.iter().map(|arg| arg.to_str().unwrap_or_default());
    texts
        .enumerate()
        .skip(1)
        .take_while(|(_, arg)| *arg != "--")
}

fn is_given(args: &[OsString], name: &str) -> bool {
    flags(args).any(|(_, arg)| {
        let rest = arg
            .strip_prefix("--")
            .and_then(|arg| arg.strip_prefix(name));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
    })
}

fn flag_value(args: &[OsString], name: &str) -> Option<OsString> {
    flags(args).find_map(|(at, arg)| {
        let rest = arg.strip_prefix("--")?.strip_prefix(name)?;
        match rest.strip_prefix('=') {
            Some(value) => Some(value.into()),
            None if rest.is_empty() => args.get(at + 1).cloned(),
            None => None,
        }
    })
}

/// A key and its value as command-line flags.
fn as_flags(arg: &Arg, name: &str, value: &toml::Value) -> Result<Vec<String>> {
    // Values are attached by `=`, so that one that begins with `-` is not taken for a flag.
    let switch = matches!(arg.get_action(), ArgAction::SetTrue);
    Ok(match value {
        toml::Value::Boolean(true) if switch => vec![format!("--{name}")],
        toml::Value::Boolean(false) if switch => Vec::new(),
        _ if switch => bail!("{name} is {value}; it must be true or false"),
        toml::Value::Array(values) => {
            let texts: Vec<String> = values
                .iter()
                .map(|value| plain(name, value))
                .collect::<Result<_>>()?;
            match arg.get_value_delimiter() {
                Some(comma) => {
                    vec![format!("--{name}={}", texts.join(&comma.to_string()))]
                }
                None => texts
                    .iter()
                    .map(|text| format!("--{name}={text}"))
                    .collect(),
            }
        }
        value => vec![format!("--{name}={}", plain(name, value)?)],
    })
}

fn plain(name: &str, value: &toml::Value) -> Result<String> {
    Ok(match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Integer(_) | toml::Value::Float(_) | toml::Value::Boolean(_) => {
            value.to_string()
        }
        _ => bail!("{name} is {value}; it must be a string, a number, true or false, or a list"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::search::SearchArgs;
    use crate::test_folder::test_folder;

    #[derive(Parser)]
    #[command(name = "genomaster")]
    struct Cli {
        #[command(flatten)]
        #[allow(dead_code)] // declares --config and --log-format
        program: ProgramArgs,
        #[command(subcommand)]
        command: Sub,
    }

    #[derive(clap::Subcommand)]
    enum Sub {
        Search(SearchArgs),
    }

    fn parsed(test: &str, toml: &str, args: &[&str]) -> Result<String> {
        let dir = test_folder(test);
        let path = dir.join("config.toml");
        std::fs::write(&path, toml).unwrap();
        let mut all = vec!["genomaster".into(), "--config".into(), path.clone().into()];
        all.extend(args.iter().map(OsString::from));
        let args = with_file(<Cli as clap::CommandFactory>::command(), all);
        std::fs::remove_dir_all(dir).unwrap();
        let Sub::Search(search) = Cli::try_parse_from(args?)?.command;
        Ok(format!("{search:?}"))
    }

    #[test]
    fn the_command_line_overrides_the_file() {
        let file = "population = 6\nlearning_rate = 0.5\nnesterov = true\nflip = true\n\
                    data = \"mnist\"\nout = \"here\"\nlog-format = \"json\"";
        let search = parsed(
            "config",
            file,
            &["search", "--population=8", "--run", "elsewhere"],
        );
        let search = search.unwrap();
        for part in [
            "population: Some(8)",
            "learning_rate: Some(0.5)",
            "nesterov: true",
            "flip: Some(true)",
            "name: Mnist",
            "out: [\"elsewhere\"]",
        ] {
            assert!(search.contains(part), "{part}: {search}");
        }
        let off = parsed("config-off", "nesterov = false", &["search"]).unwrap();
        assert!(off.contains("nesterov: false"), "{off}");
    }

    #[test]
    fn a_path_without_a_flag_gets_a_hint() {
        let hinted = |path: &str| {
            let args = ["genomaster", "search", path].map(OsString::from);
            let error = Cli::try_parse_from(&args).err().unwrap();
            let command = <Cli as clap::CommandFactory>::command();
            with_hint(error, chosen(&command, &args).1).to_string()
        };
        let error = hinted("src");
        assert!(error.contains("did you mean --data src?"), "{error}");
        let error = hinted("no-such-folder");
        assert!(!error.contains("did you mean"), "{error}");
    }

    #[test]
    fn errors_name_the_key_and_no_secret() {
        for (number, (file, expected)) in [
            (
                "populaton = 6",
                "populaton is not a flag of `genomaster search`",
            ),
            ("config = \"x\"", "config is not a flag"),
            ("population = ", "is not TOML"),
            ("flip = true\nstore = \"postgres://a:secret", "line 2: "),
            (
                "store = \"postgress://a:secret@b/c\"",
                "postgress:// is neither",
            ),
            ("nesterov = 1", "nesterov is 1; it must be true or false"),
            (
                "population = { a = 1 }",
                "population is { a = 1 }; it must be",
            ),
            ("population = \"many\"", "'many' for '--population <N>'"),
        ]
        .into_iter()
        .enumerate()
        {
            let error = parsed(&format!("config-{number}"), file, &["search"]).unwrap_err();
            let error = format!("{error:#}");
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
