//! The versions that a run is bound to.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};

/// The name of the program's own version among those of a run.
const PROGRAM: &str = "naschain";

/// The versions that this build writes into `run.json`, by what they are versions of.
pub fn versions() -> BTreeMap<String, String> {
    let arithmetic = naschain_train::ARITHMETIC_VERSION;
    versions_of(env!("CARGO_PKG_VERSION"), arithmetic)
}

/// Those of a release.
pub(crate) fn versions_of(program: &str, arithmetic: u32) -> BTreeMap<String, String> {
    let versions = [
        ("arithmetic", arithmetic.to_string()),
        (PROGRAM, program.to_owned()),
    ];
    BTreeMap::from(versions.map(|(part, version)| (part.to_owned(), version)))
}

/// Whether a program of the second versions may go on with a run of the first: it computes the same
/// digests, and replays a journal in the same way. The former is the version of the arithmetic, the latter
/// the program's version up to its last number, by the rules of Semantic Versioning.
pub(crate) fn are_compatible(
    run: &BTreeMap<String, String>,
    program: &BTreeMap<String, String>,
) -> bool {
    let series = |versions: &BTreeMap<String, String>| {
        let mut versions = versions.clone();
        if let Some(version) = versions.get_mut(PROGRAM) {
            *version = series_of(version).to_owned();
        }
        versions
    };
    series(run) == series(program)
}

/// The part of a version that compatible versions share, such as `0.1` of `0.1.7` and `2` of `2.3.4`.
fn series_of(version: &str) -> &str {
    let numbers = if version.starts_with("0.") { 2 } else { 1 };
    let ends = version.match_indices('.').map(|(place, _)| place);
    let end = ends.skip(numbers - 1).chain([version.len()]).next();
    end.map_or(version, |end| &version[..end])
}

/// Fails if `who` would compute other digests than the run needs.
pub(crate) fn check_versions(who: &str, run: &BTreeMap<String, String>) -> Result<()> {
    let own = versions();
    ensure!(
        are_compatible(run, &own),
        "{who} has versions {own:?}, the run needs {run:?}: digests would differ"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_number_of_a_version_may_differ() {
        for (run, program, expected) in [
            (("0.1.0", 1), ("0.1.9", 1), true),
            (("0.1.9", 1), ("0.1.0", 1), true),
            (("0.1.0", 1), ("0.10.0", 1), false),
            (("0.1.0", 1), ("0.1.0", 2), false),
            (("1.2.3", 1), ("1.9.0", 1), true),
            (("1.2.3", 1), ("2.0.0", 1), false),
            (("10.2.3", 1), ("1.2.3", 1), false),
        ] {
            let of = |(program, arithmetic)| versions_of(program, arithmetic);
            let found = are_compatible(&of(run), &of(program));
            assert_eq!(found, expected, "{run:?} {program:?}");
        }
        assert!(check_versions("a test", &versions()).is_ok());
        let error = check_versions("this miner", &BTreeMap::new()).unwrap_err();
        assert!(error.to_string().starts_with("this miner has versions"));
    }
}
