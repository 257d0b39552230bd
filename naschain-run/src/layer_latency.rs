//! How long layers take, and the latency of a network that follows.

use std::collections::BTreeMap;

use naschain_core::Layer;
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// How long layers of one kind take at one resolution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LayerLatency {
    /// The kind, such as `3x3 convolution`.
    pub kind: String,
    /// Rows and columns of the output.
    pub height: usize,
    /// The columns.
    pub width: usize,
    /// What each such layer takes.
    pub picoseconds: u64,
    /// What it takes in addition for each thousand FLOPs, as vectors compute them: channels of the output
    /// are rounded up to a multiple of eight.
    pub picoseconds_per_kiloflop: u64,
}

impl LayerLatency {
    pub(crate) fn new(group: LayerGroup, [each, per_kiloflop]: [u64; 2]) -> LayerLatency {
        let (kind, [height, width]) = group;
        LayerLatency {
            kind,
            height,
            width,
            picoseconds: each,
            picoseconds_per_kiloflop: per_kiloflop,
        }
    }

    fn of(&self, flops: u64) -> u128 {
        let for_flops = u128::from(self.picoseconds_per_kiloflop) * u128::from(flops) / 1000;
        u128::from(self.picoseconds) + for_flops
    }
}

/// Kind, and rows and columns of the output: layers of one group have one row in a table.
pub(crate) type LayerGroup = (String, [usize; 2]);

pub(crate) fn group_of(layer: &Layer) -> LayerGroup {
    let output = layer.output;
    (kind_of(layer).to_owned(), [output.height, output.width])
}

/// The FLOPs with the channels of the output rounded up to a multiple of eight.
pub(crate) fn vector_flops(layer: &Layer) -> u64 {
    let channels = layer.output.channels.max(1) as u64;
    let flops = layer.costs.flops / channels;
    flops.saturating_mul(channels.next_multiple_of(8))
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
    by_resolution: BTreeMap<[usize; 2], &'t LayerLatency>,
    /// The sums of the rows' latencies, for resolutions that no measured network has.
    sums: [u128; 2],
}

/// The rows of a table by kind.
pub(crate) struct LayerRows<'t> {
    base_picoseconds: u64,
    kinds: BTreeMap<&'t str, KindRows<'t>>,
}

impl<'t> LayerRows<'t> {
    pub(crate) fn new(base_picoseconds: u64, table: &'t [LayerLatency]) -> LayerRows<'t> {
        let mut kinds: BTreeMap<&str, KindRows> = BTreeMap::new();
        for row in table {
            let kind = kinds.entry(&row.kind).or_default();
            kind.by_resolution.insert([row.height, row.width], row);
            kind.sums[0] += u128::from(row.picoseconds);
            kind.sums[1] += u128::from(row.picoseconds_per_kiloflop);
        }
        LayerRows {
            base_picoseconds,
            kinds,
        }
    }

    /// The latency of some layers in microseconds, at least 1.
    pub(crate) fn predicted_us(&self, layers: &[Layer]) -> Result<u64, Error> {
        let mut picoseconds = u128::from(self.base_picoseconds);
        for layer in layers {
            let kind = self.kinds.get(kind_of(layer));
            let kind = kind.ok_or_else(|| Error::UnknownLayer {
                layer: layer.name.clone(),
            })?;
            let (flops, output) = (vector_flops(layer), layer.output);
            picoseconds += match kind.by_resolution.get(&[output.height, output.width]) {
                Some(row) => row.of(flops),
                // The mean of the rows of its kind.
                None => {
                    let count = kind.by_resolution.len().max(1) as u128;
                    let [each, rate] = kind.sums.map(|sum| sum / count);
                    each + rate * u128::from(flops) / 1000
                }
            };
        }
        let microseconds = (picoseconds + 500_000) / 1_000_000;
        Ok(u64::try_from(microseconds).unwrap_or(u64::MAX).max(1))
    }
}
