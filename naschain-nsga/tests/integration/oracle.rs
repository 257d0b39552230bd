//! Comparison with other implementations: pymoo, moocore and pygmo (each fixture names the versions).

use naschain_nsga::{crowding_distance, hypervolume, igd, igd_plus, non_dominated_sort};
use serde_json::Value;

fn cases(text: &str) -> Vec<Value> {
    let file: Value = serde_json::from_str(text).unwrap();
    file["cases"].as_array().unwrap().clone()
}

/// A number, or "inf", "-inf" or "nan".
fn number(value: &Value) -> f64 {
    match value.as_str() {
        Some(text) => text.parse().unwrap(),
        None => value.as_f64().unwrap(),
    }
}

fn indices(value: &Value) -> Vec<usize> {
    let numbers = value.as_array().unwrap().iter();
    numbers
        .map(|index| index.as_u64().unwrap() as usize)
        .collect()
}

fn rows(value: &Value) -> Vec<f64> {
    let rows = value.as_array().unwrap().iter();
    rows.flat_map(|row| row.as_array().unwrap().iter().map(number))
        .collect()
}

#[test]
fn fronts_and_crowding_distances_bit_for_bit() {
    let cases = cases(include_str!("../fixtures/nds_cases.json"));
    assert_eq!(cases.len(), 45);
    let mut distances = 0;
    for case in cases {
        let objectives = case["m"].as_u64().unwrap() as usize;
        let hex = case["objectives_hex"].as_str().unwrap().split(' ');
        let points: Vec<f64> = hex
            .map(|bits| f64::from_bits(u64::from_str_radix(bits, 16).unwrap()))
            .collect();
        let ranks = non_dominated_sort(&points, objectives).unwrap();
        let ranks: Vec<usize> = ranks.into_iter().map(|rank| rank as usize).collect();
        assert_eq!(ranks, indices(&case["rank"]), "{}", case["name"]);
        for front in case["fronts"].as_array().unwrap() {
            // The oracle has no distances if a value is infinite.
            let Some(expected) = front["cd_deb"].as_array() else {
                continue;
            };
            let found = crowding_distance(&points, objectives, &indices(&front["points"])).unwrap();
            let bits = |values: Vec<f64>| values.into_iter().map(f64::to_bits).collect::<Vec<_>>();
            let expected: Vec<f64> = expected.iter().map(number).collect();
            distances += expected.len();
            assert_eq!(bits(found), bits(expected), "{}", case["name"]);
        }
    }
    assert!(distances > 2800, "{distances} distances compared");
}

/// The points (x, y, -y), which do not dominate each other, and the same points a little worse.
#[test]
fn two_long_fronts_of_three_objectives() {
    let front = |worse: f64| {
        (0..20_000u64).flat_map(move |point| {
            let scattered = |factor: u64| (point * factor % 20_011) as f64;
            let (x, y) = (scattered(7919), scattered(10_007));
            [x + worse, y + worse, worse - y]
        })
    };
    let points: Vec<f64> = front(0.0).chain(front(0.25)).collect();
    let ranks = non_dominated_sort(&points, 3).unwrap();
    assert!(ranks[..20_000].iter().all(|rank| *rank == 0));
    assert!(ranks[20_000..].iter().all(|rank| *rank == 1));
}

#[test]
fn hypervolume_igd_and_igd_plus() {
    let cases = cases(include_str!("../fixtures/hv_cases.json"));
    assert_eq!(cases.len(), 22);
    for case in cases {
        let objectives = case["m"].as_u64().unwrap() as usize;
        let reference: Vec<f64> = case["ref_point"]
            .as_array()
            .unwrap()
            .iter()
            .map(number)
            .collect();
        let (points, front) = (rows(&case["points"]), rows(&case["reference_front"]));
        let close = |found: f64, key: &str| {
            let expected = number(&case[key]);
            let error = (found - expected).abs() / expected.abs().max(1.0);
            assert!(
                error <= 1e-12,
                "{} {key}: {found}, not {expected}",
                case["name"]
            );
        };
        close(hypervolume(&points, &reference).unwrap(), "hv");
        close(igd(&points, &front, objectives).unwrap(), "igd");
        close(igd_plus(&points, &front, objectives).unwrap(), "igd_plus");
    }
}
