//! Which hotkeys are registered on a subnet of the chain, read as blocks pass.
//!
//! A run does not depend on it: a refused request is not in the journal.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use naschain_bittensor::{ChainClient, Error, Remedy};
use naschain_consensus::MinerId;
use naschain_identity::ss58;
use naschain_run::ProblemKind;

use crate::coordinator::metrics::gauge;
use crate::printable::{counted, printable};
use crate::server::problem::ErrorResponse;

/// Finalised blocks from one reading to the next: about a minute.
const BLOCKS_BETWEEN: u64 = 5;
/// Nodes are at most so many blocks apart.
const MAX_BLOCKS_BEHIND: u64 = 64;
/// Time after which a client that came before the first reading may ask again: about a block.
const RETRY_S: u64 = 12;
/// Longest pause after an error.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// The registered hotkeys of a subnet, as last read.
pub struct Registrations {
    netuid: u16,
    /// `None` before the first reading.
    last: Mutex<Option<RegisteredHotkeys>>,
}

struct RegisteredHotkeys {
    block: u64,
    /// Addresses.
    hotkeys: BTreeSet<String>,
}

impl Registrations {
    fn last(&self) -> MutexGuard<'_, Option<RegisteredHotkeys>> {
        // Readings are replaced whole, so a panic elsewhere leaves a valid one.
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses a miner that is not registered. Before the first reading nobody is known not to be.
    pub(crate) fn check(&self, miner: &MinerId) -> Result<(), ErrorResponse> {
        let last = self.last();
        let Some(reading) = last.as_ref() else {
            return Ok(());
        };
        if reading.hotkeys.contains(miner.as_str()) {
            return Ok(());
        }
        let (netuid, block) = (self.netuid, reading.block);
        let detail = format!(
            "hotkey {miner} is not registered on subnet {netuid} (at block {block}); register it there, as by `btcli subnets register --netuid {netuid}` with its wallet, and join again when the chain has been read, about a minute later"
        );
        Err(ErrorResponse::new(ProblemKind::NotRegistered, detail))
    }

    /// Refuses a new miner before the first reading.
    pub(crate) fn check_is_read(&self) -> Result<(), ErrorResponse> {
        if self.last().is_some() {
            return Ok(());
        }
        let detail = format!(
            "the registrations on subnet {} have not been read from the chain yet, so no new miner can be admitted; wait and join again",
            self.netuid
        );
        Err(ErrorResponse::new(ProblemKind::RegistrationsUnread, detail).retry_after(RETRY_S))
    }

    /// Figures in the text format of Prometheus.
    pub(crate) fn write_metrics(&self, text: &mut String) {
        let (block, count) = match self.last().as_ref() {
            Some(reading) => (reading.block, reading.hotkeys.len() as u64),
            None => (0, 0),
        };
        let name = "naschain_registrations_block";
        let help = "block at which the registrations were last read; 0 before the first reading";
        gauge(text, name, help, block);
        let name = "naschain_registered_hotkeys";
        gauge(text, name, "hotkeys registered on the subnet", count);
    }

    /// Replaces the registrations and logs what has changed.
    fn replace(&self, block: u64, hotkeys: BTreeSet<String>) {
        let mut last = self.last();
        let before = last.as_ref().map(|reading| &reading.hotkeys);
        let empty = BTreeSet::new();
        let new = hotkeys.difference(before.unwrap_or(&empty)).count();
        let gone = before.map_or(0, |before| before.difference(&hotkeys).count());
        if before.is_none() || new + gone > 0 {
            tracing::info!(
                "subnet {} at block {block}: {} registered, {new} of them new, {gone} gone",
                self.netuid,
                counted(hotkeys.len(), "hotkey")
            );
        }
        *last = Some(RegisteredHotkeys { block, hotkeys });
    }
}

/// Reads the registrations as blocks pass.
pub(crate) struct RegistrationReader {
    client: ChainClient,
    registrations: Arc<Registrations>,
}

impl RegistrationReader {
    /// A reader that has not connected yet.
    pub(crate) fn new(client: ChainClient, netuid: u16) -> RegistrationReader {
        let registrations = Registrations {
            netuid,
            last: Mutex::default(),
        };
        RegistrationReader {
            client,
            registrations: Arc::new(registrations),
        }
    }

    /// What it reads.
    pub(crate) fn registrations(&self) -> Arc<Registrations> {
        self.registrations.clone()
    }

    /// Reads until the program ends. The last reading stays in force while the chain cannot be read.
    ///
    /// # Errors
    /// If there is no reading yet and only a person can help, as where there is no such subnet.
    pub(crate) async fn run(mut self) -> Result<(), Error> {
        let mut pause = Duration::from_secs(1);
        loop {
            let Err(error) = self.next_block().await else {
                pause = Duration::from_secs(1);
                continue;
            };
            let block = self.registrations.last().as_ref().map(|last| last.block);
            match block {
                None if error.remedy() == Remedy::Stop => return Err(error),
                None => tracing::warn!(
                    "no new miner is admitted until the registrations are read from the chain: {}",
                    printable(&error.to_string())
                ),
                Some(block) => tracing::warn!(
                    "the registrations cannot be read, and those of block {block} stay in force: {}",
                    printable(&error.to_string())
                ),
            }
            self.client.disconnect();
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(MAX_PAUSE);
        }
    }

    async fn next_block(&mut self) -> Result<(), Error> {
        let head = self.client.next_head().await?;
        let last = self.registrations.last().as_ref().map(|last| last.block);
        let node = self.client.endpoint().unwrap_or_default();
        if is_due(last, head.number, node)? {
            let netuid = self.registrations.netuid;
            let metagraph = self.client.metagraph(netuid, head).await?;
            let hotkeys = metagraph.hotkeys.iter().map(ss58::encode).collect();
            self.registrations.replace(head.number, hotkeys);
        }
        Ok(())
    }
}

/// Whether a block is to be read. Another node may be behind: an older state must not replace a newer
/// one.
///
/// # Errors
/// [`Error::Connection`] if the node is so far behind that it should be left.
fn is_due(last: Option<u64>, head: u64, node: &str) -> Result<bool, Error> {
    let Some(last) = last else {
        return Ok(true);
    };
    if head + MAX_BLOCKS_BEHIND < last {
        return Err(Error::Connection {
            endpoint: node.to_owned(),
            reason: format!("it is at block {head}, behind the last reading"),
        });
    }
    Ok(head >= last + BLOCKS_BETWEEN)
}

/// Reads the registrations as long as the server runs; never ends without a reader.
///
/// # Errors
/// Ends only with an error.
pub(crate) async fn read_forever(reader: Option<RegistrationReader>) -> anyhow::Result<()> {
    match reader {
        Some(reader) => Ok(reader.run().await?),
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// If a node has shown a wrong block, nothing is read any more, which the log has to say.
    #[test]
    fn a_node_that_is_far_behind_is_left_and_named() {
        for (last, head, due) in [
            (None, 3, true),
            (Some(100), 104, false),
            (Some(100), 105, true),
            (Some(100), 36, false),
        ] {
            assert_eq!(
                is_due(last, head, "ws://a").unwrap(),
                due,
                "{last:?} {head}"
            );
        }
        let error = is_due(Some(100), 35, "ws://a").unwrap_err();
        assert_eq!(error.remedy(), Remedy::Reconnect);
        assert!(
            error.to_string().contains("ws://a: it is at block 35"),
            "{error}"
        );
    }

    #[test]
    fn new_miners_wait_for_the_first_reading_and_others_for_their_registration() {
        let registrations = Registrations {
            netuid: 7,
            last: Mutex::default(),
        };
        let (ada, eve): (MinerId, MinerId) = ("ada".parse().unwrap(), "eve".parse().unwrap());
        assert!(registrations.check(&eve).is_ok());
        let unread = registrations.check_is_read().unwrap_err();
        assert_eq!(unread.status().as_u16(), 503);
        assert_eq!(unread.retry_after_seconds, Some(RETRY_S));

        registrations.replace(40, BTreeSet::from(["ada".to_owned()]));
        assert!(registrations.check_is_read().is_ok());
        assert!(registrations.check(&ada).is_ok());
        let refused = registrations.check(&eve).unwrap_err();
        assert_eq!(refused.status().as_u16(), 403);
        for text in [
            "hotkey eve",
            "subnet 7",
            "block 40",
            "subnets register --netuid 7",
        ] {
            assert!(refused.detail().contains(text), "{}", refused.detail());
        }
        let mut text = String::new();
        registrations.write_metrics(&mut text);
        assert!(text.contains("naschain_registrations_block 40\n"), "{text}");
        assert!(text.contains("naschain_registered_hotkeys 1\n"), "{text}");
    }
}
