//! Tests of a run's specification.

use super::*;
use crate::auditor::Auditor;
use crate::provenance::Signers;
use crate::state::RunState;
use naschain_core::MacroSpace;
use naschain_nsga::Mode;

/// A macro space for images of 3x4096x4096.
fn space(phases: usize, nodes: usize) -> SearchSpace {
    SearchSpace::Macro(MacroSpace {
        phases,
        nodes,
        input: "3x4096x4096".parse().unwrap(),
        init_channels: 4,
        classes: 10,
    })
}

fn spec() -> RunSpec {
    let mut spec = RunSpec::new(space(10, 32), DataSpec::new("digits", Digest([1; 32])));
    spec.search.mode = Mode::Nsga2;
    spec.validate_received().unwrap();
    spec
}

#[test]
fn a_received_run_that_exhausts_the_memory_is_refused_before_candidates_are_made() {
    let mut spec = spec();
    spec.search.population = 1_000_000;
    let error = spec.validate_received().unwrap_err().to_string();
    assert!(
        error.contains("population is 1000000; it must be at most 20000"),
        "{error}"
    );
    // 2 TB of genomes.
    spec.search.genome_len = 1 << 24;
    let error = spec.validate().unwrap_err().to_string();
    assert!(
        error.contains("have 16777216 bits; those of the search space have 4970"),
        "{error}"
    );
    assert!(Auditor::new(spec, Signers::default()).is_err());
}

#[test]
fn initial_genomes_are_evaluated_first_and_only_written_if_there_are_any() {
    let mut spec = spec();
    spec.space = space(1, 3);
    (spec.search.genome_len, spec.search.population) = (4, 2);
    let json = serde_json::to_string(&spec).unwrap();
    assert!(!json.contains("initial_genomes"), "{json}");
    let (before, without) = (spec.digest(), spec.clone());
    let genome = |text: &str| text.parse::<Genome>().unwrap();
    spec.initial_genomes = vec![genome("1110"), genome("1111")];
    spec.validate().unwrap();
    assert_ne!(spec.digest(), before);
    let differences = without.differences(&spec);
    assert_eq!(differences[0].name, "initial_genomes");
    let state = RunState::new(spec.clone()).unwrap();
    let genomes: Vec<_> = state.genomes().map(|(_, genome)| genome.clone()).collect();
    assert_eq!(genomes, spec.initial_genomes);
    let refused = |genomes: &[&str]| {
        let mut spec = spec.clone();
        spec.initial_genomes = genomes.iter().map(|text| genome(text)).collect();
        spec.validate().unwrap_err().to_string()
    };
    assert_eq!(
        refused(&["1110", "1111", "0110"]),
        "initial_genomes has 3 genomes; it must have at most 2, the population"
    );
    // The second node or the third, with nothing else: the same network.
    assert_eq!(
        refused(&["1000", "0010"]),
        "initial_genomes has 1000 and 0010, which are the same network; it must have it once"
    );
    assert!(refused(&["111"]).contains("has 3 bits"));
}

#[test]
fn limits_are_written_and_must_allow_the_smallest_network() {
    let mut spec = spec();
    spec.space = space(1, 4);
    (spec.search.genome_len, spec.search.population) = (7, 4);
    let json = serde_json::to_string(&spec).unwrap();
    assert!(!json.contains("limits"), "{json}");
    let without = spec.clone();
    spec.limits.max_params = Some(700);
    spec.validate().unwrap();
    assert_ne!(spec.digest(), without.digest());
    let state = RunState::new(spec.clone()).unwrap();
    assert_eq!(state.genomes().count(), spec.search.population);
    for (_, genome) in state.genomes() {
        assert!(spec.costs_of(genome).unwrap().params <= 700, "{genome}");
    }
    spec.limits.max_params = Some(1);
    let refused = spec.validate().unwrap_err().to_string();
    assert!(refused.contains("(max_params: 1)"), "{refused}");
    spec.limits.max_params = Some(700);
    spec.initial_genomes = vec!["1".repeat(spec.search.genome_len).parse().unwrap()];
    let refused = spec.validate().unwrap_err().to_string();
    assert!(refused.contains("max_params: 700"), "{refused}");
}

#[test]
fn networks_are_not_chosen_by_the_test_images() {
    let mut spec = spec();
    spec.recipe.validation_images = 0;
    let error = spec.validate().unwrap_err().to_string();
    assert_eq!(
        error,
        "validation-images is 0 in a search of 400 networks; it must be at least 1, so that they \
         are not chosen by the test images"
    );
    (spec.search.population, spec.search.generations) = (1, 1);
    spec.validate_received().unwrap();
}

#[test]
fn other_objectives_than_those_of_a_job_are_refused() {
    let mut spec = spec();
    spec.search.objectives.truncate(2);
    let error = spec.validate().unwrap_err().to_string();
    assert!(
        error.starts_with("the objectives are accuracy (Maximize), params"),
        "{error}"
    );
    spec.search.objectives[0].name = "\u{10348}".repeat(1 << 16);
    assert!(spec.validate().unwrap_err().to_string().len() < 600);
    assert!(Auditor::new(spec, Signers::default()).is_err());
}

#[test]
fn rungs_need_exact_agreement_and_a_network_that_reaches_the_last() {
    let mut spec = spec();
    spec.recipe.epochs = 6;
    spec.recipe.rungs = vec![1, 3];
    spec.search.rungs = vec![1, 3, 6];
    spec.rules.epochs = 6;
    spec.rules.agreement.rule = Rule::Exact;
    (spec.search.population, spec.search.generations) = (6, 1);
    spec.validate().unwrap();
    spec.search.population = 5;
    let error = spec.validate().unwrap_err().to_string();
    let text =
        "a search of 5 networks with measurements after epochs [1, 3, 6] trains none to the end";
    assert!(error.starts_with(text), "{error}");
    spec.search.population = 6;
    spec.rules.agreement.rule = Rule::Tolerance;
    let error = spec.validate().unwrap_err().to_string();
    assert!(error.contains("(--agreement exact)"), "{error}");
}
