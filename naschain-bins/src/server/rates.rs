//! How many requests, and how many new hotkeys, each client may send.

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock;
use crate::server::access::Access;
use crate::server::limits::RateLimit;
use crate::server::problem::ErrorResponse;
use naschain_run::ProblemKind;

/// Period of the limit on new hotkeys: about as long as an idle one keeps its place, so that one
/// network cannot fill all places.
const NEW_HOTKEYS_PERIOD: Duration = Duration::from_secs(600);

/// The rate limits of one server, which all of its runs share.
pub(super) struct Rates {
    per_key: Mutex<RateLimit<String>>,
    per_address: Mutex<RateLimit<IpAddr>>,
    new_hotkeys: Mutex<RateLimit<Option<IpAddr>>>,
}

impl Rates {
    /// With the limits of these access rules.
    pub(super) fn new(access: &Access) -> Rates {
        let new_hotkeys = RateLimit::in_period(access.new_hotkeys, NEW_HOTKEYS_PERIOD);
        Rates {
            per_key: Mutex::new(RateLimit::new(access.rate_per_key)),
            per_address: Mutex::new(RateLimit::new(access.rate_per_address)),
            new_hotkeys: Mutex::new(new_hotkeys),
        }
    }

    /// Counts a request that this hotkey has signed.
    pub(super) fn check_key(&self, hotkey: &str) -> Result<(), ErrorResponse> {
        check(&self.per_key, hotkey.to_owned())
    }

    /// Counts a request from this network.
    pub(super) fn check_address(&self, address: IpAddr) -> Result<(), ErrorResponse> {
        check(&self.per_address, address)
    }

    /// Counts a new hotkey from a network, `None` for this machine, of which `limit` are allowed.
    pub(super) fn check_new_hotkey(
        &self,
        from: Option<IpAddr>,
        limit: u32,
    ) -> Result<(), ErrorResponse> {
        lock(&self.new_hotkeys).take(from, clock::now()).map_err(|wait| {
            let seconds = wait.as_secs() + 1;
            let from = from.map_or("this machine".to_owned(), |from| format!("the network of {from}"));
            let detail = format!(
                "{limit} new hotkeys have joined from {from} within ten minutes, which is the maximum; the next may join in {seconds} s"
            );
            ErrorResponse::new(ProblemKind::TooManyRequests, detail).retry_after(seconds)
        })
    }
}

fn check<K: Ord>(limit: &Mutex<RateLimit<K>>, who: K) -> Result<(), ErrorResponse> {
    lock(limit).take(who, clock::now()).map_err(|wait| {
        let detail = format!("too many requests; wait {:.1} s", wait.as_secs_f64());
        // The header has whole seconds, so round up.
        ErrorResponse::new(ProblemKind::TooManyRequests, detail).retry_after(wait.as_secs() + 1)
    })
}

/// Ignores poisoning: no update behind these locks can be left incomplete by a panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
