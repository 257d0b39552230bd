//! Differences between specifications of runs in the words of the command line.

use naschain_run::Difference;
use serde_json::Value;

/// Places in `run.json` and the options that set them. The same option may set several; the first is
/// named.
const OPTIONS: [(&str, &str); 43] = [
    ("data.name", "--data"),
    ("data.digest", "the content of the data set"),
    ("space", "--space"),
    ("space.input", "--image-size"),
    ("space.classes", "the number of classes"),
    ("space.phases", "--phases"),
    ("space.nodes", "--nodes"),
    ("space.blocks", "--blocks"),
    ("space.layers", "--layers"),
    ("space.stages", "--stages"),
    ("space.depth", "--depth"),
    ("space.init_channels", "--init-channels"),
    ("recipe.epochs", "--epochs"),
    ("recipe.batch_size", "--batch-size"),
    ("recipe.learning_rate", "--learning-rate"),
    ("recipe.train_images", "--train-images"),
    ("recipe.validation_images", "--validation-images"),
    ("recipe.augmentation.crop_padding", "--crop-padding"),
    ("recipe.augmentation.horizontal_flip", "--flip"),
    ("recipe.augmentation.cutout", "--cutout"),
    ("recipe.label_smoothing", "--label-smoothing"),
    ("recipe.warmup_epochs", "--warmup-epochs"),
    ("recipe.drop_path", "--drop-path"),
    ("recipe.nesterov", "--nesterov"),
    ("recipe.rungs", "--rungs"),
    ("initial_genomes", "--retrain"),
    ("limits", "--params-limit and --flops-limit"),
    ("limits.max_params", "--params-limit"),
    ("limits.max_flops", "--flops-limit"),
    ("latency", "--objective"),
    ("search.objectives", "--objective"),
    ("search.population", "--population"),
    ("search.generations", "--generations"),
    ("search.seed", "--seed"),
    ("search.mode", "--mode"),
    ("search.pace", "--pace"),
    ("rules.seats", "--replication"),
    ("rules.agreement.rule", "--agreement"),
    ("rules.agreement.tolerance_hundredths", "--tolerance"),
    ("rules.lease_ms", "--lease-seconds"),
    ("rules.referee", "--no-referee"),
    ("rules.referee.spot_check_every", "--spot-checks"),
    (
        "secret_hash",
        "the secret of the run (serve --public-seeds has none)",
    ),
];

/// Places whose values follow from those of others, and these.
const FOLLOWING: [(&str, &[&str]); 10] = [
    (
        "search.genome_len",
        &[
            "space",
            "space.phases",
            "space.nodes",
            "space.blocks",
            "space.stages",
            "space.depth",
        ],
    ),
    ("recipe.seed", &["search.seed"]),
    ("rules.epochs", &["recipe.epochs"]),
    ("search.rungs", &["recipe.rungs", "recipe.epochs"]),
    (
        "rules.referee.steps",
        &["recipe.epochs", "recipe.batch_size", "recipe.train_images"],
    ),
    ("collects_models", &["rules.agreement.rule"]),
    ("search.objectives", &["latency"]),
    ("rules.away_ms", &["rules.lease_ms"]),
    ("data.digest", &["data.name"]),
    ("space.classes", &["data.name", "data.digest"]),
];

/// One line for each option: the value in the run, and the one now.
pub(super) fn by_option(differences: &[Difference]) -> String {
    let differs = |name: &&str| differences.iter().any(|other| other.name == **name);
    let follows = |difference: &&Difference| {
        let mut following = FOLLOWING.iter();
        let found = following.find(|(name, _)| *name == difference.name);
        found.is_some_and(|(_, others)| others.iter().any(differs))
    };
    let own = differences.iter().filter(|difference| !follows(difference));
    own.map(|difference| {
        let name = &difference.name;
        let then = as_option(name, &difference.current);
        let now = as_option(name, &difference.requested);
        format!("  {}: {then} then, {now} now\n", option(name))
    })
    .collect()
}

/// A value as on the command line, in the unit of the option.
fn as_option(name: &str, value: &Value) -> String {
    let number = value.as_f64().unwrap_or_default();
    match (name, value) {
        // The option says that there is none.
        ("rules.referee", Value::Null) => "set".to_owned(),
        ("rules.referee", _) | (_, Value::Null) => "not set".to_owned(),
        ("rules.lease_ms", _) => (number / 1000.0).to_string(),
        ("rules.agreement.tolerance_hundredths", _) => (number / 100.0).to_string(),
        ("search.pace", Value::String(text)) if text == "steady_state" => "steady".to_owned(),
        (_, Value::String(text)) => text.clone(),
        _ => value.to_string(),
    }
}

fn option(name: &str) -> String {
    if let Some((_, option)) = OPTIONS.iter().find(|(place, _)| *place == name) {
        return (*option).to_owned();
    }
    match name.split_once('.') {
        Some(("rules", "reputation")) => {
            "limits for strangers (serve --unsigned has none)".to_owned()
        }
        Some(("rules", rule)) => format!("--rule {rule}"),
        Some(("versions", part)) => format!("version of {part} in this program"),
        _ => format!("{name} in run.json"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn text(differences: &[(&str, Value, Value)]) -> String {
        let difference = |(name, current, requested): &(&str, Value, Value)| Difference {
            name: (*name).to_owned(),
            current: current.clone(),
            requested: requested.clone(),
        };
        by_option(&differences.iter().map(difference).collect::<Vec<_>>())
    }

    #[test]
    fn each_option_is_named_once() {
        let epochs = [
            ("recipe.epochs", json!(6), json!(8)),
            ("rules.epochs", json!(6), json!(8)),
        ];
        assert_eq!(text(&epochs), "  --epochs: 6 then, 8 now\n");
        let lease = [
            ("rules.away_ms", json!(120_000), json!(180_000)),
            ("rules.lease_ms", json!(60_000), json!(90_000)),
        ];
        assert_eq!(text(&lease), "  --lease-seconds: 60 then, 90 now\n");
        let data = [
            ("data.digest", json!("ab"), json!("cd")),
            ("data.name", json!("mnist"), json!("digits")),
            ("recipe.seed", json!(1), json!(2)),
            ("search.seed", json!(1), json!(2)),
        ];
        let lines = "  --data: mnist then, digits now\n  --seed: 1 then, 2 now\n";
        assert_eq!(text(&data), lines);
        let tolerance = "rules.agreement.tolerance_hundredths";
        let points = text(&[(tolerance, json!(100), json!(250))]);
        assert_eq!(points, "  --tolerance: 1 then, 2.5 now\n");
        // Set by --rule, without --epochs.
        let rules = [("rules.epochs", json!(6), json!(0))];
        assert_eq!(text(&rules), "  --rule epochs: 6 then, 0 now\n");
        let rules = [("rules.trust.after_valid", json!(9), Value::Null)];
        assert_eq!(
            text(&rules),
            "  --rule trust.after_valid: 9 then, not set now\n"
        );
    }
}
