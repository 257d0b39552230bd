//! In which settings two specifications of runs differ.

use std::collections::BTreeSet;

use crate::spec::RunSpec;

/// Settings that runs of earlier versions lack; in those runs they have their former meaning.
const ADDED_LATER: [&str; 8] = [
    "checks_costs",
    "collects_models",
    "request_version",
    "rules.referee",
    "rules.reputation",
    "rules.reputation.version",
    "rules.silent_uids",
    "search.surrogate",
];

/// A value in which two specifications differ.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Its place in `run.json`, such as `search.population`.
    pub name: String,
    /// The value of the run.
    pub current: serde_json::Value,
    /// The value of the other specification.
    pub requested: serde_json::Value,
}

impl RunSpec {
    /// The values in which `other` differs from this specification; empty where they are equal. A
    /// setting that is newer than this run is not compared: the run goes on without it.
    pub fn differences(&self, other: &RunSpec) -> Vec<Difference> {
        let json = |spec: &RunSpec| serde_json::to_value(spec).expect("a specification is data");
        let (mut current, mut requested) = (json(self), json(other));
        let mut found = Vec::new();
        // What a space or a table consists of says less than which one it is.
        let whole = [
            ("space", self.space.name() != other.space.name()),
            ("latency", self.latency != other.latency),
        ];
        for (name, differs) in whole {
            if differs {
                found.push(Difference {
                    name: name.to_owned(),
                    current: self.named(name),
                    requested: other.named(name),
                });
            }
            if differs || name == "latency" {
                for json in [&mut current, &mut requested] {
                    json.as_object_mut().and_then(|fields| fields.remove(name));
                }
            }
        }
        compare("", &current, &requested, &mut found);
        found
    }

    /// The name of the space, or what the table of latencies is of.
    fn named(&self, field: &str) -> serde_json::Value {
        match field {
            "space" => self.space.name().into(),
            _ => self
                .latency
                .as_ref()
                .map_or(serde_json::Value::Null, |table| {
                    let correlation = table.rank_correlation;
                    let (device, count) = (&table.device, table.networks);
                    format!("{count} networks on {device} (rank correlation {correlation:.4})")
                        .into()
                }),
        }
    }
}

fn compare(
    name: &str,
    current: &serde_json::Value,
    requested: &serde_json::Value,
    found: &mut Vec<Difference>,
) {
    match (current.as_object(), requested.as_object()) {
        (Some(current), Some(requested)) => {
            let keys: BTreeSet<_> = current.keys().chain(requested.keys()).collect();
            for key in keys {
                let name = if name.is_empty() {
                    key.clone()
                } else {
                    format!("{name}.{key}")
                };
                if ADDED_LATER.contains(&name.as_str()) && !current.contains_key(key) {
                    continue;
                }
                let null = serde_json::Value::Null;
                let (current, requested) = (current.get(key), requested.get(key));
                compare(
                    &name,
                    current.unwrap_or(&null),
                    requested.unwrap_or(&null),
                    found,
                );
            }
        }
        _ if current != requested => found.push(Difference {
            name: name.to_owned(),
            current: current.clone(),
            requested: requested.clone(),
        }),
        _ => {}
    }
}
