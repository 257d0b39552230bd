//! Who is let in.

use naschain_consensus::MinerId;

use crate::server::allow_list::AllowList;
use naschain_identity::Hotkey;

/// Who is let in.
pub struct Access {
    /// The genomaster's own hotkey; without one, requests are not signed, and a miner is whoever
    /// it says.
    pub hotkey: Option<Hotkey>,
    /// Who may mine, if not everybody.
    pub allow_list: Option<AllowList>,
    /// Whether miners of the old network have tokens, so that nobody may speak for one without.
    pub uids_have_tokens: bool,
    /// Whether what only reads needs no signature.
    pub open_reads: bool,
    /// Requests a second for each hotkey; 0 is no limit.
    pub rate_per_key: u32,
    /// Requests a second for each address that is not this machine's; 0 is no limit.
    pub rate_per_address: u32,
    /// Whether a proxy in front says in `X-Forwarded-For` whom a request comes from.
    pub behind_proxy: bool,
}

impl Default for Access {
    /// Everybody, unsigned.
    fn default() -> Access {
        Access {
            hotkey: None,
            allow_list: None,
            uids_have_tokens: false,
            open_reads: false,
            rate_per_key: 100,
            rate_per_address: 1000,
            behind_proxy: false,
        }
    }
}

impl Access {
    /// The owner of a miner, where there is an allow-list; nothing for one that is not on it.
    pub fn owner(&self, miner: &MinerId) -> Option<Option<MinerId>> {
        match &self.allow_list {
            None => Some(None),
            Some(list) => list.owner(miner).cloned().map(Some),
        }
    }
}
