//! The OpenAPI document, tried by schemathesis.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::Home;
use crate::programs::{skipped, text};

fn schemathesis() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let program = root.join("target/python/bin/schemathesis");
    program.is_file().then_some(program)
}

#[test]
fn requests_of_every_kind_get_the_answers_that_are_described() {
    let Some(program) = schemathesis() else {
        return skipped("schemathesis is not in target/python; python/install gets it");
    };
    let home = Home::new("hosting-openapi");
    let token = home.add("ada", &["--admin", "--max-runs=1000"]);
    let server = home.serve(0, &["--registration=open"]);
    let run = |more: &[&str]| {
        let mut command = Command::new(&program);
        command
            .arg("run")
            .arg(format!("{}/v1/openapi.json", server.url));
        command
            .arg("-H")
            .arg(format!("Authorization: Bearer {token}"));
        command.args([
            "--seed=1",
            "--max-examples=15",
            "--phases=examples,coverage,fuzzing",
        ]);
        command.arg("--checks=not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance");
        let output = command.args(more).current_dir(&home.dir).output().unwrap();
        let said = text(&output.stdout);
        assert!(output.status.success(), "{said}\n{}", text(&output.stderr));
        assert!(said.contains("generated"), "{said}");
    };
    // The token would be revoked, and events do not end.
    run(&["--exclude-path-regex=tokens/|/events$"]);
    run(&["--include-path-regex=tokens/"]);
}
