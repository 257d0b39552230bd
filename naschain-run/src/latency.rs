//! The latency of networks, predicted from their layers.

use naschain_core::{NetworkRef, SearchSpace};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::latency_fit;
use crate::layer_latency::{LayerLatency, LayerRows};

/// Most rows of a table. Those of a space have at most a hundred.
const MAX_ROWS: usize = 4_096;

/// How long the layers of a space's networks take on a device: what the latency of any network of the
/// space is predicted from, in whole numbers, so that everybody predicts the same.
///
/// ```
/// use naschain_core::{MacroSpace, Network, Purpose, Stream};
/// use naschain_run::LatencyTable;
///
/// let space = MacroSpace {
///     phases: 2,
///     nodes: 4,
///     input: "1x8x8".parse().unwrap(),
///     init_channels: 8,
///     classes: 10,
/// };
/// let network = |index| {
///     let genome = space.random_genome(&mut Stream::new(1, Purpose::User, 0, index)).unwrap();
///     Network::from(space.decode(&genome).unwrap())
/// };
/// // A device that does one FLOP in 2 ns, and needs 10 µs for each network.
/// let latency_ns = |network: &Network| 10_000 + 2 * network.costs().unwrap().flops;
/// let measured: Vec<(Network, u64)> = (0..40).map(network).map(|n| (n.clone(), latency_ns(&n))).collect();
/// let table = LatencyTable::fit("a device", space.clone().into(), &measured).unwrap();
/// assert!(table.rank_correlation > 0.99);
/// let predicted = table.latency_us(&network(77)).unwrap();
/// assert!(predicted.abs_diff(latency_ns(&network(77)) / 1000) <= 2, "{predicted}");
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LatencyTable {
    /// The device and the program that were measured.
    pub device: String,
    /// The space whose networks were measured.
    pub space: SearchSpace,
    /// Number of networks that were measured.
    pub networks: usize,
    /// Spearman's rank correlation between the latencies measured and those predicted by tables that were
    /// fitted without these networks (five-fold cross-validation).
    pub rank_correlation: f64,
    /// What every network takes.
    pub base_picoseconds: u64,
    /// The layers, by kind, and about how many pixels their outputs have.
    pub layers: Vec<LayerLatency>,
}

impl LatencyTable {
    /// Fits a table to networks of a space and their latencies in nanoseconds, by non-negative least
    /// squares of the relative errors.
    ///
    /// # Errors
    /// [`Error::TooFewLatencies`] for fewer than 20 networks; [`Error::Core`] for a network whose costs
    /// cannot be counted; [`Error::UnknownLayer`] if they lack a kind of layer that the space has:
    /// [`SearchSpace::networks_of_all_layers`] have all.
    pub fn fit<N>(
        device: impl Into<String>,
        space: SearchSpace,
        measured: &[(N, u64)],
    ) -> Result<LatencyTable, Error>
    where
        for<'n> &'n N: Into<NetworkRef<'n>>,
    {
        let layers = measured
            .iter()
            .map(|(network, _)| network.into().computed_layers());
        let layers = layers.collect::<Result<Vec<_>, _>>()?;
        let nanoseconds: Vec<u64> = measured.iter().map(|(_, latency)| *latency).collect();
        let (base, rows, rank_correlation) = latency_fit::fit(&layers, &nanoseconds)?;
        let table = LatencyTable {
            device: device.into(),
            space: space.clone(),
            networks: measured.len(),
            rank_correlation,
            base_picoseconds: base,
            layers: rows,
        };
        table.check(&space)?;
        Ok(table)
    }

    /// The predicted latency of a network in microseconds, at least 1.
    ///
    /// # Errors
    /// [`Error::Core`] where the costs of the network cannot be counted, and [`Error::UnknownLayer`] for a
    /// layer whose kind the table does not have.
    pub fn latency_us<'n>(&self, network: impl Into<NetworkRef<'n>>) -> Result<u64, Error> {
        let layers = network.into().computed_layers()?;
        LayerRows::new(self.base_picoseconds, &self.layers).predicted_us(&layers)
    }

    /// Checks that the table is one of this space and has layers of every kind, so that the latency of any
    /// network of the space can be predicted.
    pub(crate) fn check(&self, space: &SearchSpace) -> Result<(), Error> {
        if self.space != *space {
            let shown = |space: &SearchSpace| serde_json::to_string(space).unwrap_or_default();
            return Err(Error::LatencySpace {
                found: shown(&self.space),
                space: shown(space),
            });
        }
        let found = self.layers.len();
        if found > MAX_ROWS {
            return Err(Error::LatencyRows {
                found,
                most: MAX_ROWS,
            });
        }
        for network in space.networks_of_all_layers()? {
            self.latency_us(&network)?;
        }
        Ok(())
    }
}
