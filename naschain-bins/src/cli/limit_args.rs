//! Flags that limit what networks cost.

use clap::Args;
use naschain_run::CostLimits;

/// The heading of the flags about networks.
const NETWORKS: &str = "The networks";

/// What networks may cost at most.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct LimitArgs {
    /// Maximum number of parameters of a network; the search tries no larger ones
    #[arg(long, value_name = "N", help_heading = NETWORKS, hide_short_help = true)]
    params_limit: Option<u64>,
    /// Maximum FLOPs of a network for one image; the search tries no larger ones
    #[arg(long, value_name = "N", help_heading = NETWORKS, hide_short_help = true)]
    flops_limit: Option<u64>,
}

impl LimitArgs {
    /// The limits of a run.
    pub(crate) fn limits(self) -> CostLimits {
        let mut limits = CostLimits::default();
        (limits.max_params, limits.max_flops) = (self.params_limit, self.flops_limit);
        limits
    }
}
