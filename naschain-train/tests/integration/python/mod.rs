//! Runs the repository's Python scripts, for tests against independent programs.

use std::io::{Write, stderr};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn interpreter() -> PathBuf {
    let named = std::env::var_os("NASCHAIN_PYTHON").map(PathBuf::from);
    named.unwrap_or_else(|| root().join("target/python/bin/python"))
}

/// Whether Python has this package; if not, prints that the test is skipped.
pub(crate) fn has(package: &str) -> bool {
    let import = format!("import {package}, safetensors, numpy");
    let python = interpreter();
    let imported = Command::new(&python).args(["-c", &import]).output();
    let has = imported.is_ok_and(|output| output.status.success());
    if !has {
        // Bypasses the test harness, which hides the output of passing tests.
        let skipped = format!(
            "SKIPPED the test against {package}: {} cannot import it; run python/install, or set NASCHAIN_PYTHON to another Python interpreter\n",
            python.display()
        );
        stderr().write_all(skipped.as_bytes()).unwrap();
    }
    has
}

/// Runs a script that must fail, and returns what it prints to standard error.
pub(crate) fn fails(script: &str, args: &[&str]) -> String {
    let output = output(script, args);
    assert!(!output.status.success(), "{script} {args:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn output(script: &str, args: &[&str]) -> Output {
    let path = root().join("python").join(script);
    let mut command = Command::new(interpreter());
    command.arg(path).args(args).output().unwrap()
}

/// Runs a script of the folder `python` and returns its output.
pub(crate) fn run(script: &str, args: &[&str]) -> String {
    let output = output(script, args);
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}{errors}");
    printed
}

/// Runs a program in a folder and returns its output.
pub(crate) fn run_text(program: &str, folder: &Path) -> String {
    let mut command = Command::new(interpreter());
    command.args(["-c", program]).current_dir(folder);
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
