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

/// The rows of one kind of layer.
#[derive(Default)]
struct KindRows<'t> {
    by_shape: BTreeMap<[usize; 3], &'t LayerLatency>,
    /// The sums of the rows' latencies, for shapes that no measured network has.
    sums: [u128; 2],
}

fn shape_of(output: Shape) -> [usize; 3] {
    [output.channels, output.height, output.width]
}

/// The latency of some layers in microseconds by these rows, at least 1.
pub(crate) fn predicted_us(
    base_picoseconds: u64,
    table: &[LayerLatency],
    layers: &[Layer],
) -> Result<u64, Error> {
    let mut kinds: BTreeMap<&str, KindRows> = BTreeMap::new();
    for row in table {
        let kind = kinds.entry(&row.kind).or_default();
        kind.by_shape.insert(shape_of(row.output), row);
        kind.sums[0] += u128::from(row.picoseconds);
        kind.sums[1] += u128::from(row.picoseconds_per_kiloflop);
    }
    let mut picoseconds = u128::from(base_picoseconds);
    for layer in layers {
        let kind = kinds.get(kind_of(layer));
        let kind = kind.ok_or_else(|| Error::UnknownLayer {
            layer: layer.name.clone(),
        })?;
        let flops = layer.costs.flops;
        picoseconds += match kind.by_shape.get(&shape_of(layer.output)) {
            Some(row) => row.of(flops),
            // The mean of the rows of its kind.
            None => {
                let count = kind.by_shape.len().max(1) as u128;
                let [each, rate] = kind.sums.map(|sum| sum / count);
                each + rate * u128::from(flops) / 1000
            }
        };
    }
    let microseconds = (picoseconds + 500_000) / 1_000_000;
    Ok(u64::try_from(microseconds).unwrap_or(u64::MAX).max(1))
}
