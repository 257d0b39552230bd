//! Access rules of the HTTP server.

use std::sync::Arc;

use naschain_consensus::MinerId;

use crate::server::allow_list::AllowList;
use crate::server::problem::ErrorResponse;
use crate::server::registrations::Registrations;
use naschain_identity::Hotkey;
use naschain_run::ProblemKind;

/// Access rules of the HTTP server.
#[derive(Clone)]
pub struct Access {
    /// The genomaster's hotkey; without one, requests are not signed and the names of miners are
    /// not verified.
    pub hotkey: Option<Hotkey>,
    /// Miners that may join; `None` allows all.
    pub allow_list: Option<AllowList>,
    /// The hotkeys that are registered on a subnet, if only these may mine.
    pub registrations: Option<Arc<Registrations>>,
    /// Whether miners of the reference network have tokens; if so, names `uid-N` are refused under
    /// /v1, where tokens are not checked.
    pub uids_have_tokens: bool,
    /// Whether GET and HEAD requests need no signature.
    pub open_reads: bool,
    /// Whether also signed reads are only for miners that may join.
    pub is_private: bool,
    /// Requests per second for each hotkey; 0 means no limit.
    pub rate_per_key: u32,
    /// Requests per second for each non-loopback address; 0 means no limit.
    pub rate_per_address: u32,
    /// New hotkeys that may join without an examination within ten minutes from each network, this
    /// machine included; 0 means no limit.
    pub new_hotkeys: u32,
    /// Whether a reverse proxy gives the client's address in `X-Forwarded-For`.
    pub behind_proxy: bool,
}

impl Default for Access {
    /// Accepts all miners, without signatures.
    fn default() -> Access {
        Access {
            hotkey: None,
            allow_list: None,
            registrations: None,
            uids_have_tokens: false,
            open_reads: false,
            is_private: false,
            rate_per_key: 100,
            rate_per_address: 1000,
            new_hotkeys: 1000,
            behind_proxy: false,
        }
    }
}

impl Access {
    /// Refuses a signer that may not join.
    pub(crate) fn check_may_join(&self, hotkey: Option<&str>) -> Result<(), ErrorResponse> {
        let Some(hotkey) = hotkey else {
            return Ok(());
        };
        let miner = MinerId::new(hotkey);
        let wrong = |error| ErrorResponse::new(ProblemKind::NotAllowed, format!("{error}"));
        self.owner(&miner.map_err(wrong)?).map(drop)
    }

    /// The owner of a miner if there is an allow-list; an error if the miner is not on it, or not
    /// registered on the subnet.
    pub(crate) fn owner(&self, miner: &MinerId) -> Result<Option<MinerId>, ErrorResponse> {
        if let Some(registrations) = &self.registrations {
            registrations.check(miner)?;
        }
        let Some(list) = &self.allow_list else {
            return Ok(None);
        };
        let owner = list.owner(miner).cloned();
        owner.map(Some).ok_or_else(|| {
            let detail = format!("{miner} is not on the allow-list of this genomaster");
            ErrorResponse::new(ProblemKind::NotAllowed, detail)
        })
    }
}
