use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use clap::Parser;
use naschain_core::{Digest, MacroSpace};
use naschain_identity::Hotkey;
use naschain_run::{DataSpec, EndedJobs, HistoryChain, Identity, JournalPage, RunSpec};

use super::*;
use crate::test_folder::test_folder;

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    validate: ValidateArgs,
}

/// What a genomaster shows: a run, and whether it signs the head of its history.
type Shown = Arc<Mutex<(RunSpec, bool)>>;

fn key() -> Hotkey {
    Hotkey::from_seed(&[9; 32])
}

fn spec(seed: u64) -> RunSpec {
    let space = MacroSpace {
        phases: 2,
        nodes: 3,
        input: "1x8x8".parse().unwrap(),
        init_channels: 4,
        classes: 10,
    };
    let mut spec = RunSpec::new(space, DataSpec::new("digits", Digest([1; 32])));
    spec.search.seed = seed;
    spec
}

/// Serves a run without jobs; returns its address.
async fn serve(shown: &Shown) -> String {
    let identity = async || {
        let hotkey = Some(key().address().to_owned());
        Json(Identity {
            hotkey,
            has_many_runs: false,
        })
    };
    let run = async |State(shown): State<Shown>| Json(shown.lock().unwrap().0.clone());
    let jobs = async |State(shown): State<Shown>| {
        let (spec, signs) = shown.lock().unwrap().clone();
        let head = HistoryChain::new(spec.digest()).head(Some(&key()));
        Json(EndedJobs {
            jobs: Vec::new(),
            total: 0,
            finished: false,
            training_seeds: Vec::new(),
            head: signs.then_some(head),
        })
    };
    let (entries, last) = (Vec::new(), 0);
    let journal = JournalPage { entries, last };
    let router = Router::new()
        .route("/identity", get(identity))
        .route("/v1/run", get(run))
        .route("/v1/batches", get(jobs))
        .route("/v1/journal", get(async move || Json(journal)))
        .with_state(shown.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
    url
}

/// A validator that would set weights on a chain, without a node.
async fn validator(test: &str, shown: &Shown) -> (ValidateArgs, Validator, Client) {
    let dir = test_folder(&format!("validate-{test}"));
    let url = serve(shown).await;
    let flags = ["validator", "--genomaster", &url, "--state"];
    let mut flags = flags.map(str::to_owned).to_vec();
    flags.push(dir.display().to_string());
    let without_chain = Flags::parse_from(&flags).validate;
    let client = Client::new(&url).unwrap();
    let mut validator = Validator::new(&without_chain, &client).await.unwrap();
    let terms = without_chain.trust_terms().unwrap();
    validator.chain = Some(ChainTask::idle(&dir.join("scores.json"), &terms));
    flags.extend(["--chain=ws://127.0.0.1:1", "--netuid=1"].map(str::to_owned));
    (Flags::parse_from(&flags).validate, validator, client)
}

/// Removes its folder.
fn remove(validator: Validator) {
    std::fs::remove_dir_all(validator.observation.state.file("")).unwrap();
}

fn refusal_of(validator: &Validator) -> Option<String> {
    validator.chain.as_ref().unwrap().refusal()
}

#[tokio::test]
async fn no_weights_are_set_on_the_chain_while_the_genomaster_is_distrusted() {
    let shown = Arc::new(Mutex::new((spec(1), true)));
    let (args, mut validator, client) = validator("distrusted", &shown).await;
    let first = refusal_of(&validator).unwrap();
    assert!(first.contains("has not been checked"), "{first}");
    // Nor by a genomaster that cannot be reached.
    let away = Client::new("http://127.0.0.1:1").unwrap();
    validator.step(&args, &away).await.unwrap_err();
    assert_eq!(refusal_of(&validator), Some(first));
    assert!(!validator.step(&args, &client).await.unwrap());
    assert_eq!(refusal_of(&validator), None);
    // No job has ended meanwhile.
    shown.lock().unwrap().1 = false;
    assert!(!validator.step(&args, &client).await.unwrap());
    let refusal = refusal_of(&validator).unwrap();
    assert!(
        refusal.contains("did not sign the head of its history"),
        "{refusal}"
    );
    // Another run is not trusted either.
    *shown.lock().unwrap() = (spec(2), true);
    assert!(!validator.step(&args, &client).await.unwrap());
    assert_eq!(refusal_of(&validator), Some(refusal));
    remove(validator);
}

#[tokio::test]
async fn an_invalid_run_does_not_end_the_validator_and_is_not_trusted() {
    let shown = Arc::new(Mutex::new((spec(1), true)));
    let (args, mut validator, client) = validator("invalid-run", &shown).await;
    validator.step(&args, &client).await.unwrap();
    shown.lock().unwrap().0.search.population = 1_000_000;
    for _ in 0..2 {
        let error = validator.step(&args, &client).await.unwrap_err();
        assert!(
            error.to_string().contains("population is 1000000"),
            "{error}"
        );
        // `validate` goes on where a run is observed.
        assert!(args.goes_on() && validator.current.observed.is_some());
        let refusal = refusal_of(&validator).unwrap();
        assert!(refusal.contains("population is 1000000"), "{refusal}");
    }
    remove(validator);
}

#[tokio::test]
async fn a_run_that_cannot_be_observed_keeps_the_one_before() {
    let shown = Arc::new(Mutex::new((spec(1), true)));
    let (args, mut validator, client) = validator("damaged", &shown).await;
    validator.step(&args, &client).await.unwrap();
    // The validator's own file: no fault of the genomaster.
    let damaged = validator.observation.state.run_file(spec(2).digest());
    std::fs::write(&damaged, "x").unwrap();
    shown.lock().unwrap().0 = spec(2);
    let error = validator.step(&args, &client).await.unwrap_err();
    assert!(format!("{error:#}").contains("is damaged"), "{error:#}");
    assert!(validator.current.observed.is_some());
    assert_eq!(refusal_of(&validator), None);
    std::fs::remove_file(damaged).unwrap();
    validator.step(&args, &client).await.unwrap();
    remove(validator);
}
