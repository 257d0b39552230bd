//! The hypervolume after whole runs compared with pymoo 0.6.2 with the same settings (population 100,
//! 200 generations, DTLZ2 250): the median of 31 seeds is at least the lower quartile of pymoo's 31
//! seeds.

use naschain_core::Genome;
use naschain_nsga::{
    Ask, Bits, Evaluated, Genes, Mode, Objective, Outcome, RealVector, Reals, Search, SearchConfig,
    Space, hypervolume, non_dominated_sort,
};

const SEEDS: u64 = 31;

fn median_hypervolume<S: Space + Copy>(
    space: S,
    variables: usize,
    objectives: usize,
    generations: usize,
    evaluate: fn(&S::Genome) -> Vec<f64>,
) -> f64 {
    let mut found: Vec<f64> = (1..=SEEDS)
        .map(|seed| {
            let names = (0..objectives).map(|index| Objective::minimize(format!("f{index}")));
            let mut config = SearchConfig::new(variables, names.collect());
            config.mode = Mode::Nsga2;
            config.population = 100;
            config.generations = generations;
            config.seed = seed;
            let mut search = Search::in_space(config, space).unwrap();
            while let Ask::Candidate(candidate) = search.ask() {
                let values = evaluate(&candidate.genome);
                search
                    .tell(candidate.id, Outcome::objectives(values))
                    .unwrap();
            }
            assert_eq!(search.evaluated().count(), 100 * generations);
            first_front_volume(search.population().into_iter(), objectives)
        })
        .collect();
    found.sort_by(f64::total_cmp);
    found[found.len() / 2]
}

/// As in pymoo, the hypervolume of the last population's first front.
fn first_front_volume<'a, G: Genes + 'a>(
    population: impl Iterator<Item = &'a Evaluated<G>>,
    objectives: usize,
) -> f64 {
    let rows: Vec<f64> = population
        .flat_map(|one| one.objectives().unwrap().to_vec())
        .collect();
    let ranks = non_dominated_sort(&rows, objectives).unwrap();
    let front = rows
        .chunks(objectives)
        .zip(ranks)
        .filter(|(_, rank)| *rank == 0);
    let front: Vec<f64> = front.flat_map(|(row, _)| row.to_vec()).collect();
    hypervolume(&front, &vec![1.1; objectives]).unwrap()
}

fn zdt(vector: &RealVector, shape: fn(f64, f64) -> f64) -> Vec<f64> {
    let x = vector.values();
    let g = 1.0 + 9.0 * x[1..].iter().sum::<f64>() / (x.len() - 1) as f64;
    vec![x[0], g * shape(x[0], g)]
}

#[test]
fn zdt1() {
    let evaluate = |x: &RealVector| zdt(x, |f1, g| 1.0 - (f1 / g).sqrt());
    let median = median_hypervolume(Reals, 30, 2, 200, evaluate);
    assert!(median >= 0.867_811_505_291_353_1, "{median}");
}

#[test]
fn zdt2() {
    let evaluate = |x: &RealVector| zdt(x, |f1, g| 1.0 - (f1 / g) * (f1 / g));
    let median = median_hypervolume(Reals, 30, 2, 200, evaluate);
    assert!(median >= 0.534_071_922_313_476_2, "{median}");
}

#[test]
fn zdt3() {
    let evaluate = |x: &RealVector| {
        let wave = |f1: f64| f1 * (10.0 * std::f64::consts::PI * f1).sin();
        let mut values = zdt(x, |f1, g| 1.0 - (f1 / g).sqrt());
        values[1] -= wave(values[0]);
        values
    };
    let median = median_hypervolume(Reals, 30, 2, 200, evaluate);
    assert!(median >= 1.325_526_410_505_476_3, "{median}");
}

#[test]
#[ignore = "20 seconds"]
fn dtlz2() {
    let evaluate = |vector: &RealVector| {
        let x = vector.values();
        let g: f64 = x[2..]
            .iter()
            .map(|value| (value - 0.5) * (value - 0.5))
            .sum();
        let (a, b) = (
            x[0] * std::f64::consts::FRAC_PI_2,
            x[1] * std::f64::consts::FRAC_PI_2,
        );
        let radius = 1.0 + g;
        vec![
            radius * a.cos() * b.cos(),
            radius * a.cos() * b.sin(),
            radius * a.sin(),
        ]
    };
    let median = median_hypervolume(Reals, 12, 3, 250, evaluate);
    assert!(median >= 0.698_728_643_928_321_9, "{median}");
}

#[test]
fn zdt5() {
    let evaluate = |genome: &Genome| {
        let ones =
            |from: usize, len: usize| (from..from + len).filter(|&bit| genome.get(bit)).count();
        let f1 = 1.0 + ones(0, 30) as f64;
        let values = (0..10).map(|group| match ones(30 + 5 * group, 5) {
            5 => 1.0,
            count => 2.0 + count as f64,
        });
        let f2 = values.sum::<f64>() / f1;
        vec![(f1 - 1.0) / 30.0, (f2 - 10.0 / 31.0) / (10.0 - 10.0 / 31.0)]
    };
    let median = median_hypervolume(Bits, 80, 2, 200, evaluate);
    assert!(median >= 1.059_641_731_686_727_7, "{median}");
}
