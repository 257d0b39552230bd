//! Access rules of the HTTP server.

use naschain_consensus::MinerId;

use crate::server::allow_list::AllowList;
use naschain_identity::Hotkey;

/// Access rules of the HTTP server.
pub struct Access {
    /// The genomaster's hotkey; without one, requests are not signed and the names of miners are
    /// not verified.
    pub hotkey: Option<Hotkey>,
    /// Miners that may join; `None` allows all.
    pub allow_list: Option<AllowList>,
    /// Whether miners of the reference network have tokens; if so, names `uid-N` are refused under
    /// /v1, where tokens are not checked.
    pub uids_have_tokens: bool,
    /// Whether GET and HEAD requests need no signature.
    pub open_reads: bool,
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
            uids_have_tokens: false,
            open_reads: false,
            rate_per_key: 100,
            rate_per_address: 1000,
            new_hotkeys: 1000,
            behind_proxy: false,
        }
    }
}

impl Access {
    /// The owner of a miner if there is an allow-list; the outer `None` means that the miner is not
    /// on it.
    pub fn owner(&self, miner: &MinerId) -> Option<Option<MinerId>> {
        match &self.allow_list {
            None => Some(None),
            Some(list) => list.owner(miner).cloned().map(Some),
        }
    }
}
