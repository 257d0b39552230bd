//! The flags of a validator that sets weights on the chain, and of a genomaster that reads from it who
//! may mine.

use anyhow::{Context, Result};
use clap::Args;
use naschain_bittensor::ChainClient;
use naschain_core::Digest;

use crate::server::registrations::RegistrationReader;

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

    /// A client of the chain.
    pub(crate) fn client(&self) -> Result<ChainClient> {
        client(&self.nodes, self.chain_genesis.as_deref())
    }
}

/// Flags about the subnet on which miners have to be registered.
#[derive(Args, Clone, Debug)]
pub(crate) struct RegistrationArgs {
    /// Admit only miners whose hotkeys are registered on this subnet, besides the examination of new
    /// hotkeys. A miner that loses its registration gets no further jobs
    #[arg(long, value_name = "N", requires = "chain", conflicts_with_all = ["unsigned", "legacy"])]
    netuid: Option<u16>,
    /// Address of a node of the chain, from which the registrations are read, such as
    /// wss://entrypoint-finney.opentensor.ai:443; may be repeated
    #[arg(long, value_name = "URL", requires = "netuid")]
    chain: Vec<String>,
    /// Genesis hash of the chain [default: that of the first connection since the start]
    #[arg(long, hide_short_help = true, value_name = "HASH", requires = "chain")]
    chain_genesis: Option<String>,
}

impl RegistrationArgs {
    /// What reads the registrations, if the flags ask for it.
    pub(crate) fn reader(&self) -> Result<Option<RegistrationReader>> {
        let Some(netuid) = self.netuid else {
            return Ok(None);
        };
        let client = client(&self.chain, self.chain_genesis.as_deref())?;
        Ok(Some(RegistrationReader::new(client, netuid)))
    }
}

fn client(nodes: &[String], genesis: Option<&str>) -> Result<ChainClient> {
    let genesis = genesis.map(genesis_hash).transpose()?;
    ChainClient::new(nodes, genesis).context("--chain")
}

fn genesis_hash(text: &str) -> Result<[u8; 32]> {
    let digest = text.strip_prefix("0x").unwrap_or(text).parse::<Digest>();
    let valid = digest.ok().map(|digest| digest.0);
    valid.with_context(|| {
        format!("--chain-genesis is {text:?}; it must be 0x and 64 hexadecimal digits")
    })
}
