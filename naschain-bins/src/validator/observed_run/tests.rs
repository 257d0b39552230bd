use super::*;
use crate::cli::data_args::DataArgs;
use crate::cli::run_args::RunArgs;
use crate::test_folder::test_folder;
use clap::Parser;
use naschain_train::Dataset;

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    data: DataArgs,
}

fn spec(seed: u64) -> RunSpec {
    let flags = Flags::parse_from(["run".to_owned(), format!("--seed={seed}")]);
    flags.run.spec(&flags.data, &Dataset::digits()).unwrap()
}

#[test]
fn a_problem_of_a_history_survives_another_run() {
    let path = test_folder("observed");
    let observation = Observation {
        url: "http://127.0.0.1:5000".to_owned(),
        required: None,
        has_many_runs: false,
        legacy: false,
        state: StateFolder::open(path.clone()).unwrap(),
        replay: Replay::new(
            naschain_train::Options::default(),
            None,
            std::sync::Arc::default(),
        ),
    };
    let mut run = ObservedRun::new(spec(1), None, &observation).unwrap();
    run.problem = Some("job 3 was changed".to_owned());
    let mut run = run.replaced_by(spec(2), None, &observation).unwrap();
    assert_eq!((&run.spec, run.ended.len()), (&spec(2), 0));
    run.check(None, &observation.state).unwrap();
    assert_eq!(run.problem.as_deref(), Some("job 3 was changed"));
    std::fs::remove_dir_all(path).unwrap();
}
