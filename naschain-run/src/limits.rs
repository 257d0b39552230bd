//! Limits of the costs of a run's networks.

use naschain_core::Costs;
use serde::{Deserialize, Serialize};

/// What the networks of a run may cost at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct CostLimits {
    /// Maximum number of parameters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_params: Option<u64>,
    /// Maximum FLOPs of one forward pass of one image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_flops: Option<u64>,
}

impl CostLimits {
    /// Whether there are none.
    pub fn are_none(&self) -> bool {
        *self == CostLimits::default()
    }

    /// Whether a network with these costs is within them.
    pub fn allow(&self, costs: Costs) -> bool {
        let within = |cost: u64, most: Option<u64>| most.is_none_or(|most| cost <= most);
        within(costs.params, self.max_params) && within(costs.flops, self.max_flops)
    }
}
