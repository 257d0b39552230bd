//! Scores and weights compared with the bittensor Python packages 10.5.0 and 11.3.0, which computed
//! `fixtures/weights_cases.json`.

use std::collections::BTreeMap;

use naschain_consensus::{
    Error, MinerId, MovingAverage, WeightLimits, l1_normalise, weights_v10, weights_v11,
};
use serde_json::Value;

fn oracle() -> Value {
    serde_json::from_str(include_str!("fixtures/weights_cases.json")).unwrap()
}

fn floats(value: &Value) -> Vec<f32> {
    let number = |value: &Value| value.as_f64().map_or(f32::NAN, |number| number as f32);
    value.as_array().unwrap().iter().map(number).collect()
}

fn pairs(emitted: &Value) -> Vec<(usize, u16)> {
    let list = |name: &str| emitted[name].as_array().unwrap().clone();
    let whole = |value: &Value| value.as_u64().unwrap();
    list("emit_uids")
        .iter()
        .zip(list("emit_weights").iter())
        .map(|(uid, weight)| (whole(uid) as usize, whole(weight) as u16))
        .collect()
}

fn limits(input: &Value) -> WeightLimits {
    let number = |name: &str| input[name].as_u64().unwrap();
    let mut limits = WeightLimits::default();
    limits.min_weights = number("min_allowed_weights") as usize;
    limits.max_share_u16 = number("max_weight_limit_u16") as u16;
    limits.exclude_quantile_u16 = number("exclude_quantile_u16") as u16;
    limits
}

fn miner(uid: u64) -> MinerId {
    MinerId::new(format!("uid-{uid:03}")).unwrap()
}

#[test]
fn weights_of_version_11() {
    let oracle = oracle();
    let cases = oracle["weights_cases"].as_array().unwrap();
    assert_eq!(cases.len(), 10);
    for case in cases {
        let (name, limits) = (&case["name"], limits(&case["input"]));
        let scores = floats(&case["input"]["scores"]);
        let expected = pairs(&case["v11"]);
        match weights_v11(&scores, &limits) {
            Ok(weights) => {
                assert!(case["v11"]["error"].is_null(), "{name}");
                assert_eq!(weights, expected, "{name}");
            }
            Err(Error::AllWeightsZero { count }) => {
                assert!(expected.is_empty() && count == scores.len(), "{name}");
            }
            Err(Error::TooFewWeights { found, .. }) => {
                let error = case["v11"]["error"].as_str().unwrap();
                assert!(
                    error.contains(&format!("only {found} nonzero")),
                    "{name}: {error}"
                );
                let mut lenient = limits;
                lenient.min_weights = 1;
                assert_eq!(weights_v11(&scores, &lenient).unwrap(), expected, "{name}");
            }
            Err(error) => panic!("{name}: {error}"),
        }
    }
}

#[test]
fn weights_of_version_10() {
    for case in oracle()["weights_cases"].as_array().unwrap() {
        let scores = floats(&case["input"]["scores"]);
        let weights = weights_v10(&scores, &limits(&case["input"])).unwrap();
        assert_eq!(weights, pairs(&case["v10"]), "{}", case["name"]);
    }
}

#[test]
fn raw_weights_are_normalised_in_single_precision() {
    for case in oracle()["weights_cases"].as_array().unwrap() {
        let raw = l1_normalise(&floats(&case["input"]["scores"]));
        for (got, expected) in raw.iter().zip(floats(&case["raw_weights_l1"])) {
            // The order of summation is not specified; it changes the last bits.
            assert!(
                (got - expected).abs() <= 2e-7 * expected,
                "{}",
                case["name"]
            );
        }
    }
}

#[test]
fn the_moving_average_is_equal_to_the_bit() {
    let oracle = oracle();
    let cases = oracle["ema_cases"].as_array().unwrap();
    assert_eq!(cases.len(), 5);
    for case in cases {
        let before = floats(&case["scores"]);
        let mut average: MovingAverage = serde_json::from_value(serde_json::json!({
            "alpha": case["alpha"],
            "scores": before
                .iter()
                .enumerate()
                .map(|(uid, score)| (miner(uid as u64).to_string(), *score))
                .collect::<BTreeMap<_, _>>(),
        }))
        .unwrap();
        let uids = case["uids"].as_array().unwrap().iter();
        let rewards = floats(&case["rewards"]);
        let uids = uids.map(|uid| miner(uid.as_u64().unwrap()));
        average.update(&uids.zip(rewards).collect());
        let after: Vec<f32> = average.scores().values().copied().collect();
        assert_eq!(after, floats(&case["out"]));
    }
}

#[test]
fn invalid_scores_are_rejected() {
    for (wrong, index) in [(f32::NAN, 0), (-0.1, 1), (f32::INFINITY, 2)] {
        let mut scores = [0.5; 3];
        scores[index] = wrong;
        let error = weights_v11(&scores, &WeightLimits::default()).unwrap_err();
        assert!(
            matches!(error, Error::Score { index: at, .. } if at == index),
            "{error}"
        );
    }
    assert!(MovingAverage::new(1.5).is_err());
    assert!(MovingAverage::new(f32::NAN).is_err());
    assert!(matches!(
        weights_v11(&[], &WeightLimits::default()),
        Err(Error::AllWeightsZero { count: 0 })
    ));
}
