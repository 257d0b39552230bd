//! The default mode compared with plain NSGA-II on problems that its constants were not tuned on.

use naschain_core::Genome;
use naschain_nsga::{
    Ask, Bits, Mode, Objective, Outcome, Pace, RealVector, Reals, Search, SearchConfig, Space,
    hypervolume,
};

/// The evaluated points in order.
pub(crate) fn found<S: Space>(
    space: S,
    mut config: SearchConfig,
    mode: Mode,
    evaluate: impl Fn(&S::Genome) -> Vec<f64>,
) -> Vec<f64> {
    config.mode = mode;
    let mut search = Search::in_space(config, space).unwrap();
    let mut points = Vec::new();
    while let Ask::Candidate(candidate) = search.ask() {
        let values = evaluate(&candidate.genome);
        points.extend_from_slice(&values);
        search
            .tell(candidate.id, Outcome::objectives(values))
            .unwrap();
    }
    points
}

fn objectives(count: usize) -> Vec<Objective> {
    (0..count)
        .map(|index| Objective::minimize(format!("f{index}")))
        .collect()
}

pub(crate) fn config(genes: usize, goals: usize, evaluations: usize, seed: u64) -> SearchConfig {
    let mut config = SearchConfig::new(genes, objectives(goals));
    config.seed = seed;
    config.evaluations = Some(evaluations);
    // Enough generations for all evaluations.
    config.generations = evaluations.div_ceil(20).max(20);
    config
}

/// The hypervolumes of both modes after the same number of evaluations.
fn volumes<S: Space + Copy>(
    space: S,
    config: &SearchConfig,
    reference: &[f64],
    evaluate: impl Fn(&S::Genome) -> Vec<f64>,
) -> [f64; 2] {
    [Mode::Surrogate, Mode::Nsga2].map(|mode| {
        let points = found(space, config.clone(), mode, &evaluate);
        hypervolume(&points, reference).unwrap()
    })
}

#[test]
fn a_knapsack_needs_fewer_evaluations() {
    for seed in 1..=3 {
        let config = config(40, 2, 100, seed);
        let [with, without] = volumes(Bits, &config, &[100.0, 120.0], |genome| {
            let set = |bit: &usize| genome.get(*bit);
            let weight: usize = (0..40).filter(set).map(|bit| 1 + bit % 5).sum();
            let gain: usize = (0..40).filter(set).map(|bit| 1 + bit * 7 % 11).sum();
            vec![1000.0 / (10 + gain) as f64, weight as f64]
        });
        assert!(with > 1.05 * without, "seed {seed}: {with} {without}");
    }
}

/// ZDT5, which misleads a linear model.
#[test]
fn the_default_is_not_worse_on_a_deceptive_problem() {
    for seed in 1..=3 {
        let config = config(80, 2, 200, seed);
        let [with, without] = volumes(Bits, &config, &[32.0, 62.0], |genome| {
            let group = |from: usize| match genome.count_ones(from..from + 5) {
                5 => 1.0,
                ones => 2.0 + ones as f64,
            };
            let first = 1.0 + genome.count_ones(0..30) as f64;
            let groups: f64 = (30..80).step_by(5).map(group).sum();
            vec![first, groups / first]
        });
        assert!(with > 1.05 * without, "seed {seed}: {with} {without}");
    }
}

/// ZDT1 (Zitzler, Deb and Thiele 2000) with ten variables.
#[test]
fn real_variables_need_fewer_evaluations() {
    for seed in 1..=3 {
        let config = config(10, 2, 150, seed);
        let [with, without] = volumes(Reals, &config, &[1.1, 7.0], |genome| {
            let [first, rest @ ..] = genome.values() else {
                unreachable!("ten variables")
            };
            let g = 1.0 + 9.0 * rest.iter().sum::<f64>() / rest.len() as f64;
            vec![*first, g * (1.0 - (first / g).sqrt())]
        });
        assert!(with > without, "seed {seed}: {with} {without}");
    }
}

/// Statistics have no hypervolume for more than three objectives; the search works nevertheless.
#[test]
fn four_objectives_need_fewer_evaluations() {
    for seed in 1..=3 {
        let config = config(32, 4, 150, seed);
        let [with, without] = volumes(Bits, &config, &[33.0; 4], |genome| {
            let ones = |from: usize| genome.count_ones(from..from + 8) as f64;
            let all = genome.count_ones(0..32) as f64;
            // Each objective counts the ones of one quarter for it and all others against it.
            (0..4)
                .map(|quarter| 8.0 + all - 2.0 * ones(8 * quarter))
                .collect()
        });
        assert!(with > without, "seed {seed}: {with} {without}");
    }
}

/// A knapsack whose weight is known without evaluation.
struct Weighed;

fn weight(genome: &Genome) -> f64 {
    let set = (0..40).filter(|&bit| genome.get(bit));
    // Far from linear, so that a model of the genes cannot predict it.
    let sum: usize = set.map(|bit| 1 + bit % 5).sum();
    ((sum * 37) % 101) as f64
}

impl Space for Weighed {
    type Genome = Genome;

    fn known_objectives(&self, genome: &Genome) -> Vec<Option<f64>> {
        vec![None, Some(weight(genome))]
    }
}

#[test]
fn known_objectives_are_used() {
    for seed in 1..=3 {
        let evaluate = |genome: &Genome| vec![-(genome.count_ones(0..40) as f64), weight(genome)];
        let mean_weight = |points: Vec<f64>| {
            let weights = points.iter().skip(41).step_by(2);
            weights.sum::<f64>() / (points.len() / 2 - 20) as f64
        };
        let mode = Mode::Surrogate;
        let with = found(Weighed, config(40, 2, 100, seed), mode, evaluate);
        let without = found(Bits, config(40, 2, 100, seed), mode, evaluate);
        let means = [mean_weight(with), mean_weight(without)];
        assert!(means[0] < 0.6 * means[1], "seed {seed}: {means:?}");
    }
}

/// A space in which both objectives are known: the number of the first six bits and its negative, so
/// that all numbers are trade-offs. The other bits do not count.
struct Counted;

fn number(genome: &Genome) -> f64 {
    (0..6).fold(0.0, |sum, bit| {
        2.0 * sum + f64::from(u8::from(genome.get(bit)))
    })
}

impl Space for Counted {
    type Genome = Genome;

    fn known_objectives(&self, genome: &Genome) -> Vec<Option<f64>> {
        vec![Some(-number(genome)), Some(number(genome))]
    }
}

/// A genome with the same objectives as a pending one has no expected gain.
#[test]
fn pending_candidates_are_considered() {
    for seed in 1..=5 {
        let mut config = config(12, 2, 100, seed);
        config.pace = Pace::SteadyState;
        let mut search = Search::in_space(config, Counted).unwrap();
        let mut numbers = Vec::new();
        for _ in 0..12 {
            let candidate = search.ask().candidate().unwrap();
            let value = number(&candidate.genome);
            numbers.push(value);
            let outcome = Outcome::objectives([-value, value]);
            search.tell(candidate.id, outcome).unwrap();
        }
        for _ in 0..8 {
            let value = number(&search.ask().candidate().unwrap().genome);
            assert!(
                !numbers.contains(&value),
                "seed {seed}: {value} after {numbers:?}"
            );
            numbers.push(value);
        }
    }
}

/// Maximises weighted ones of 80 bits and minimises changes between neighbours; more than `cap` ones
/// are infeasible. Returns the minimised objectives or the violation.
fn capped(genome: &Genome, cap: usize) -> Result<[f64; 2], f64> {
    let ones = genome.count_ones(0..80);
    if ones > cap {
        return Err((ones - cap) as f64);
    }
    let weights = (0..80).filter(|&bit| genome.get(bit));
    let weight: usize = weights.map(|bit| 1 + bit % 5).sum();
    let changes = (1..80).filter(|&bit| genome.get(bit) != genome.get(bit - 1));
    Ok([-(weight as f64), changes.count() as f64])
}

/// The hypervolumes after each of `evaluations`, and the share of feasible candidates.
fn capped_volumes(mode: Mode, cap: usize, evaluations: &[usize], seed: u64) -> Vec<f64> {
    let most = evaluations[evaluations.len() - 1];
    let mut config = config(80, 2, most, seed);
    config.mode = mode;
    let mut search = Search::new(config).unwrap();
    let mut found = Vec::new();
    while let Ask::Candidate(candidate) = search.ask() {
        let values = capped(&candidate.genome, cap);
        let outcome = match values {
            Ok(values) => Outcome::objectives(values),
            Err(violation) => Outcome::Infeasible(violation),
        };
        search.tell(candidate.id, outcome).unwrap();
        found.push(values.ok());
    }
    let volume = |&count: &usize| {
        let points: Vec<f64> = found[..count].iter().flatten().flatten().copied().collect();
        hypervolume(&points, &[0.0, 80.0]).unwrap()
    };
    let share = found.iter().flatten().count() as f64 / most as f64;
    evaluations.iter().map(volume).chain([share]).collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[test]
fn the_default_is_not_worse_on_a_constrained_problem() {
    for cap in [45, 30] {
        let [with, without] = [Mode::Surrogate, Mode::Nsga2].map(|mode| {
            let runs = (1..=5).map(|seed| capped_volumes(mode, cap, &[200], seed)[0]);
            median(runs.collect())
        });
        assert!(with >= without, "cap {cap}: {with} {without}");
    }
}

/// The table of docs/search.md.
#[test]
#[ignore = "slow and without checks: it prints a table of docs/search.md"]
fn table_of_a_constrained_problem() {
    println!(
        "cap  mode       hypervolume after 100, 200, 400, and share of feasible candidates, median of 15 seeds"
    );
    for cap in [45, 30] {
        for mode in [Mode::Surrogate, Mode::Nsga2] {
            let runs = (1..=15).map(|seed| capped_volumes(mode, cap, &[100, 200, 400], seed));
            let runs: Vec<Vec<f64>> = runs.collect();
            let medians = (0..4).map(|at| median(runs.iter().map(|run| run[at]).collect()));
            let medians: Vec<String> = medians.map(|value| format!("{value:8.2}")).collect();
            println!("{cap:3}  {:9}  {}", format!("{mode:?}"), medians.join("  "));
        }
    }
}

/// ZDT4 (Zitzler, Deb and Thiele 2000), ten variables with many local fronts, where the default is
/// worse.
#[test]
#[ignore = "without checks: it prints figures of docs/search.md"]
fn table_of_a_multimodal_problem() {
    let evaluate = |genome: &RealVector| {
        let [first, rest @ ..] = genome.values() else {
            unreachable!("ten variables")
        };
        let term = |x: f64| x * x - 10.0 * (4.0 * std::f64::consts::PI * x).cos();
        let g = 91.0 + rest.iter().map(|x| term(10.0 * x - 5.0)).sum::<f64>();
        vec![*first, g * (1.0 - (first / g).sqrt())]
    };
    let reference = [1.0, 150.0];
    let runs = (1..=7).map(|seed| volumes(Reals, &config(10, 2, 400, seed), &reference, evaluate));
    let runs: Vec<[f64; 2]> = runs.collect();
    let share = |at: usize| median(runs.iter().map(|run| run[at] / 150.0).collect());
    println!("ZDT4: default {:.3}, plain {:.3}", share(0), share(1));
}
