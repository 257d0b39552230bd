//! How long layers take, and the latency of a network that follows.

use std::collections::BTreeMap;

use naschain_core::{Layer, Shape};
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// How long layers of one kind and one shape take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LayerLatency {
    /// The kind, such as `3x3 convolution`.
    pub kind: String,
    /// The shape of the output.
    pub output: Shape,
    /// What each such layer takes.
    pub picoseconds: u64,
    /// What it takes in addition for each thousand FLOPs.
    pub picoseconds_per_kiloflop: u64,
}

impl LayerLatency {
    pub(crate) fn new(kind: String, output: Shape, [each, per_kiloflop]: [u64; 2]) -> LayerLatency {
        LayerLatency {
            kind,
            output,
            picoseconds: each,
            picoseconds_per_kiloflop: per_kiloflop,
        }
    }

    fn of(&self, flops: u64) -> u128 {
        let for_flops = u128::from(self.picoseconds_per_kiloflop) * u128::from(flops) / 1000;
        u128::from(self.picoseconds) + for_flops
    }
}

/// The kind of a layer: what its name says after its place.
pub(crate) fn kind_of(layer: &Layer) -> &str {
    layer
        .name
        .split_once(": ")
        .map_or(&layer.name, |(_, kind)| kind)
}

/// The latency of some layers in microseconds by these rows, at least 1.
pub(crate) fn predicted_us(
    base_picoseconds: u64,
    table: &[LayerLatency],
    layers: &[Layer],
) -> Result<u64, Error> {
    let mut rows: BTreeMap<&str, Vec<&LayerLatency>> = BTreeMap::new();
    for row in table {
        rows.entry(&row.kind).or_default().push(row);
    }
    let mut picoseconds = u128::from(base_picoseconds);
    for layer in layers {
        let of_kind = rows.get(kind_of(layer));
        let of_kind = of_kind.ok_or_else(|| Error::UnknownLayer {
            layer: layer.name.clone(),
        })?;
        let flops = layer.costs.flops;
        picoseconds += match of_kind.iter().find(|row| row.output == layer.output) {
            Some(row) => row.of(flops),
            // A shape that no measured network has: the mean of those that they have.
            None => of_kind.iter().map(|row| row.of(flops)).sum::<u128>() / of_kind.len() as u128,
        };
    }
    let microseconds = (picoseconds + 500_000) / 1_000_000;
    Ok(u64::try_from(microseconds).unwrap_or(u64::MAX).max(1))
}
