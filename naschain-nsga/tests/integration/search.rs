//! Guarantees of a search: order independence, saving, deduplication, and the front.

use crate::searches::{config, run};
use naschain_core::{Genome, Purpose, Stream};
use naschain_nsga::{
    Ask, Candidate, CandidateId, Error, Evaluated, Finish, Mode, Outcome, Pace, Reals, Search,
    SearchConfig, Space,
};
use proptest::prelude::*;

fn history<S: Space<Genome = Genome>>(search: &Search<S>) -> String {
    let all: Vec<_> = search.evaluated().collect();
    format!(
        "{} {:?}",
        serde_json::to_string(&all).unwrap(),
        search.finish()
    )
}

fn ids(candidates: Vec<&Evaluated>) -> Vec<CandidateId> {
    candidates.into_iter().map(|one| one.id).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_order_of_outcomes_does_not_matter(seed: u64, len in 3usize..90, order: u64) {
        let search = || Search::new(config(len, seed)).unwrap();
        let one = run(search(), order, |search| search);
        let other = run(search(), order.wrapping_add(1), |search| search);
        prop_assert_eq!(history(&one), history(&other));
        prop_assert_eq!(ids(one.front()), ids(other.front()));
    }

    #[test]
    fn a_restored_search_continues_as_if_never_interrupted(
        seed: u64,
        len in 3usize..90,
        order: u64,
        steady: bool,
    ) {
        let pace = if steady { Pace::SteadyState } else { Pace::Generational };
        let mut config = config(len, seed);
        config.pace = pace;
        let search = || Search::new(config.clone()).unwrap();
        let one = run(search(), order, |search| search);
        let mut stops = Stream::new(order, Purpose::Simulation, 1, 0);
        let other = run(search(), order, |search| {
            if !stops.chance(0.3) {
                return search;
            }
            let saved = serde_json::to_string(&search).unwrap();
            let restored: Search = serde_json::from_str(&saved).unwrap();
            let pending = |search: &Search| search.pending().collect::<Vec<_>>();
            assert_eq!(pending(&search), pending(&restored));
            assert_eq!(ids(search.front()), ids(restored.front()));
            assert_eq!(ids(search.population()), ids(restored.population()));
            restored
        });
        prop_assert_eq!(ids(one.front()), ids(other.front()));
        prop_assert_eq!(ids(one.population()), ids(other.population()));
        prop_assert_eq!(serde_json::to_string(&one).unwrap(), serde_json::to_string(&other).unwrap());
        prop_assert_eq!(history(&one), history(&other));
    }

    #[test]
    fn genomes_are_unique_and_the_front_is_non_dominated(seed: u64, len in 3usize..90) {
        let search = run(Search::new(config(len, seed)).unwrap(), 0, |search| search);
        let all: Vec<_> = search.evaluated().collect();
        let mut genomes: Vec<_> = all.iter().map(|one| &one.genome).collect();
        genomes.sort();
        genomes.dedup();
        prop_assert_eq!(genomes.len(), all.len());
        // ones is maximised, value minimised.
        let dominates = |a: &[f64], b: &[f64]| a[0] >= b[0] && a[1] <= b[1] && a != b;
        let values: Vec<_> = all.iter().filter_map(|one| one.objectives().map(|v| (one.id, v))).collect();
        let mut expected: Vec<_> = values
            .iter()
            .filter(|(_, value)| !values.iter().any(|(_, other)| dominates(other, value)))
            .collect();
        expected.sort_by(|(a, x), (b, y)| y[0].total_cmp(&x[0]).then(a.cmp(b)));
        let front = search.front();
        let found: Vec<_> = front.iter().map(|one| (one.id, one.objectives().unwrap())).collect();
        prop_assert!(found.iter().eq(expected));
    }
}

/// Restored within a generation, whose candidates have not joined the front yet.
#[test]
fn a_restored_search_lists_each_candidate_of_its_front_once() {
    let mut search = Search::new(config(40, 2)).unwrap();
    for _ in 0..5 {
        let candidate = search.ask().candidate().unwrap();
        let told = Outcome::objectives([1.0, candidate.id.0 as f64]);
        search.tell(candidate.id, told).unwrap();
    }
    let saved = serde_json::to_string(&search).unwrap();
    search = serde_json::from_str(&saved).unwrap();
    assert_eq!(ids(search.front()), [CandidateId(0)]);
    while let Ask::Candidate(candidate) = search.ask() {
        let told = Outcome::objectives([1.0, candidate.id.0 as f64]);
        search.tell(candidate.id, told).unwrap();
    }
    assert_eq!(ids(search.front()), [CandidateId(0)]);
}

#[test]
fn a_search_of_a_small_space_ends_when_it_is_exhausted() {
    for len in 1..=5 {
        let search = run(Search::new(config(len, 3)).unwrap(), 0, |search| search);
        let expected = (1 << len).min(42);
        assert_eq!(search.evaluated().count(), expected);
        assert_eq!(search.finish(), Some(Finish::Exhausted));
    }
    let search = run(Search::new(config(6, 3)).unwrap(), 0, |search| search);
    assert_eq!(
        (search.evaluated().count(), search.finish()),
        (42, Some(Finish::Generations))
    );
    assert_eq!(search.generation(), 6);
}

/// A space in which only the leading ones count. Random genomes have few of them.
struct Leading;

impl Space for Leading {
    type Genome = Genome;

    fn canonical(&self, genome: &Genome) -> Genome {
        let leading = genome.bits().take_while(|bit| *bit).count();
        Genome::from_bits((0..genome.len()).map(|bit| bit < leading))
    }
}

/// While candidates are pending no new genome may be found; once told, they are parents of new ones.
#[test]
fn a_steady_state_search_does_not_end_while_candidates_are_pending() {
    for seed in 1..=6 {
        let mut config = config(40, seed);
        config.pace = Pace::SteadyState;
        config.generations = 20;
        let mut search = Search::in_space(config, Leading).unwrap();
        let tell = |search: &mut Search<_>, candidate: Candidate| {
            let leading = candidate.genome.bits().take_while(|bit| *bit).count();
            let outcome = Outcome::objectives([leading as f64, 0.0]);
            search.tell(candidate.id, outcome).unwrap();
        };
        let pending: Vec<Candidate> = std::iter::from_fn(|| search.ask().candidate()).collect();
        assert!(pending.len() < 20 && !search.is_finished(), "seed {seed}");
        let found = pending.len();
        for candidate in pending {
            tell(&mut search, candidate);
        }
        while let Ask::Candidate(candidate) = search.ask() {
            tell(&mut search, candidate);
        }
        let all = search.evaluated().count();
        assert!(all > found, "seed {seed}: {found} {all}");
        assert_eq!(search.finish(), Some(Finish::Exhausted));
    }
}

/// A space in which only the first four bits count.
#[derive(Debug)]
struct Prefix;

impl Space for Prefix {
    type Genome = Genome;

    fn canonical(&self, genome: &Genome) -> Genome {
        Genome::from_bits(genome.bits().take(4))
    }
}

#[test]
fn genomes_with_one_canonical_form_are_asked_once() {
    let search = run(
        Search::in_space(config(60, 1), Prefix).unwrap(),
        0,
        |search| search,
    );
    let mut forms: Vec<Genome> = search
        .evaluated()
        .map(|one| Prefix.canonical(&one.genome))
        .collect();
    assert!(search.evaluated().all(|one| one.genome.len() == 60));
    let kept = search.evaluated().map(|one| search.canonical(one.id));
    assert!(kept.eq(forms.iter().map(Some)));
    assert_eq!(search.canonical(CandidateId(16)), None);
    forms.sort();
    forms.dedup();
    assert_eq!(
        (forms.len(), search.finish()),
        (16, Some(Finish::Exhausted))
    );
}

#[test]
fn given_genomes_come_first_and_once() {
    let genomes: Vec<Genome> = ["1111", "0000", "1111"]
        .map(|text| text.parse().unwrap())
        .to_vec();
    let mut search =
        Search::starting_from(config(4, 1), naschain_nsga::Bits, genomes.clone()).unwrap();
    assert_eq!(search.ask().candidate().unwrap().genome, genomes[0]);
    assert_eq!(search.ask().candidate().unwrap().genome, genomes[1]);
    assert!(!genomes.contains(&search.ask().candidate().unwrap().genome));
    let error = Search::starting_from(config(5, 1), naschain_nsga::Bits, genomes).unwrap_err();
    assert_eq!(
        error,
        Error::GenomeLength {
            found: 4,
            expected: 5
        }
    );
}

/// Also if there are more than the initial candidates of the surrogate.
#[test]
fn all_given_genomes_come_first() {
    for seed in [1, 2] {
        let mut config = config(30, seed);
        config.population = 20;
        let mut stream = Stream::new(9, Purpose::Simulation, 0, 0);
        let genomes: Vec<Genome> = (0..25)
            .map(|_| Genome::from_bits((0..30).map(|_| stream.chance(0.5))))
            .collect();
        let search = Search::starting_from(config, naschain_nsga::Bits, genomes.clone()).unwrap();
        let search = run(search, 0, |search| search);
        let asked: Vec<_> = search.evaluated().map(|one| one.genome.clone()).collect();
        assert_eq!(asked[..20], genomes[..20], "seed {seed}");
        assert_eq!(asked.len(), 120);
    }
}

#[test]
fn the_genomes_after_the_given_ones_are_drawn_by_the_seed() {
    let given: Vec<Genome> = vec!["1".repeat(30).parse().unwrap()];
    let asked = |seed| {
        let search = Search::starting_from(config(30, seed), naschain_nsga::Bits, given.clone());
        let search = run(search.unwrap(), 0, |search| search);
        let genomes = search.evaluated().map(|one| one.genome.clone());
        genomes.collect::<Vec<_>>()
    };
    assert_eq!(asked(1)[0], given[0]);
    assert_eq!(asked(1), asked(1));
    assert_ne!(asked(1)[1], asked(2)[1]);
}

#[test]
fn a_population_of_one_evaluates_the_given_genome_alone() {
    for mode in [Mode::Surrogate, Mode::Nsga2] {
        let mut config = config(4, 1);
        (config.population, config.generations, config.mode) = (1, 1, mode);
        let genome: Genome = "1001".parse().unwrap();
        let given = vec![genome.clone()];
        let mut search = Search::starting_from(config, naschain_nsga::Bits, given).unwrap();
        let candidate = search.ask().candidate().unwrap();
        assert_eq!(candidate.genome, genome);
        assert!(matches!(search.ask(), Ask::Done));
        let saved = serde_json::to_string(&search).unwrap();
        search = serde_json::from_str(&saved).unwrap();
        let outcome = Outcome::objectives([1.0, 2.0]);
        search.tell(candidate.id, outcome).unwrap();
        assert_eq!(search.finish(), Some(Finish::Generations));
        assert_eq!((search.front().len(), search.population().len()), (1, 1));
        let error = search.extend(2).unwrap_err().to_string();
        assert!(error.contains("a population of 1 has no pair"), "{error}");
    }
}

#[test]
fn invalid_outcomes_are_rejected_and_change_nothing() {
    let mut search = Search::new(config(20, 1)).unwrap();
    let id = search.ask().candidate().unwrap().id;
    let good = Outcome::objectives([1.0, 2.0]);
    let before = serde_json::to_string(&search).unwrap();
    let unknown = CandidateId(1);
    let cases = [
        (
            unknown,
            good.clone(),
            Error::UnknownCandidate {
                id: unknown,
                asked: 1,
            },
        ),
        (
            id,
            Outcome::objectives([1.0]),
            Error::ObjectiveCount {
                id,
                found: 1,
                expected: 2,
            },
        ),
        (
            id,
            Outcome::Infeasible(-1.0),
            Error::Violation { id, found: -1.0 },
        ),
    ];
    for (id, outcome, error) in cases {
        assert_eq!(search.tell(id, outcome).unwrap_err(), error);
    }
    assert_eq!(serde_json::to_string(&search).unwrap(), before);
    search.tell(id, good.clone()).unwrap();
    assert_eq!(search.tell(id, good).unwrap_err(), Error::ToldTwice { id });
    assert_eq!(
        search
            .tell(CandidateId(u64::MAX), Outcome::Failed(String::new()))
            .unwrap_err(),
        Error::UnknownCandidate {
            id: CandidateId(u64::MAX),
            asked: 1
        }
    );
}

#[test]
fn every_field_of_the_configuration_is_checked() {
    type Change = fn(&mut SearchConfig);
    let changes: [(Change, &str); 13] = [
        (|config| config.genome_len = 0, "genome_len"),
        (|config| config.genome_len = (1 << 24) + 1, "genome_len"),
        (|config| config.genome_len = usize::MAX, "genome_len"),
        (|config| config.population = 1, "population"),
        (|config| config.generations = 0, "generations"),
        (
            |config| config.crossover_probability = 1.5,
            "crossover_probability",
        ),
        (
            |config| config.crossover_probability = f64::NAN,
            "crossover_probability",
        ),
        (
            |config| config.mutation_probability = Some(-0.1),
            "mutation_probability",
        ),
        (|config| config.objectives.clear(), "objectives"),
        (|config| config.evaluations = Some(0), "evaluations"),
        (
            |config| config.stalled_generations = Some(0),
            "stalled_generations",
        ),
        (|config| config.reference = Some(vec![1.0]), "reference"),
        (
            |config| config.reference = Some(vec![1.0, f64::NAN]),
            "reference",
        ),
    ];
    for (change, name) in changes {
        let mut config = config(8, 0);
        change(&mut config);
        let errors = [
            Search::new(config.clone()).unwrap_err(),
            Search::in_space(config, Reals).unwrap_err(),
        ];
        for error in errors {
            match error {
                Error::Config { field, .. } => assert_eq!(field, name),
                error => panic!("{error}"),
            }
        }
    }
}

#[test]
fn damaged_saves_are_rejected() {
    let mut search = Search::new(config(8, 0)).unwrap();
    let first = search.ask().candidate().unwrap();
    search
        .tell(first.id, Outcome::objectives([1.0, f64::INFINITY]))
        .unwrap();
    let saved = serde_json::to_value(&search).unwrap();
    let restored = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut saved = saved.clone();
        change(&mut saved);
        serde_json::from_value::<Search>(saved)
    };
    assert!(restored(&|_| {}).is_ok());
    assert!(restored(&|saved| saved["asked"] = 100.into()).is_err());
    assert!(restored(&|saved| saved["asked"] = 0.into()).is_err());
    assert!(restored(&|saved| saved["slots"][0]["told"]["generation"] = 2.into()).is_err());
    assert!(restored(&|saved| saved["waiting"] = vec![1].into()).is_err());
    assert!(restored(&|saved| saved["reference"] = vec![1.0].into()).is_err());
    assert!(restored(&|saved| saved["population"] = vec![99].into()).is_err());
    assert!(restored(&|saved| saved["slots"] = serde_json::json!([])).is_err());
    assert!(restored(&|saved| saved["slots"][1] = saved["slots"][2].clone()).is_err());
    assert!(restored(&|saved| saved["slots"][0]["told"]["id"] = 3.into()).is_err());
    assert!(restored(&|saved| saved["slots"][0]["told"]["genome"] = "1".into()).is_err());
    assert!(restored(&|saved| saved["config"]["population"] = 0.into()).is_err());
}
