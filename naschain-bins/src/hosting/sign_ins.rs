//! Limits of attempts to sign in and to register.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use naschain_run::ProblemKind;

use crate::clock;
use crate::server::app::Reply;
use crate::server::limits::RateLimit;
use crate::server::problem::ErrorResponse;

/// Attempts to sign in for each account and period, and registrations for each network.
const MAX_ATTEMPTS: u32 = 10;
/// Attempts to sign in from each network and period.
const MAX_FROM_NETWORK: u32 = 50;
const PERIOD: Duration = Duration::from_secs(600);
/// Limits how often passwords can be tried.
pub(crate) struct SignInLimits {
    by_account: Mutex<RateLimit<String>>,
    by_network: Mutex<RateLimit<Option<IpAddr>>>,
    registrations: Mutex<RateLimit<Option<IpAddr>>>,
}

impl Default for SignInLimits {
    fn default() -> SignInLimits {
        SignInLimits {
            by_account: Mutex::new(RateLimit::in_period(MAX_ATTEMPTS, PERIOD)),
            by_network: Mutex::new(RateLimit::in_period(MAX_FROM_NETWORK, PERIOD)),
            registrations: Mutex::new(RateLimit::in_period(MAX_ATTEMPTS, PERIOD)),
        }
    }
}

impl SignInLimits {
    /// Counts an attempt to sign in.
    pub(super) fn check_sign_in(&self, user: &str, from: Option<IpAddr>) -> Reply<()> {
        take(&self.by_network, from)?;
        take(&self.by_account, user.to_owned())
    }

    /// Counts a registration.
    pub(super) fn check_registration(&self, from: Option<IpAddr>) -> Reply<()> {
        take(&self.registrations, from)
    }
}

fn take<K: Ord>(limit: &Mutex<RateLimit<K>>, who: K) -> Reply<()> {
    let mut limit = limit.lock().unwrap_or_else(PoisonError::into_inner);
    limit.take(who, clock::now()).map_err(|wait| {
        let seconds = wait.as_secs() + 1;
        let detail = format!("too many attempts; wait {seconds} s");
        ErrorResponse::new(ProblemKind::TooManyRequests, detail).retry_after(seconds)
    })
}
