//! How long layers take, and the latency of a network that follows.

use std::collections::BTreeMap;

use naschain_core::Layer;
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// How long layers of one kind take, with about as many pixels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LayerLatency {
    /// The kind, such as `3x3 convolution`.
    pub kind: String,
    /// The least number of pixels of the output, a power of two; there are less than twice as many.
    pub pixels: usize,
    /// What each such layer takes.
    pub picoseconds: u64,
    /// What it takes in addition for each thousand FLOPs, as vectors compute them: channels of the output
    /// are rounded up to a multiple of eight.
    pub picoseconds_per_kiloflop: u64,
    /// The same where that is not a multiple of sixteen, so that wider vectors are not filled.
    pub picoseconds_per_narrow_kiloflop: u64,
}

/// Kind, and the least number of pixels: layers of one group have one row in a table.
pub(crate) type LayerGroup = (String, usize);

impl LayerLatency {
    /// Number of coefficients of a row.
    pub(crate) const COEFFICIENTS: usize = 3;

    pub(crate) fn new((kind, pixels): LayerGroup, [each, rate, narrow]: [u64; 3]) -> LayerLatency {
        LayerLatency {
            kind,
            pixels,
            picoseconds: each,
            picoseconds_per_kiloflop: rate,
            picoseconds_per_narrow_kiloflop: narrow,
        }
    }

    fn coefficients(&self) -> [u64; LayerLatency::COEFFICIENTS] {
        [
            self.picoseconds,
            self.picoseconds_per_kiloflop,
            self.picoseconds_per_narrow_kiloflop,
        ]
    }
}

pub(crate) fn group_of(layer: &Layer) -> LayerGroup {
    (kind_of(layer).to_owned(), least_pixels(layer))
}

fn least_pixels(layer: &Layer) -> usize {
    let pixels = layer.output.height.saturating_mul(layer.output.width);
    1 << pixels.max(1).ilog2()
}

/// What the coefficients of a layer's row are multiplied by, in thousandths.
pub(crate) fn multipliers(layer: &Layer) -> [u64; LayerLatency::COEFFICIENTS] {
    let channels = layer.output.channels.max(1) as u64;
    let padded = channels.next_multiple_of(8);
    let flops = (layer.costs.flops / channels).saturating_mul(padded);
    if padded.is_multiple_of(16) {
        [1000, flops, 0]
    } else {
        [1000, 0, flops]
    }
}

fn picoseconds(coefficients: [u128; LayerLatency::COEFFICIENTS], layer: &Layer) -> u128 {
    let terms = coefficients.into_iter().zip(multipliers(layer));
    let sum: u128 = terms
        .map(|(coefficient, multiplier)| coefficient * u128::from(multiplier))
        .sum();
    sum / 1000
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
    by_pixels: BTreeMap<usize, &'t LayerLatency>,
    /// The sums of the rows' coefficients, for numbers of pixels that no measured network has.
    sums: [u128; LayerLatency::COEFFICIENTS],
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
            kind.by_pixels.insert(row.pixels, row);
            for (sum, one) in kind.sums.iter_mut().zip(row.coefficients()) {
                *sum += u128::from(one);
            }
        }
        LayerRows {
            base_picoseconds,
            kinds,
        }
    }

    /// The latency of some layers in microseconds, at least 1.
    pub(crate) fn predicted_us(&self, layers: &[Layer]) -> Result<u64, Error> {
        let mut sum = u128::from(self.base_picoseconds);
        for layer in layers {
            let kind = self.kinds.get(kind_of(layer));
            let kind = kind.ok_or_else(|| Error::UnknownLayer {
                layer: layer.name.clone(),
            })?;
            let row = kind.by_pixels.get(&least_pixels(layer));
            let coefficients = row.map(|row| row.coefficients().map(u128::from));
            // The mean of the rows of its kind.
            let count = kind.by_pixels.len().max(1) as u128;
            let mean = kind.sums.map(|sum| sum / count);
            let of_layer = picoseconds(coefficients.unwrap_or(mean), layer);
            sum = sum.saturating_add(of_layer);
        }
        let microseconds = (sum.saturating_add(500_000)) / 1_000_000;
        Ok(u64::try_from(microseconds).unwrap_or(u64::MAX).max(1))
    }
}
