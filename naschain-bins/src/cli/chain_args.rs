//! The flags of a validator that sets weights on the chain.

use clap::Args;

/// Flags about the chain.
#[derive(Args, Clone, Debug)]
pub(crate) struct ChainArgs {
    /// Address of a node of the chain, such as wss://entrypoint-finney.opentensor.ai:443; may be
    /// repeated. The validator then sets weights itself once in each epoch of the subnet, reads uids
    /// from the chain, and keeps running after the run is finished
    #[arg(long = "chain", value_name = "URL", requires = "netuid", conflicts_with_all = ["btcli", "uids"])]
    pub(crate) nodes: Vec<String>,
    /// Genesis hash of the chain [default: that of the first connection, which is remembered]
    #[arg(long, value_name = "HASH", requires = "nodes")]
    pub(crate) chain_genesis: Option<String>,
    /// Show the weights that would be set, and send nothing
    #[arg(long, requires = "nodes")]
    pub(crate) no_set_weights: bool,
}

impl ChainArgs {
    /// Whether the validator sets weights itself.
    pub(crate) fn is_used(&self) -> bool {
        !self.nodes.is_empty()
    }
}
