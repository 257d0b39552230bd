//! Verdicts on real trainings: the three published trainings of each of the 6,561 architectures of
//! NAS-Bench-Macro (Su et al., CVPR 2021) as the answers of three honest miners without
//! deterministic training; and what a miner earns that never trains and predicts the accuracy by a
//! regression on parameters and FLOPs.
//!
//!     cargo run --release -p naschain-consensus --example nas_bench_rewards -- cifar10.csv
//!
//! The file has the columns arch, acc_run1, acc_run2, acc_run3, params, flops.

use std::process::ExitCode;

use naschain_consensus::{Agreement, Row, Rule, judge};
use naschain_core::{Accuracy, Digest, Measurement, Purpose, Stream};

struct Network {
    runs: [Accuracy; 3],
    params: u64,
    flops: u64,
}

fn main() -> ExitCode {
    let Some(path) = std::env::args().nth(1) else {
        eprintln!("usage: nas_bench_rewards PATH_OF_cifar10.csv");
        return ExitCode::from(2);
    };
    match read(&path) {
        Ok(networks) => {
            report(&networks);
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("nas_bench_rewards: {path}: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn read(path: &str) -> Result<Vec<Network>, Box<dyn std::error::Error>> {
    let text = std::fs::read_to_string(path)?;
    let mut networks = Vec::new();
    for (number, line) in text.lines().enumerate().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let [_, a, b, c, params, flops] = fields[..] else {
            return Err(format!("line {} has {} fields, not 6", number + 1, fields.len()).into());
        };
        let accuracy = |text: &str| -> Result<Accuracy, Box<dyn std::error::Error>> {
            Ok(Accuracy::from_percent(text.parse()?)?)
        };
        networks.push(Network {
            runs: [accuracy(a)?, accuracy(b)?, accuracy(c)?],
            params: params.parse()?,
            flops: flops.parse()?,
        });
    }
    if networks.len() < 100 {
        return Err(format!("only {} networks", networks.len()).into());
    }
    Ok(networks)
}

fn row(network: &Network, accuracy: Accuracy, digest: u8) -> Row {
    Row::Measured(Measurement {
        accuracy,
        params: network.params,
        flops: network.flops,
        digest: Digest([digest; 32]),
    })
}

fn report(networks: &[Network]) {
    let count = networks.len() as f64;
    let share = |some: usize| format!("{some} of {count} ({:.2} %)", 100.0 * some as f64 / count);
    println!("three honest miners without deterministic training");
    for rule in [Rule::Tolerance, Rule::Chained, Rule::Exact] {
        let agreement = Agreement::new(rule);
        let rewarded = networks.iter().map(|network| {
            let runs = [0, 1, 2].map(|run| row(network, network.runs[run], run as u8));
            let verdict = judge(&runs, &agreement);
            verdict.agreed.iter().filter(|rewarded| **rewarded).count()
        });
        let rewarded: Vec<usize> = rewarded.collect();
        let accepted = rewarded.iter().filter(|rewarded| **rewarded >= 2).count();
        let all_three = rewarded.iter().filter(|rewarded| **rewarded == 3).count();
        println!(
            "  {rule:<9} accepted {}, all three rewarded {}",
            share(accepted),
            share(all_three)
        );
    }
    for seen in [30, 300, networks.len()] {
        let guesses = guess(networks, seen);
        println!("a miner that predicts from {seen} results");
        for (rule, deterministic) in [
            (Rule::Tolerance, false),
            (Rule::Chained, false),
            (Rule::Exact, true),
        ] {
            let agreement = Agreement::new(rule);
            let rewarded = (0..networks.len()).filter(|&at| {
                let network = &networks[at];
                // Under the exact rule, honest miners train to equal results.
                let second = if deterministic { 0 } else { 1 };
                let rows = [
                    row(network, network.runs[0], 0),
                    row(network, network.runs[second], second as u8),
                    row(network, guesses[at], 9),
                ];
                judge(&rows, &agreement).agreed[2]
            });
            println!("  {rule:<9} points: {}", share(rewarded.count()));
        }
    }
}

/// Accuracies predicted by a least-squares fit of the error on log parameters, log FLOPs and their
/// squares, over some of the networks.
fn guess(networks: &[Network], seen: usize) -> Vec<Accuracy> {
    let features = |network: &Network| {
        let p = (network.params as f64).ln() - 14.0;
        let f = (network.flops as f64).ln() - 17.5;
        [1.0, p, f, p * p, f * f, p * f]
    };
    let order = Stream::new(1, Purpose::Simulation, 3, 0).permutation(networks.len());
    let mut system = [[0.0; 7]; 6];
    for network in order[..seen].iter().map(|at| &networks[*at]) {
        let x = features(network);
        let y = (101.0 - network.runs[0].percent()).ln();
        for i in 0..6 {
            for j in 0..6 {
                system[i][j] += x[i] * x[j];
            }
            system[i][6] += x[i] * y;
        }
    }
    for (i, row) in system.iter_mut().enumerate() {
        row[i] += 1e-6;
    }
    let weights = solve(system);
    let predict = |network: &Network| {
        let x = features(network);
        let log_error: f64 = (0..6).map(|i| weights[i] * x[i]).sum();
        let hundredths = ((101.0 - log_error.exp()) * 100.0).clamp(0.0, 10_000.0);
        Accuracy::from_hundredths(hundredths.round() as u32)
    };
    networks
        .iter()
        .map(|network| predict(network).expect("clamped to 0 to 100"))
        .collect()
}

/// Gaussian elimination with pivoting.
fn solve(mut system: [[f64; 7]; 6]) -> [f64; 6] {
    for i in 0..6 {
        let better = |a: &usize, b: &usize| system[*a][i].abs().total_cmp(&system[*b][i].abs());
        let pivot = (i..6).max_by(better).unwrap_or(i);
        system.swap(i, pivot);
        let upper = system[i];
        for (below, row) in system.iter_mut().enumerate() {
            if below != i {
                let factor = row[i] / upper[i];
                for (value, above) in row.iter_mut().zip(upper) {
                    *value -= factor * above;
                }
            }
        }
    }
    std::array::from_fn(|i| system[i][6] / system[i][i])
}
