//! Shell completions and manual pages, generated from the flags.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;

use crate::cli::program::print;
use crate::files::create_folder;
use crate::printable::counted;

/// Heading of the text that the manual page of `search` and `serve` has after the flags.
const AFTER_HEADING: &str = "DEFAULTS AND RULES";
/// What the footer of a manual page names.
const SOURCE: &str = concat!("NASChain ", env!("CARGO_PKG_VERSION"));
/// Exit code of completions that cannot be printed.
const EXIT_ERROR: u8 = 2;

/// Flags of `completions`.
#[derive(Args, Debug)]
pub struct CompletionsArgs {
    /// The shell: bash, zsh, fish, elvish or powershell
    shell: Shell,
}

/// Flags of `man`.
#[derive(Args, Debug)]
pub struct ManArgs {
    /// Folder for the pages, one per command; it is created
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
}

/// Prints the completions of the program `C`.
pub fn completions<C: CommandFactory>(args: &CompletionsArgs) -> ExitCode {
    let script = script(C::command(), args.shell);
    match std::io::stdout().write_all(script.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => ExitCode::from(EXIT_ERROR),
        _ => ExitCode::SUCCESS,
    }
}

fn script(mut command: Command, shell: Shell) -> String {
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut script);
    with_paths(&String::from_utf8_lossy(&script), shell)
}

/// Lets the script suggest paths after `--data`, where clap_complete suggests the names alone. bash
/// suggests paths by itself when no name fits.
fn with_paths(script: &str, shell: Shell) -> String {
    let line = |line: &str| {
        let is_fish = line.contains(" -l data ");
        match shell {
            Shell::Fish if is_fish => line.replacen(" -r -f -a ", " -r -F -a ", 1),
            Shell::Zsh if line.contains("--data=[") => with_zsh_paths(line),
            _ => line.to_owned(),
        }
    };
    script.lines().map(|text| line(text) + "\n").collect()
}

/// A line of zsh's `_arguments` with the action `(digits mnist ...)`.
fn with_zsh_paths(line: &str) -> String {
    let Some((before, rest)) = line.rsplit_once(":(") else {
        return line.to_owned();
    };
    let Some((names, after)) = rest.split_once(')') else {
        return line.to_owned();
    };
    format!("{before}:{{compadd -- {names}; _files}}{after}")
}

/// Writes the manual pages of the program `C`.
pub fn man<C: CommandFactory>(args: &ManArgs) -> Result<()> {
    create_folder(&args.out)?;
    // The command `help` says no more than these pages.
    let mut command = C::command().disable_help_subcommand(true);
    command.build();
    let pages = write_pages(&command, &args.out)?;
    print(&format!(
        "wrote {} to {}\n",
        counted(pages, "page"),
        args.out.display()
    ))
}

/// Writes the pages of a command and its subcommands, and returns their number.
fn write_pages(command: &Command, out: &Path) -> Result<usize> {
    let mut pages = 1;
    for part in command.get_subcommands() {
        pages += write_pages(part, out)?;
    }
    let page = Man::new(command.clone()).source(SOURCE);
    let path = out.join(page.get_filename());
    let written =
        std::fs::File::create(&path).and_then(|mut file| render(command, &page, &mut file));
    written.with_context(|| format!("cannot write {}", path.display()))?;
    Ok(pages)
}

/// Writes a page. clap_mangen would fill the lines of the text after the help, which has tables, and
/// call the section EXTRA.
fn render(command: &Command, page: &Man, out: &mut dyn Write) -> std::io::Result<()> {
    page.render_title(out)?;
    page.render_name_section(out)?;
    page.render_synopsis_section(out)?;
    page.render_description_section(out)?;
    page.render_options_section(out)?;
    if command.has_subcommands() {
        page.render_subcommands_section(out)?;
    }
    let after = command.get_after_long_help().or(command.get_after_help());
    if let Some(after) = after {
        write!(out, "{}", unfilled(AFTER_HEADING, &after.to_string()))?;
    }
    if command.get_version().is_some() {
        page.render_version_section(out)?;
    }
    Ok(())
}

/// A section whose lines stay as they are, in roff.
fn unfilled(heading: &str, text: &str) -> String {
    let mut roff = format!(".SH \"{heading}\"\n.nf\n");
    for line in text.lines() {
        // A dot or an apostrophe at the beginning of a line would be a request.
        let line = line.replace('\\', "\\e").replace('-', "\\-");
        roff += &format!("\\&{line}\n");
    }
    roff + ".fi\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::genome_args::GenomeArgs;
    use crate::commands::search::SearchArgs;
    use clap::Parser;

    #[derive(Parser)]
    #[command(name = "program", after_long_help = ".a  b\n  --c-d \\e")]
    #[allow(dead_code)] // only its flags are used
    struct Flags {
        #[command(flatten)]
        search: SearchArgs,
        #[command(flatten)]
        genome: GenomeArgs,
    }

    #[test]
    fn completions_suggest_networks_data_sets_and_paths() {
        let of = |shell| script(Flags::command(), shell);
        let bash = of(Shell::Bash);
        assert!(bash.contains("compgen -W \"best knee smallest\""), "{bash}");
        assert!(bash.contains("compgen -W \"digits fashion-mnist"), "{bash}");
        // With these, bash suggests paths where no name fits.
        assert!(bash.contains("-o bashdefault -o default"), "{bash}");
        let zsh = of(Shell::Zsh);
        assert!(zsh.contains("(best knee smallest)"), "{zsh}");
        assert!(zsh.contains(":{compadd -- digits fashion-mnist"), "{zsh}");
        assert!(zsh.contains("cifar100; _files}"), "{zsh}");
        let fish = of(Shell::Fish);
        let data = fish.lines().find(|line| line.contains("-l data "));
        assert!(data.unwrap().contains(" -r -F -a \"digits"), "{fish}");
    }

    #[test]
    fn tables_of_manual_pages_keep_their_lines() {
        let (command, mut page) = (Flags::command(), Vec::new());
        render(&command, &Man::new(command.clone()), &mut page).unwrap();
        let page = String::from_utf8(page).unwrap();
        let section = ".SH \"DEFAULTS AND RULES\"\n.nf\n\\&.a  b\n\\&  \\-\\-c\\-d \\ee\n.fi\n";
        assert!(page.contains(section), "{page}");
        assert!(!page.contains("EXTRA"), "{page}");
    }
}
